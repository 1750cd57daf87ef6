package encryption

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Tickets has all edges encrypt session tickets with the same keys, so that a client resumes at one edge what it began
// at another. The keys are in a JetStream KV bucket. Without NATS an edge goes on with those that it has.
type Tickets struct {
	nc  *nats.Conn
	now ClusterTime
	set func([][32]byte)
	log *slog.Logger

	keys []wire.TicketKey // the newest first; of Run's goroutine
	used [][32]byte       // as given to set
}

// Times of the keys.
const (
	ticketsEvery = 20 * time.Second // how often the bucket is read
	ticketsRetry = time.Second      // while an edge has no keys
	// A key encrypts only when every edge has read it.
	ticketsSpread = 3 * ticketsEvery
)

// NewTickets returns Tickets that pass keys to set, as for [tls.Config.SetSessionTicketKeys]: the first one encrypts.
// Until Run has read the keys crypto/tls uses its own, which no other edge has.
func NewTickets(nc *nats.Conn, now ClusterTime, set func([][32]byte), log *slog.Logger) *Tickets {
	return &Tickets{nc: nc, now: now, set: set, log: log}
}

// Run keeps the keys current until ctx ends.
func (t *Tickets) Run(ctx context.Context) {
	for {
		wait := ticketsEvery
		if err := t.renew(ctx); err != nil && ctx.Err() == nil {
			t.log.Debug("cannot read the keys of TLS session tickets", "err", err)
			if len(t.keys) == 0 {
				wait = ticketsRetry
			}
		}
		if !sleep.For(ctx, wait) {
			return
		}
	}
}

// renew reads the keys that all edges share, makes one if it is time, and uses them. If it cannot read them it uses
// those that it has, as long as they are not too old. While cluster time is not known it does nothing: by a wrong clock
// it would replace keys that are valid.
func (t *Tickets) renew(ctx context.Context) error {
	now, known := t.now()
	if !known {
		return errors.New("cluster time is not known yet")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	keys, err := t.share(ctx, now)
	if err == nil {
		t.keys = keys
	}
	t.use(now)
	return err
}

// share reads the keys from the bucket, and writes them when one is due or they are missing: NATS keeps them in memory
// and has forgotten them after a restart. Of several edges that write at once, one succeeds; the others read again.
func (t *Tickets) share(ctx context.Context, now time.Time) ([]wire.TicketKey, error) {
	kv, err := bucket.Open(ctx, t.nc, wire.TicketsConfig())
	if err != nil {
		return nil, err
	}
	for {
		shared, revision := t.keys, uint64(0)
		entry, err := kv.Get(ctx, wire.TicketKeysID)
		switch {
		case err == nil:
			revision = entry.Revision()
			if shared, err = wire.ParseTicketKeys(entry.Value()); err != nil {
				t.log.Error("the shared keys of TLS session tickets cannot be read, and are made anew", "err", err)
				shared = t.keys
			}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return nil, fmt.Errorf("read the keys: %w", err)
		}
		keys, made := rotate(shared, now)
		if revision > 0 && !made && err == nil {
			return keys, nil
		}
		err = bucket.Write(ctx, kv, wire.TicketKeysID, wire.EncodeTicketKeys(keys), revision)
		switch {
		case err == nil:
			if made {
				t.log.Info("a new key of TLS session tickets is shared", "count", len(keys))
			}
			return keys, nil
		case !errors.Is(err, jetstream.ErrKeyRevisionMismatch) && !errors.Is(err, jetstream.ErrKeyExists):
			return nil, fmt.Errorf("write the keys: %w", err)
		}
	}
}

// rotate returns the keys that are valid at a time, the newest first, and whether it made one of them.
func rotate(keys []wire.TicketKey, now time.Time) (valid []wire.TicketKey, made bool) {
	valid = young(keys, now)
	if len(valid) == 0 || now.Sub(valid[0].Made) >= wire.TicketKeyEvery {
		next := wire.TicketKey{Made: now}
		_, _ = rand.Read(next.Key[:]) // never fails, see crypto/rand
		valid, made = slices.Insert(valid, 0, next), true
	}
	return valid[:min(len(valid), wire.MaxTicketKeys)], made
}

// young are the keys that are valid, the newest first.
func young(keys []wire.TicketKey, now time.Time) (valid []wire.TicketKey) {
	for _, k := range keys {
		if age := now.Sub(k.Made); age < wire.TicketKeyAge && age > -wire.TicketKeyEvery { // clocks differ
			valid = append(valid, k)
		}
	}
	slices.SortStableFunc(valid, func(a, b wire.TicketKey) int { return b.Made.Compare(a.Made) })
	return valid
}

// use passes the keys to crypto/tls, if they are others than before. The newest encrypts, unless other edges may not
// have read it yet. An edge whose keys are all too old uses one that no other has.
func (t *Tickets) use(now time.Time) {
	keys := young(t.keys, now)
	if len(keys) == 0 {
		if len(t.keys) == 0 && t.used == nil {
			return // crypto/tls has keys of its own
		}
		t.log.Warn("the keys of TLS session tickets are too old: this edge uses one of its own until it reads NATS")
		keys, _ = rotate(nil, now)
		t.keys = keys
	}
	if len(keys) > 1 && now.Sub(keys[0].Made) < ticketsSpread {
		keys[0], keys[1] = keys[1], keys[0]
	}
	use := make([][32]byte, len(keys))
	for i, k := range keys {
		use[i] = k.Key
	}
	if !slices.Equal(use, t.used) {
		t.used = use
		t.set(use)
	}
}
