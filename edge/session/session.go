// Package session says who is signed in. Sessions live on the network, in the JetStream KV bucket SESSIONS, so any edge
// knows them, and none is lost when a process or NATS restarts.
//
// **Input**: the tokens of cookies, accounts whose password a renderer has checked, and the changes of the bucket.
// **Output**: sessions, new tokens, and counts of guesses. **Must not touch**: pages and their caches, passwords, HTTP
// beyond the header fields Cookie and User-Agent.
//
// A token is 256 random bits, which only the visitor's browser has. The bucket holds its hash, so `nats kv watch
// SESSIONS` shows no secret. Every edge keeps the sessions that it has seen lately, and one watcher that drops those
// that change: a session that one edge ends is refused by all.
//
// Files:
//
//	session.go  Store: begin, find, renew and list sessions
//	revoke.go   ends sessions: one, or all of a user
//	known.go    the sessions that an edge keeps
//	follow.go   opens the bucket and follows its changes
//	tokens.go   API tokens, which are sessions without a browser
//	cookie.go   tokens, in cookies and as keys; agent.go: a browser's summary
//	limits.go   Limits: how often somebody may guess a password
package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/wire"
)

// Bounds.
const (
	asking        = 2 * time.Second  // for one request of the bucket
	renewAfter    = time.Hour        // since a session was last renewed
	checkEvery    = 30 * time.Second // a kept session is read again, in case the watcher has missed something
	unverifiedFor = 5 * time.Minute  // for so long a session counts that cannot be read again, for reads only
	absentFor     = 2 * time.Second  // a token without a session is not looked up again
	maxOfUser     = 50               // sessions of one user; the next one ends that which was renewed first
)

// indexValue is the value of an entry of the index. It is as large as the marker of its removal, so that a full bucket
// takes that.
var indexValue = bytes.Repeat([]byte(" "), 80)

// Errors.
var (
	// ErrNone: a token belongs to no session, or an id to no session of that user.
	ErrNone = errors.New("there is no such session")
	// ErrOvertaken: the password was set anew after it was checked.
	ErrOvertaken = errors.New("the password was changed meanwhile")
)

// Config is the input of [New]. All fields are required.
type Config struct {
	NATS     *nats.Conn
	Clock    *wire.Clock
	Awake    func() time.Duration // for how long this process has run without a pause
	Log      *slog.Logger
	Capacity int // sessions kept
}

// Store finds, begins and ends sessions. It is safe for concurrent use.
type Store struct {
	nc     *nats.Conn
	clock  *wire.Clock
	awake  func() time.Duration
	log    *slog.Logger
	known  known
	bucket atomic.Pointer[jetstream.KeyValue]
}

// New returns a Store that knows no session yet. Run follows the bucket.
func New(c Config) *Store {
	return &Store{nc: c.NATS, clock: c.Clock, awake: c.Awake, log: c.Log, known: newKnown(c.Capacity)}
}

// Visitor is who a token belongs to.
type Visitor struct {
	*wire.Session
	Unverified bool // the session could not be read again, as NATS is away: it counts for reads only
}

// Find returns the session of a token. Errors: [ErrNone], or that the bucket cannot be read, as wire.ErrUnavailable.
// renewed reports that the session's time was renewed, and so should that of its cookie.
func (s *Store) Find(ctx context.Context, token string) (v Visitor, renewed bool, err error) {
	k, ok := keyOf(token)
	if !ok {
		return Visitor{}, false, ErrNone
	}
	e := s.known.get(k)
	switch {
	case e != nil && e.session == nil && monotonic.Since(e.at) < absentFor:
		return Visitor{}, false, ErrNone
	case e == nil || e.session == nil || monotonic.Since(e.at) >= min(checkEvery, s.awake()):
		if v, err = s.load(ctx, k); err != nil {
			return Visitor{}, false, err
		}
	default:
		v = Visitor{Session: e.session}
	}
	if !v.Unverified && s.clock.Now().Sub(v.Seen) >= renewAfter {
		v.Session, renewed = s.renew(ctx, v.Session)
	}
	return v, renewed, nil
}

