package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Times of following the bucket.
const (
	followAgain      = 200 * time.Millisecond // after a failure
	checkBucketEvery = 2 * time.Second        // whether the bucket was made anew
)

var (
	// errRemade: the bucket is another one than the one that is watched.
	errRemade = errors.New("the bucket was made anew")
	// errReconnected: a NATS server that was restarted has forgotten the watcher, which notices only after seconds.
	errReconnected = errors.New("the connection was lost")
)

// Run opens the bucket, or creates it, and follows it until ctx ends. A session that changes is dropped from memory.
func (s *Store) Run(ctx context.Context) {
	for {
		err := s.follow(ctx)
		if ctx.Err() == nil {
			s.log.Debug("cannot follow the bucket of sessions", "err", err)
		}
		s.known.suspectAll()
		if errors.Is(err, errReconnected) {
			continue
		}
		if !sleep.For(ctx, followAgain) {
			return
		}
	}
}

// Ready returns nil once the bucket is there.
func (s *Store) Ready() error {
	if _, err := s.open(); err != nil {
		return fmt.Errorf("the KV bucket %s is not open: %w", wire.BucketSessions, err)
	}
	return nil
}

// follow watches the bucket until that fails or the connection is lost. Sessions that are kept are read again before
// they count, from when the watcher has started, and again from when it has ended.
func (s *Store) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opening, opened := context.WithTimeout(ctx, asking)
	defer opened()
	kv, err := bucket.Open(opening, s.nc, wire.SessionsConfig())
	if err != nil {
		return err
	}
	created, err := createdAt(opening, kv)
	if err != nil {
		return err
	}
	back := s.nc.StatusChanged(nats.CONNECTED)
	defer s.nc.RemoveStatusListener(back)
	// Keys of sessions have one token, those of revocations two, and those of the index three.
	watcher, err := kv.WatchFiltered(ctx, []string{"*", "*.*"}, jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		return fmt.Errorf("bucket %s: watch: %w", kv.Bucket(), err)
	}
	defer func() { _ = watcher.Stop() }() // its context ends too
	s.known.suspectAll()
	s.bucket.Store(&kv)
	tick := time.NewTicker(checkBucketEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case change, open := <-watcher.Updates():
			if !open {
				return errors.New("the watcher has ended")
			}
			if change == nil {
				continue
			}
			if k, ok := keyOfID(change.Key()); ok {
				s.known.changed(k)
			} else if user, ok := wire.ParseRevocationKey(change.Key()); ok {
				s.known.revoke(user)
			}
		case <-back:
			return errReconnected
		case <-tick.C:
			asked, cancel := context.WithTimeout(ctx, asking)
			now, err := createdAt(asked, kv) // it also updates whether kv may read from any replica
			cancel()
			switch {
			case errors.Is(err, jetstream.ErrStreamNotFound), err == nil && !now.Equal(created):
				return errRemade
			case err != nil:
				s.log.Debug("cannot ask for the bucket of sessions", "err", err)
			}
		}
	}
}

// createdAt returns when a bucket was made.
func createdAt(ctx context.Context, kv jetstream.KeyValue) (time.Time, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", kv.Bucket(), err)
	}
	of, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, fmt.Errorf("bucket %s: an unknown status", kv.Bucket())
	}
	return of.StreamInfo().Created, nil
}
