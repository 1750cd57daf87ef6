// Package bucket opens JetStream KV buckets.
//
// **Input**: a connection of the caller, and the configuration of a bucket. **Output**: the bucket. **Must not touch**:
// what is in it.
package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Open opens a bucket, and creates one that does not exist. Of several that create it at once, all get the same.
// Errors name the bucket. Without a NATS server it waits until ctx ends.
func Open(ctx context.Context, nc *nats.Conn, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", config.Bucket, err)
	}
	kv, err := js.KeyValue(ctx, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, config)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", config.Bucket, err)
	}
	return kv, nil
}

// Write puts a value under a key whose last value has this revision; 0: it has none, or its value was deleted. Errors:
// [jetstream.ErrKeyRevisionMismatch] or [jetstream.ErrKeyExists], if the key has another value by now.
func Write(ctx context.Context, kv jetstream.KeyValue, key string, value []byte, revision uint64) error {
	if revision == 0 {
		_, err := kv.Create(ctx, key, value) // unlike Update, over the mark of a deletion
		return err
	}
	_, err := kv.Update(ctx, key, value, revision)
	return err
}