// load reads a session and keeps it, unless it changes meanwhile.
func (s *Store) load(ctx context.Context, k key) (Visitor, error) {
	for range 3 {
		began := s.known.begin(k)
		session, err := s.read(ctx, k.id())
		if err == nil {
			began.revoked = s.known.revocations(session.User)
			if err = s.check(ctx, session); err != nil {
				session = nil
			}
		}
		if err != nil && !errors.Is(err, ErrNone) {
			s.known.end(k)
			if old := s.known.old(k); old != nil {
				return Visitor{old, true}, nil
			}
			return Visitor{}, err
		}
		if s.known.put(k, began, session) {
			return Visitor{Session: session}, err
		}
	}
	return Visitor{}, fmt.Errorf("%w: the session changes all the time", wire.ErrUnavailable)
}

// check returns [ErrNone] if a session was revoked.
func (s *Store) check(ctx context.Context, session *wire.Session) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	revocation, _, err := revocationOf(ctx, kv, session.User)
	if err == nil && revocation.Revokes(session) {
		err = ErrNone
	}
	return err
}

// read reads a session from the bucket.
func (s *Store) read(ctx context.Context, id string) (*wire.Session, error) {
	kv, err := s.open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	entry, err := kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, unavailable("read a session", err)
	}
	session, err := wire.DecodeSession(id, entry.Value())
	if err != nil {
		s.log.Warn("a session cannot be decoded, so its person must sign in again", "err", err)
		return nil, ErrNone
	}
	return session, nil
}

// open returns the bucket. Without a connection it does not wait for one.
func (s *Store) open() (jetstream.KeyValue, error) {
	kv := s.bucket.Load()
	if kv == nil || !s.nc.IsConnected() {
		return nil, fmt.Errorf("sessions: %w: NATS does not answer", wire.ErrUnavailable)
	}
	return *kv, nil
}

func unavailable(op string, err error) error {
	return fmt.Errorf("%s: %w: %w", op, wire.ErrUnavailable, err)
}

