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
//	session.go  Store: begin, find, list and end sessions
//	known.go    the sessions that an edge keeps
//	follow.go   opens the bucket and follows its changes
//	cookie.go   tokens, in cookies and as keys; agent.go: a browser's summary
//	limits.go   Limits: how often somebody may guess a password
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/wire"
)

// Bounds.
const (
	asking     = 2 * time.Second  // for one request of the bucket
	renewAfter = time.Hour        // since a session was last renewed
	checkEvery = 30 * time.Second // a kept session is read again, in case the watcher has missed something
	blindFor   = 5 * time.Minute  // for so long a session counts that cannot be read again, for reads only
	absentFor  = 2 * time.Second  // a token without a session is not looked up again
	maxListed  = 200              // sessions of one user in a list
)

// Errors.
var (
	// ErrNone: a token belongs to no session, or an id to no session of that user.
	ErrNone = errors.New("there is no such session")
	// ErrOvertaken: the password was set anew after it was checked.
	ErrOvertaken = errors.New("the password was changed meanwhile")
)

// Config is the input of [New]. All fields are required.
type Config struct {
	NATS  *nats.Conn
	Clock *wire.Clock
	Log   *slog.Logger
	Most  int // sessions kept
}

// Store finds, begins and ends sessions. It is safe for concurrent use.
type Store struct {
	nc     *nats.Conn
	clock  *wire.Clock
	log    *slog.Logger
	known  known
	bucket atomic.Pointer[jetstream.KeyValue]
}

// New returns a Store that knows no session yet. Run follows the bucket.
func New(c Config) *Store {
	return &Store{nc: c.NATS, clock: c.Clock, log: c.Log, known: newKnown(c.Most)}
}

// Visitor is who a token belongs to.
type Visitor struct {
	*wire.Session
	Blind bool // the session could not be read again, as NATS is away: it counts for reads only
}

// Known returns the session of a token from memory; false if it must be looked up.
func (s *Store) Known(token string) (*wire.Session, bool) {
	k, ok := keyOf(token)
	if !ok {
		return nil, false
	}
	e := s.known.get(k)
	if e == nil || e.session == nil || monotonic.Since(e.at) >= checkEvery {
		return nil, false
	}
	return e.session, true
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
	case e == nil || e.session == nil || monotonic.Since(e.at) >= checkEvery:
		if v, err = s.load(ctx, k); err != nil {
			return Visitor{}, false, err
		}
	default:
		v = Visitor{Session: e.session}
	}
	if !v.Blind && s.clock.Now().Sub(v.Seen) >= renewAfter {
		v.Session, renewed = s.renew(ctx, v.Session)
	}
	return v, renewed, nil
}

// load reads a session and keeps it, unless it changes meanwhile.
func (s *Store) load(ctx context.Context, k key) (Visitor, error) {
	for range 3 {
		began := s.known.begin(k)
		session, err := s.read(ctx, k.id())
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
	return wire.DecodeSession(id, entry.Value())
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

// renew begins a session's 30 days again. If it changes or ends at the same time, that counts.
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
			_, err = kv.Put(ctx, indexKey(old.User, old.ID), nil)
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
	return &next, true
}

// Begin begins a session and returns its token. agent is the browser's User-Agent. It returns [ErrOvertaken] if the
// password was set anew since the account was checked.
//
// A new password writes its time and then lists the sessions to end; Begin writes the session and then reads that time.
// So of two that happen at once, one sees the other.
func (s *Store) Begin(ctx context.Context, a wire.Account, agent string) (token string, err error) {
	kv, err := s.open()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	token, k := newToken()
	now := s.clock.Now()
	session := wire.Session{ID: k.id(), User: a.User, Name: a.Name, Created: now, Seen: now, Agent: summary(agent)}
	data, err := session.Encode()
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	if _, err = kv.Put(ctx, indexKey(a.User, session.ID), nil); err == nil {
		_, err = kv.Create(ctx, session.ID, data)
	}
	if err != nil {
		return "", unavailable("begin a session", err)
	}
	set, err := kv.Get(ctx, passwordKey(a.User))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return token, nil
	}
	if err != nil {
		return "", unavailable("begin a session", err)
	}
	if at, ok := wire.ParseTime(string(set.Value())); ok && at.After(a.PasswordAt) {
		return "", errors.Join(ErrOvertaken, s.end(ctx, kv, a.User, session.ID))
	}
	return token, nil
}

