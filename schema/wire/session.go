package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sessions are in a JetStream KV bucket, written by edges, and by the relay when it makes the bucket anew. Keys:
//
//	<id>            a session, as JSON. The id is the base32, in lower case, of the SHA-256 of the cookie's token
//	u.<user>.<id>   says that the session is one of that user's
//	t.<user>.<id>   likewise, of an API token
//	u.<user>        which sessions of that user count no more, as JSON, see Revocation
const BucketSessions = "SESSIONS"

// SessionAge is how long a session lives after it was last renewed.
const SessionAge = 30 * 24 * time.Hour

// Session is what an edge knows of a visitor who is signed in.
type Session struct {
	ID         string    `json:"-"` // its key
	User       int64     `json:"user"`
	Name       string    `json:"name"`
	PasswordAt time.Time `json:"password_at"` // when the password was set that it began with, by Postgres
	Created    time.Time `json:"created"`     // cluster time
	Seen       time.Time `json:"seen"`        // cluster time, renewed once an hour at most
	Agent      string    `json:"agent"`       // a summary, such as "Firefox on Linux"
	// Of an API token, which is a session without a browser: the name that its person has given it; "": it is none.
	Token string `json:"token,omitempty"`
	Write bool   `json:"write,omitempty"` // the token may change something
}

// IndexKey is the key that says whose the session is.
func (s Session) IndexKey() string {
	if s.Token != "" {
		return TokenIndexKey(s.User, s.ID)
	}
	return SessionIndexKey(s.User, s.ID)
}

// Encode returns the session's value in the bucket.
func (s Session) Encode() ([]byte, error) { return json.Marshal(s) }

// DecodeSession is the inverse of [Session.Encode].
func DecodeSession(id string, data []byte) (*Session, error) {
	s := Session{ID: id}
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if s.User <= 0 || s.Name == "" {
		return nil, errors.New("session: it names no user")
	}
	return &s, nil
}

// Revocation says which sessions of a user count no more. Its times only ever rise.
type Revocation struct {
	PasswordAt time.Time `json:"password_at"` // those that began with a password that was set earlier
	Until      time.Time `json:"until"`       // those that began until then, in cluster time
}

// Revokes reports whether a session counts no more.
func (r Revocation) Revokes(s *Session) bool {
	return s.PasswordAt.Before(r.PasswordAt) || !r.Until.IsZero() && !s.Created.After(r.Until)
}

// Join returns what revokes the sessions that r or other does.
func (r Revocation) Join(other Revocation) Revocation {
	if other.PasswordAt.After(r.PasswordAt) {
		r.PasswordAt = other.PasswordAt
	}
	if other.Until.After(r.Until) {
		r.Until = other.Until
	}
	return r
}

// Encode returns the revocation's value in the bucket.
func (r Revocation) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodeRevocation is the inverse of [Revocation.Encode].
func DecodeRevocation(data []byte) (r Revocation, err error) {
	if err = json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("revocation: %w", err)
	}
	return r, nil
}

// userPrefix begins the keys in the bucket of sessions that begin with a user.
const userPrefix = "u."

// RevocationKey is the key of a user's [Revocation].
func RevocationKey(user int64) string { return userPrefix + strconv.FormatInt(user, 10) }

// SessionIndexKey is the key that says whose a session is.
func SessionIndexKey(user int64, id string) string { return RevocationKey(user) + "." + id }

// TokenIndexKey is the key that says whose an API token is.
func TokenIndexKey(user int64, id string) string {
	return "t." + strconv.FormatInt(user, 10) + "." + id
}

// ParseRevocationKey is the inverse of [RevocationKey].
func ParseRevocationKey(key string) (user int64, ok bool) {
	digits, ok := strings.CutPrefix(key, userPrefix)
	if !ok {
		return 0, false
	}
	user, err := strconv.ParseInt(digits, 10, 64)
	return user, err == nil && user > 0
}

// SessionMarkerAge is how long the markers of a session's removal stay. Each edge has heard of it by then, and a bucket
// that is made anew meanwhile does not get the session back.
const SessionMarkerAge = time.Hour

// SessionsConfig is the configuration of the bucket of sessions. A session has about 500 bytes with its index,
// and a user's revocation 190. The markers of a session's removal, about 350, stay for an hour.
func SessionsConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketSessions, Description: "who is signed in", TTL: SessionAge,
		Storage: jetstream.FileStorage, MaxBytes: 256 << 20, MaxValueSize: 4 << 10, LimitMarkerTTL: SessionMarkerAge}
}

// BucketLimits is the JetStream KV bucket in which edges count guesses of passwords.
const BucketLimits = "LIMITS"

// LimitsConfig is the configuration of the bucket of counts, which matter for a minute. It has room for 400,000 names
// and addresses.
func LimitsConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketLimits, Description: "guesses of passwords, by account and address",
		TTL: 2 * time.Minute, Storage: jetstream.FileStorage, MaxBytes: 64 << 20, MaxValueSize: 1 << 10}
}
