package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/wire"
)

// revocationOf reads which sessions of a user count no more, and the value's revision; 0 if there is none. A value that
// cannot be decoded revokes all that began before it was written.
func revocationOf(ctx context.Context, kv jetstream.KeyValue, user int64) (wire.Revocation, uint64, error) {
	entry, err := kv.Get(ctx, wire.RevocationKey(user))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return wire.Revocation{}, 0, nil
	}
	if err != nil {
		return wire.Revocation{}, 0, unavailable("read a revocation", err)
	}
	revocation, err := wire.DecodeRevocation(entry.Value())
	if err != nil {
		revocation = wire.Revocation{Until: entry.Created()}
	}
	return revocation, entry.Revision(), nil
}

// revoke adds to what is revoked of a user's sessions, and returns all of it. Once it returns, the bucket says so: each
// edge hears of it at once, and finds it with the next session that it reads.
func (s *Store) revoke(ctx context.Context, kv jetstream.KeyValue, user int64, add wire.Revocation) (
	wire.Revocation, error,
) {
	freed := false
	for range tries {
		now, revision, err := revocationOf(ctx, kv, user)
		if err != nil {
			return now, err
		}
		next := now.Join(add)
		if next == now {
			return now, nil
		}
		data, err := next.Encode()
		if err != nil {
			return now, fmt.Errorf("revoke sessions: %w", err)
		}
		if revision == 0 {
			_, err = kv.Create(ctx, wire.RevocationKey(user), data)
		} else {
			_, err = kv.Update(ctx, wire.RevocationKey(user), data, revision)
		}
		switch {
		case err == nil:
			s.known.revoke(user) // the watcher says so too, a moment later
			return next, nil
		case errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch):
			continue
		}
		// A full bucket still takes removals, as they need less room, and what they free may do for the value.
		if _, answered := errors.AsType[*jetstream.APIError](err); !answered || freed {
			return now, unavailable("revoke sessions", err)
		}
		freed = true
		if removed := s.remove(ctx, kv, user, next); removed != nil {
			return now, errors.Join(unavailable("revoke sessions", err), removed)
		}
	}
	return wire.Revocation{}, fmt.Errorf("revoke sessions: %w: too many at once", wire.ErrBusy)
}

// tidy removes the sessions of a user that count no more, and the oldest ones beyond 50.
func (s *Store) tidy(ctx context.Context, kv jetstream.KeyValue, user int64, by wire.Revocation) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if err := s.remove(ctx, kv, user, by); err != nil {
		s.log.Debug("sessions that count no more are not removed", "err", err)
	}
}

// remove removes those sessions and API tokens of a user that a revocation names, and the oldest sessions beyond 50.
func (s *Store) remove(ctx context.Context, kv jetstream.KeyValue, user int64, by wire.Revocation) error {
	for _, index := range []struct {
		prefix string
		most   int
	}{{wire.SessionIndexKey(user, ""), maxOfUser}, {wire.TokenIndexKey(user, ""), maxTokens}} {
		ids, err := s.idsOf(ctx, kv, index.prefix)
		if err != nil {
			return err
		}
		for i, id := range ids {
			var session *wire.Session
			remove := i < len(ids)-index.most
			if !remove {
				session, err = s.read(ctx, id)
				remove = err == nil && by.Revokes(session)
			}
			if remove {
				err = s.end(ctx, kv, id, index.prefix+id)
			}
			if err != nil && !errors.Is(err, ErrNone) { // one that begins just now is listed before it is there
				return err
			}
		}
	}
	return nil
}

// SignOut ends the session of a visitor.
func (s *Store) SignOut(ctx context.Context, v Visitor) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	return s.end(ctx, kv, v.ID, v.IndexKey())
}

// End ends a session of a user; [ErrNone] if it is none of theirs.
func (s *Store) End(ctx context.Context, user int64, id string) error {
	return s.endIndexed(ctx, id, wire.SessionIndexKey(user, id))
}

// endIndexed ends a session if its key is in the index.
func (s *Store) endIndexed(ctx context.Context, id, index string) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	if _, ok := keyOfID(id); !ok {
		return ErrNone
	}
	_, err = kv.Get(ctx, index)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ErrNone
	}
	if err != nil {
		return unavailable("end a session", err)
	}
	return s.end(ctx, kv, id, index)
}

// end ends a session before it forgets whose it was: what is interrupted can be done again.
func (s *Store) end(ctx context.Context, kv jetstream.KeyValue, id, index string) error {
	err := purge(ctx, kv, id)
	if err == nil {
		s.forget(id)
		err = purge(ctx, kv, index)
	}
	if err != nil {
		return unavailable("end a session", err)
	}
	return nil
}

// purge removes a key, and leaves a marker for an hour, so that sessions that begin and end all the time do not fill
// the bucket. In a bucket of before, which takes no such marker until a relay has set it, the marker stays for 30 days.
func purge(ctx context.Context, kv jetstream.KeyValue, key string) error {
	err := kv.Purge(ctx, key, jetstream.PurgeTTL(wire.SessionMarkerAge))
	if _, refused := errors.AsType[*jetstream.APIError](err); refused {
		err = kv.Delete(ctx, key)
	}
	return err
}

// forget drops a session that this edge has changed. The watcher says so too, a moment later.
func (s *Store) forget(id string) {
	if k, ok := keyOfID(id); ok {
		s.known.changed(k)
	}
}

// EndAll ends all sessions of a user, by one write. What is left of them in the bucket is removed afterwards. A session
// that was begun by an edge whose clock is ahead, and which no heartbeat had told the time, ends too.
func (s *Store) EndAll(ctx context.Context, user int64) error {
	kv, err := s.open()
	if err != nil {
		return err
	}
	until := s.clock.Now()
	for _, prefix := range []string{wire.SessionIndexKey(user, ""), wire.TokenIndexKey(user, "")} {
		begun, err := s.valid(ctx, kv, user, prefix, maxOfUser)
		if err != nil {
			return err
		}
		for _, session := range begun {
			if session.Created.After(until) {
				until = session.Created
			}
		}
	}
	asked, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	revoked, err := s.revoke(asked, kv, user, wire.Revocation{Until: until})
	if err != nil {
		return err
	}
	s.tidy(ctx, kv, user, revoked)
	return nil
}