// SignOut ends the session of a visitor.
func (s *Store) SignOut(ctx context.Context, v Visitor) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	return s.end(ctx, kv, v.User, v.ID)
}

// End ends a session of a user; [ErrNone] if it is none of theirs.
func (s *Store) End(ctx context.Context, user int64, id string) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if _, ok := keyOfID(id); !ok {
		return ErrNone
	}
	_, err = kv.Get(ctx, indexKey(user, id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ErrNone
	}
	if err != nil {
		return unavailable("end a session", err)
	}
	return s.end(ctx, kv, user, id)
}

// end ends a session before it forgets whose it was: what is interrupted can be done again.
func (s *Store) end(ctx context.Context, kv jetstream.KeyValue, user int64, id string) error {
	err := kv.Delete(ctx, id)
	if err == nil {
		s.forget(id)
		err = kv.Delete(ctx, indexKey(user, id))
	}
	if err != nil {
		return unavailable("end a session", err)
	}
	return nil
}

// forget drops a session that this edge has changed. The watcher says so too, a moment later.
func (s *Store) forget(id string) {
	if k, ok := keyOfID(id); ok {
		s.known.changed(k)
	}
}

// EndAll ends all sessions of a user but one (except, an id; "": none is kept), and returns how many. passwordAt is
// when a new password was set, because of which they end; the zero time if there is none.
func (s *Store) EndAll(ctx context.Context, user int64, except string, passwordAt time.Time) (n int, err error) {
	kv, err := s.open()
	if err != nil {
		return 0, err
	}
	if !passwordAt.IsZero() {
		asked, cancel := context.WithTimeout(ctx, asking)
		_, err = kv.Put(asked, passwordKey(user), []byte(wire.FormatTime(passwordAt)))
		cancel()
		if err != nil {
			return 0, unavailable("end sessions", err)
		}
	}
	ids, err := s.idsOf(ctx, kv, user)
	for _, id := range ids {
		if err != nil {
			break
		}
		if id != except {
			ending, cancel := context.WithTimeout(ctx, asking)
			err = s.end(ending, kv, user, id)
			cancel()
			n++
		}
	}
	return n, err
}

// idsOf lists the sessions of a user.
func (s *Store) idsOf(ctx context.Context, kv jetstream.KeyValue, user int64) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	watcher, err := kv.Watch(ctx, indexKey(user, "*"), jetstream.IgnoreDeletes(), jetstream.MetaOnly())
	if err != nil {
		return nil, unavailable("list sessions", err)
	}
	defer func() { _ = watcher.Stop() }() // its context ends too
	prefix := indexKey(user, "")
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

// List returns the sessions of a user, the one last seen first, at most 200.
func (s *Store) List(ctx context.Context, user int64) ([]wire.Session, error) {
	kv, err := s.open()
	if err != nil {
		return nil, err
	}
	ids, err := s.idsOf(ctx, kv, user)
	if err != nil {
		return nil, err
	}
	var all []wire.Session
	for _, id := range ids[max(0, len(ids)-maxListed):] {
		session, err := s.read(ctx, id)
		if errors.Is(err, ErrNone) {
			continue // it ended just now
		}
		if err != nil {
			return nil, err
		}
		all = append(all, *session)
	}
	slices.SortFunc(all, func(a, b wire.Session) int {
		return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func indexKey(user int64, id string) string { return passwordKey(user) + "." + id }
func passwordKey(user int64) string         { return "u." + strconv.FormatInt(user, 10) }
