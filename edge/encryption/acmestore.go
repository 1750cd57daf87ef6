package encryption

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/crypto/acme/autocert"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/wire"
)

// ClusterTime returns cluster time, and whether it is known. Until then nothing is written that others compare with it.
type ClusterTime func() (now time.Time, known bool)

// store keeps what autocert stores in a JetStream KV bucket, so that all edges have it.
type store struct {
	nc  *nats.Conn
	now ClusterTime

	mu    sync.Mutex
	kv    jetstream.KeyValue   // nil: to be opened
	turns map[string]time.Time // of this edge: until when it may order a certificate for a name
}

func newStore(nc *nats.Conn, now ClusterTime) *store {
	return &store{nc: nc, now: now, turns: map[string]time.Time{}}
}

// storeLimit bounds each request: autocert holds a lock meanwhile.
const storeLimit = 2 * time.Second

// with calls f with the bucket, which it opens again after an error.
func (s *store) with(ctx context.Context, f func(context.Context, jetstream.KeyValue) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	s.mu.Lock()
	kv := s.kv
	s.mu.Unlock()
	if kv == nil {
		var err error
		if kv, err = bucket.Open(ctx, s.nc, wire.ACMEConfig()); err != nil {
			return err
		}
	}
	err := f(ctx, kv)
	if err != nil && !errors.Is(err, autocert.ErrCacheMiss) {
		kv = nil
	}
	s.mu.Lock()
	s.kv = kv
	s.mu.Unlock()
	return err
}

// storeKey is the key in the bucket of one of autocert's keys, which may have a "+".
func storeKey(key string) string { return strings.ReplaceAll(key, "+", "=") }

// Get is for [autocert.Cache].
func (s *store) Get(ctx context.Context, key string) (data []byte, err error) {
	err = s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, storeKey(key))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return autocert.ErrCacheMiss
		}
		if err == nil {
			data = entry.Value()
		}
		return err
	})
	return data, err
}

// Put is for [autocert.Cache].
func (s *store) Put(ctx context.Context, key string, data []byte) error {
	return s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Put(ctx, storeKey(key), data)
		return err
	})
}

// Delete is for [autocert.Cache].
func (s *store) Delete(ctx context.Context, key string) error {
	return s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		return kv.Purge(ctx, storeKey(key))
	})
}

// turn is the time in which one edge may order a certificate. Others wait until it has ended, longer after each that
// has failed: a CA takes few orders that fail, and then none for an hour.
type turn struct {
	Until int64 `json:"until"` // microseconds since 1970, cluster time
	Tries int   `json:"tries"`
}

// Times of turns.
const (
	// The first one's; each further one's is twice as long. autocert gives up an order after 5 minutes, a renewal after
	// 10. Let's Encrypt takes five challenges that fail, and another one every 12 minutes; an order tries two.
	turnTime  = 12 * time.Minute
	turnMost  = time.Hour
	turnFresh = 6 * time.Hour // after a turn; then the tries are counted anew
)

// storedOrMine reports whether this edge may ask for the certificate of a name: a valid one is stored, or it is this
// edge's turn to order one.
func (s *store) storedOrMine(ctx context.Context, name string) (yes bool, err error) {
	err = s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, storeKey(name))
		switch {
		case err == nil && usable(entry.Value(), name):
			yes = true
			return nil
		case err != nil && !errors.Is(err, jetstream.ErrKeyNotFound):
			return err
		}
		if _, known := s.now(); known {
			yes, err = s.takeTurn(ctx, kv, name)
			return err
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read the certificate: %w", err)
	}
	return yes, nil
}

// usable reports whether autocert uses a stored certificate. Otherwise it orders one.
func usable(stored []byte, name string) bool {
	cert, err := tls.X509KeyPair(stored, stored)
	if err != nil {
		return false
	}
	now := time.Now() // by which autocert goes
	return !now.Before(cert.Leaf.NotBefore) && !now.After(cert.Leaf.NotAfter) && cert.Leaf.VerifyHostname(name) == nil
}

// mayOrder returns nil if it is this edge's turn to order a certificate for a name, for the first time or again.
// Without the bus it is nobody's: what the CA gave could not be stored, and would be ordered again.
func (s *store) mayOrder(ctx context.Context, name string) error {
	s.mu.Lock()
	until := s.turns[name]
	s.mu.Unlock()
	if time.Now().Before(until) && s.nc.IsConnected() {
		return nil
	}
	if _, known := s.now(); !known {
		return errors.New("the order of a certificate waits until cluster time is known")
	}
	mine := false
	err := s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) (err error) {
		mine, err = s.takeTurn(ctx, kv, name)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("the order of a certificate: %w", err)
	case !mine:
		return errors.New("the order of a certificate is another edge's turn, or waits after one that failed")
	}
	return nil
}

// takeTurn makes it this edge's turn, if it is nobody's.
func (s *store) takeTurn(ctx context.Context, kv jetstream.KeyValue, name string) (mine bool, err error) {
	at := storeKey(name + "+turn")
	last, revision := turn{}, uint64(0)
	entry, err := kv.Get(ctx, at)
	switch {
	case err == nil:
		revision = entry.Revision()
		if json.Unmarshal(entry.Value(), &last) != nil {
			last = turn{} // of another version
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return false, err
	}
	now, _ := s.now()
	switch left := time.UnixMicro(last.Until).Sub(now); {
	case left > turnMost, left < -turnFresh: // by a clock that was wrong, or of an order before
		last = turn{}
	case left > 0:
		return false, nil
	}
	lasts := min(turnTime<<min(last.Tries, 10), turnMost)
	value, err := json.Marshal(turn{Until: now.Add(lasts).UnixMicro(), Tries: last.Tries + 1})
	if err != nil {
		return false, err
	}
	begun := time.Now()
	if err = bucket.Write(ctx, kv, at, value, revision); err != nil {
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) || errors.Is(err, jetstream.ErrKeyExists) {
			return false, nil // another edge was quicker
		}
		return false, err
	}
	s.mu.Lock()
	s.turns[name] = begun.Add(turnTime)
	s.mu.Unlock()
	return true, nil
}
