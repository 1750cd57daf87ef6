package encryption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/crypto/acme/autocert"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/wire"
)

// store keeps what autocert stores in a JetStream KV bucket, so that all edges have it.
type store struct {
	nc  *nats.Conn
	now func() time.Time // cluster time
}

// storeLimit bounds each request: autocert holds a lock meanwhile.
const storeLimit = 2 * time.Second

// with calls f with the bucket.
func (s *store) with(ctx context.Context, f func(context.Context, jetstream.KeyValue) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	kv, err := bucket.Open(ctx, s.nc, wire.ACMEConfig())
	if err != nil {
		return err
	}
	return f(ctx, kv)
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

// turn is an order that an edge makes. Others wait until it has ended, longer after each that has failed: a CA takes
// few orders that fail, and then none for an hour.
type turn struct {
	Until int64 `json:"until"` // microseconds since 1970, cluster time
	Tries int   `json:"tries"`
}

// Times of turns.
const (
	turnTime = 2 * time.Minute // the first one's; each further one's is twice as long
	turnMost = time.Hour
)

// takeTurn reports whether this edge may ask for the certificate of a name: it is stored, or nobody else orders it.
func (s *store) takeTurn(ctx context.Context, name string) (mine bool, err error) {
	err = s.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Get(ctx, storeKey(name))
		if err == nil {
			mine = true
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
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
			return err
		}
		now := s.now()
		if time.UnixMicro(last.Until).After(now) {
			return nil
		}
		last.Tries++
		last.Until = now.Add(min(turnTime<<min(last.Tries-1, 10), turnMost)).UnixMicro()
		value, err := json.Marshal(last)
		if err != nil {
			return err
		}
		_, err = kv.Update(ctx, at, value, revision)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) || errors.Is(err, jetstream.ErrKeyExists) {
			return nil // another edge was quicker
		}
		mine = err == nil
		return err
	})
	if err != nil {
		return false, fmt.Errorf("the order of a certificate: %w", err)
	}
	return mine, nil
}
