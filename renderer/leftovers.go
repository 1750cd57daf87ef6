package renderer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
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
	filesLimit     = 20 * time.Second       // of one that removes files
	edgesLimit     = 20 * time.Second       // of one that notes what edges know, one after the other
	leftoversPause = 5 * time.Millisecond   // between steps, for other users of the database
	forgetEvery    = time.Minute            // receipts and names that are old enough
	revokeTries    = 10                     // of writing a revocation while edges write it too
)

// leftover is a kind of work that changes leave. step does a part of it, which can be repeated, so whoever relays next
// goes on. more reports whether it did something.
type leftover struct {
	name  string
	every time.Duration // looks for something to do
	step  func(context.Context) (more bool, err error)
	limit time.Duration // of one step; 0: leftoversLimit
}

// leftovers lists what changes leave: sessions end whose account was closed or deleted or has a new password, rows of
// deleted accounts are deleted, bins are emptied, photos are deleted that were in a bin for long, revoked links are
// forgotten, files that no photo shows any more are removed, edges are asked what they know, derivatives are made that
// a renderer owes, images of before blurs get theirs, uploads are removed that were given up, and zip files are
// prepared.
func (s *Service) leftovers() []leftover {
	var last int64 // the deletion whose rows were deleted last
	return []leftover{
		{name: "revocations", every: leftoversEvery, step: func(ctx context.Context) (bool, error) {
			return false, s.store.Revoke(ctx, s.revoke)
		}},
		{name: "rows", every: leftoversEvery, step: func(ctx context.Context) (more bool, err error) {
			last, err = s.store.DeleteRows(ctx, last)
			if err == nil && last != 0 { // others are to hear of it soon
				s.relay.wake()
			}
			return last != 0, err
		}},
		{name: "files", every: leftoversEvery, limit: filesLimit, step: func(ctx context.Context) (bool, error) {
			n, err := s.store.RemoveUnused(ctx, s.freeOriginal)
			return n > 0, err
		}},
		{name: "bins", every: forgetEvery, step: func(ctx context.Context) (bool, error) {
			n, err := s.store.EmptyBins(ctx, wire.BinDays*24*time.Hour)
			return n > 0, err
		}},
		{name: "links", every: forgetEvery, step: func(ctx context.Context) (bool, error) {
			return false, s.store.ForgetShares(ctx, undoShare)
		}},
		{name: "edges", every: leftoversEvery, step: s.askEdges, limit: edgesLimit},
		{name: "pictures", every: leftoversEvery, step: s.takeDue},
		{name: "blurs", every: forgetEvery, step: s.fillBlurs()},
		{name: "uploads", every: forgetEvery, step: s.sweepUploads},
		{name: "receipts", every: forgetEvery, step: func(ctx context.Context) (bool, error) {
			return false, s.store.ForgetDeletions(ctx, wire.ReceiptAge)
		}},
		{name: "takeouts", every: leftoversEvery, step: s.prepareTakeout, limit: takeoutLimit},
		{name: "old takeouts", every: forgetEvery, step: func(ctx context.Context) (bool, error) {
			n, err := s.store.ForgetTakeouts(ctx, wire.TakeoutDays*24*time.Hour)
			return n > 0, err
		}},
	}
}

// doLeftovers does, until ctx ends, what changes leave to be done. Only the renderer with the active relay does so.
// Each kind goes its own way, so that none waits for another.
func (s *Service) doLeftovers(ctx context.Context) {
	var all sync.WaitGroup
	for _, kind := range s.leftovers() {
		all.Go(func() { s.doLeftover(ctx, kind) })
	}
	all.Wait()
}

func (s *Service) doLeftover(ctx context.Context, kind leftover) {
	failing := false
	for pause := leftoversEvery; sleep.For(ctx, pause); {
		pause = leftoversEvery
		if !s.relay.active.Load() {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, cmp.Or(kind.limit, leftoversLimit))
		more, err := kind.step(limited)
		cancel()
		switch {
		case err != nil:
		case more:
			pause = leftoversPause
		default:
			pause = kind.every
		}
		if ctx.Err() == nil && failing != (err != nil) { // log the start and the end, not every attempt
			failing = err != nil
			s.log.Warn("leftovers of changes", "kind", kind.name, "failing", failing, "err", err)
		}
	}
}

// freeOriginal removes the files of an original, and says what that frees.
func (s *Service) freeOriginal(ctx context.Context, id string) (freed store.Freed, err error) {
	if freed.Files, freed.Bytes, err = s.pictures.Size(ctx, id); err != nil || freed.Files == 0 {
		return freed, err
	}
	return freed, s.pictures.Delete(ctx, id)
}

// revoke writes to the bucket of sessions which ones count no more. Without the bucket it fails: the relay may be
// making it anew, with the sessions that it had.
func (s *Service) revoke(ctx context.Context, r store.Revocation) error {
	const op = "revoke sessions"
	kv, err := s.relay.js.KeyValue(ctx, wire.BucketSessions)
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
