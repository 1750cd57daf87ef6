package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sessions are in a JetStream KV bucket, written by edges, and by the relay when it makes the bucket anew. Keys:
//
//	<id>            a session, as JSON. The id is the base32, in lower case, of the SHA-256 of the cookie's token
//	u.<user>.<id>   says that the session is one of that user's; empty
//	u.<user>        when the user's password was last set, see FormatTime: earlier sign-ins begin no session any more
const BucketSessions = "SESSIONS"

// SessionAge is how long a session lives after it was last renewed.
const SessionAge = 30 * 24 * time.Hour

// Session is what an edge knows of a visitor who is signed in.
type Session struct {
	ID      string    `json:"-"` // its key
	User    int64     `json:"user"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"` // cluster time
	Seen    time.Time `json:"seen"`    // cluster time, renewed once an hour at most
	Agent   string    `json:"agent"`   // a summary, such as "Firefox on Linux"
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

// SessionsConfig is the configuration of the bucket of sessions. A session has less than 500 bytes with its index.
func SessionsConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketSessions, Description: "who is signed in", TTL: SessionAge,
		Storage: jetstream.FileStorage, MaxBytes: 256 << 20, MaxValueSize: 4 << 10}
}

// BucketLimits is the JetStream KV bucket in which edges count guesses of passwords.
const BucketLimits = "LIMITS"

// LimitsConfig is the configuration of the bucket of counts, which matter for a minute. It has room for 400,000 names
// and addresses.
func LimitsConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketLimits, Description: "guesses of passwords, by account and address",
		TTL: 2 * time.Minute, Storage: jetstream.FileStorage, MaxBytes: 64 << 20, MaxValueSize: 1 << 10}
}
