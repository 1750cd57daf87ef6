// Package popularlist stores the popularity lists: one for each edge, in the JetStream KV bucket HOT, so that they
// survive restarts of edges, cachefills and memcached.
//
// **Input**: lists from edges. **Output**: an edge's own list when it starts, and the sum of all lists, which fills an
// empty memcached. **Must not touch**: anything but the bus, through a connection of the caller. Every call ends with
// its context.
package popularlist

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/bucket"
	"flickrkillr/schema/wire"
)

// ErrNone: there is no list yet.
var ErrNone = errors.New("there is no popularity list yet")

// Key is the key for the edge that listens on a port of a host. It is valid for any host name, and the same after a
// restart.
func Key(host, port string) string {
	clean := func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_' // also a dot, which separates tokens of a key
	}
	return "edge." + strings.Map(clean, host) + "." + strings.Map(clean, port)
}

// Put stores a list under a key. It creates the bucket if it does not exist.
func Put(ctx context.Context, nc *nats.Conn, key string, list []wire.Popular) error {
	kv, err := bucket.Open(ctx, nc, wire.PopularConfig())
	if err == nil {
		_, err = kv.Put(ctx, key, wire.EncodePopular(list))
	}
	if err != nil {
		return fmt.Errorf("keeping the popularity list %s: %w", key, err)
	}
	return nil
}

// Get reads the list under a key. The error wraps ErrNone when there is none.
func Get(ctx context.Context, nc *nats.Conn, key string) ([]wire.Popular, error) {
	kv, err := open(ctx, nc)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		err = ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("reading the popularity list %s: %w", key, err)
	}
	list, _ := wire.DecodePopular(entry.Value()) // lines of another version are skipped
	return list, nil
}

// All reads all lists and adds them up, most popular first. The error wraps ErrNone when there is none.
func All(ctx context.Context, nc *nats.Conn) ([]wire.Popular, error) {
	kv, err := open(ctx, nc)
	if err != nil {
		return nil, err
	}
	watcher, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("reading the popularity lists: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // its context ends too
	var lists [][]wire.Popular
	for { // each key's list, then nil
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reading the popularity lists: %w", ctx.Err())
		case entry, ok := <-watcher.Updates():
			if !ok {
				return nil, errors.New("reading the popularity lists: the bus was lost")
			}
			if entry != nil {
				list, _ := wire.DecodePopular(entry.Value()) // as in Get
				lists = append(lists, list)
				continue
			}
			if all := wire.MergePopular(lists...); len(all) > 0 {
				return all, nil
			}
			return nil, ErrNone
		}
	}
}

func open(ctx context.Context, nc *nats.Conn) (jetstream.KeyValue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("opening the popularity lists: %w", err)
	}
	kv, err := js.KeyValue(ctx, wire.BucketPopular)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("opening the popularity lists: %w", err)
	}
	return kv, nil
}
