package renderer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Times of what changes leave to be done.
const (
	leftoversEvery = 200 * time.Millisecond // looks for something to do
	leftoversLimit = 5 * time.Second        // of one step
	leftoversPause = 5 * time.Millisecond   // between steps, for other users of the database
	forgetEvery    = time.Minute            // receipts and names that are old enough
	revokeTries    = 10                     // of writing a revocation while edges write it too
)

// doLeftovers does, until ctx ends, what changes leave to be done: it ends sessions whose account was closed or deleted
// or has a new password, deletes the rows of deleted accounts, and removes files that no photo shows any more. Only the
// renderer with the active relay does so. Each step can be repeated, so whoever is active next goes on.
func (s *Service) doLeftovers(ctx context.Context) {
	failing := false
	var forgotten time.Time
	for pause := leftoversEvery; sleep.For(ctx, pause); {
		pause = leftoversEvery
		if !s.relay.active.Load() {
			continue
		}
		more, err := s.doLeftoversOnce(ctx)
		if err == nil && time.Since(forgotten) > forgetEvery {
			forgotten = time.Now()
			err = s.store.ForgetDeletions(ctx, wire.ReceiptAge)
		}
		if more && err == nil {
			pause = leftoversPause
		}
		if ctx.Err() == nil && failing != (err != nil) { // log the start and the end, not every attempt
			failing = err != nil
			s.log.Warn("leftovers of changes", "failing", failing, "err", err)
		}
	}
}

// doLeftoversOnce does a step of each kind. What fails keeps none of the others from being done. more reports whether
// something may be left.
func (s *Service) doLeftoversOnce(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leftoversLimit)
	defer cancel()
	if waiting, err := s.store.LeftoversWait(ctx); !waiting {
		return false, err
	}
	err = s.store.Revoke(ctx, s.revoke)
	rows, failed := s.store.DeleteRows(ctx)
	err = errors.Join(err, failed)
	if rows { // others are to hear of it soon
		s.relay.wake()
	}
	files, failed := s.store.RemoveUnused(ctx, s.pictures.Delete)
	return rows || files > 0, errors.Join(err, failed)
}

// revoke writes to the bucket of sessions which ones count no more. Without the bucket there are none.
func (s *Service) revoke(ctx context.Context, r store.Revocation) error {
	const op = "revoke sessions"
	kv, err := s.relay.js.KeyValue(ctx, wire.BucketSessions)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	for range revokeTries {
		var now wire.Revocation
		var revision uint64
		entry, err := kv.Get(ctx, wire.RevocationKey(r.User))
		switch {
		case err == nil:
			revision = entry.Revision()
			if now, err = wire.DecodeRevocation(entry.Value()); err != nil {
				now = wire.Revocation{Until: entry.Created()} // as edges take it
			}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return fmt.Errorf("%s: %w", op, err)
		}
		next := now.Join(wire.Revocation{PasswordAt: r.PasswordAt})
		if next == now {
			return nil
		}
		data, err := next.Encode()
		if err == nil && revision == 0 {
			_, err = kv.Create(ctx, wire.RevocationKey(r.User), data)
		} else if err == nil {
			_, err = kv.Update(ctx, wire.RevocationKey(r.User), data, revision)
		}
		if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return nil
	}
	return fmt.Errorf("%s: %w: too many at once", op, wire.ErrBusy)
}