// renew begins a session's 30 days again. If it changes or ends at the same time, that counts. What is revoked at the
// same time is read afterwards, and ends: else it could outlive its revocation, which is kept for 30 days too.
func (s *Store) renew(ctx context.Context, old *wire.Session) (*wire.Session, bool) {
	kv, err := s.open()
	if err != nil {
		return old, false
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	next := *old
	next.Seen = s.clock.Now()
	entry, err := kv.Get(ctx, old.ID)
	if err == nil {
		var data []byte
		if data, err = next.Encode(); err == nil {
			_, err = kv.Put(ctx, old.IndexKey(), indexValue)
		}
		if err == nil {
			_, err = kv.Update(ctx, old.ID, data, entry.Revision())
		}
	}
	if err != nil {
		s.log.Debug("a session was not renewed", "err", err)
		return old, false
	}
	s.forget(old.ID)
	if revocation, _, err := revocationOf(ctx, kv, old.User); err == nil && revocation.Revokes(&next) {
		if err := s.end(ctx, kv, old.ID, old.IndexKey()); err != nil {
			s.log.Debug("a revoked session is not removed", "err", err)
		}
	}
	return &next, true
}

// Begin begins a session and returns its token. agent is the browser's User-Agent. Sessions that began with an earlier
// password count no more, whoever has set the new one. It returns [ErrOvertaken] if the password was set anew since the
// account was checked.
//
// Begin writes the session and then reads what is revoked. So of a new password and a sign-in with the old one that
// happen at once, one sees the other.
func (s *Store) Begin(ctx context.Context, a wire.Account, agent string) (token string, err error) {
	kv, err := s.open()
	if err != nil {
		return "", err
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(whole, asking)
	defer cancel()
	before, err := s.revoke(ctx, kv, a.User, wire.Revocation{PasswordAt: a.PasswordAt})
	if err != nil {
		return "", err
	}
	if before.PasswordAt.After(a.PasswordAt) {
		return "", ErrOvertaken
	}
	token, k := newToken()
	session := wire.Session{ID: k.id(), User: a.User, Name: a.Name, PasswordAt: a.PasswordAt, Agent: summary(agent)}
	after, err := s.write(ctx, kv, before, &session)
	if err != nil {
		return "", err
	}
	s.tidy(whole, kv, a.User, after)
	return token, nil
}

// write writes a session that begins now, and returns what is revoked of its user's afterwards. before is what was.
func (s *Store) write(ctx context.Context, kv jetstream.KeyValue, before wire.Revocation, session *wire.Session) (
	after wire.Revocation, err error,
) {
	now := s.clock.Now()
	session.Created, session.Seen = now, now
	if !now.After(before.Until) { // the clock of the edge that wrote it is ahead
		session.Created = before.Until.Add(time.Microsecond)
	}
	data, err := session.Encode()
	if err != nil {
		return after, fmt.Errorf("begin a session: %w", err)
	}
	if _, err = kv.Put(ctx, session.IndexKey(), indexValue); err == nil {
		_, err = kv.Create(ctx, session.ID, data)
	}
	if err != nil {
		return after, unavailable("begin a session", err)
	}
	if after, _, err = revocationOf(ctx, kv, session.User); err != nil {
		return after, err
	}
	if after.Revokes(session) {
		return after, errors.Join(ErrOvertaken, s.end(ctx, kv, session.ID, session.IndexKey()))
	}
	return after, nil
}

// idsOf lists the sessions whose keys in the index begin with a prefix, the one last renewed last.
func (s *Store) idsOf(ctx context.Context, kv jetstream.KeyValue, prefix string) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	watcher, err := kv.Watch(ctx, prefix+"*", jetstream.IgnoreDeletes(), jetstream.MetaOnly())
	if err != nil {
		return nil, unavailable("list sessions", err)
	}
	defer func() { _ = watcher.Stop() }() // its context ends too
	for {
		select {
		case <-ctx.Done():
			return nil, unavailable("list sessions", ctx.Err())
		case entry, ok := <-watcher.Updates():
			if !ok {
				return nil, unavailable("list sessions", errors.New("the watcher has ended"))
			}
			if entry == nil { // that was all
				return ids, nil
			}
			ids = append(ids, entry.Key()[len(prefix):])
		}
	}
}

// List returns the sessions of a user, the one last seen first, at most 50.
func (s *Store) List(ctx context.Context, user int64) ([]wire.Session, error) {
	return s.list(ctx, user, wire.SessionIndexKey(user, ""), maxOfUser)
}

// list returns those sessions of a user whose keys in the index begin with a prefix, the one last seen first.
func (s *Store) list(ctx context.Context, user int64, prefix string, most int) ([]wire.Session, error) {
	kv, err := s.open()
	if err != nil {
		return nil, err
	}
	all, err := s.valid(ctx, kv, user, prefix, most)
	slices.SortFunc(all, func(a, b wire.Session) int {
		return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.ID, b.ID))
	})
	return all, err
}

// valid returns what list does, the one that was begun or renewed last at the end.
func (s *Store) valid(ctx context.Context, kv jetstream.KeyValue, user int64, prefix string, most int) (
	all []wire.Session, err error,
) {
	ids, err := s.idsOf(ctx, kv, prefix)
	if err != nil {
		return nil, err
	}
	asked, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	revocation, _, err := revocationOf(asked, kv, user)
	if err != nil {
		return nil, err
	}
	for _, id := range ids[max(0, len(ids)-most):] {
		session, err := s.read(ctx, id)
		if errors.Is(err, ErrNone) {
			continue // it ended just now
		}
		if err != nil {
			return nil, err
		}
		if !revocation.Revokes(session) {
			all = append(all, *session)
		}
	}
	return all, nil
}
