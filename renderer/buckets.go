package renderer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Bounds of looking after buckets.
const (
	bucketsEvery = time.Minute
	bucketLimit  = 2 * time.Second // for each request of JetStream, and for reading all values of a bucket
	bucketPause  = time.Second     // between tries to make one anew
)

// watchBuckets looks after the JetStream KV buckets until ctx ends: the active relay every minute, and each relay whose
// stream had stalled. A bucket is a stream too: after a failed write to a full disk it takes no value until the server
// restarts or it is made anew. That may happen to a bucket alone, when the stream's last block on the disk had room.
func (r *relay) watchBuckets(ctx context.Context) {
	for {
		every := time.NewTimer(bucketsEvery)
		select {
		case <-ctx.Done():
			every.Stop()
			return
		case <-r.resumed:
			every.Stop()
		case <-every.C:
			if !r.active.Load() || r.unacked.Load() != 0 {
				continue
			}
		}
		for _, name := range wire.Buckets() {
			if err := r.repairBucket(ctx, name); err != nil && ctx.Err() == nil {
				r.log.Warn("relay: a bucket takes no values", "bucket", name, "err", err)
			}
		}
	}
}

// repairBucket makes a bucket anew, with the values that it has, if it does not take another one. The disk has room, as
// far as known.
func (r *relay) repairBucket(ctx context.Context, name string) error {
	asking, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	kv, err := r.js.KeyValue(asking, name)
	if err != nil {
		return nil //nolint:nilerr // there is none, or JetStream is away
	}
	status, err := kv.Status(asking)
	if err != nil {
		return err
	}
	before, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return fmt.Errorf("bucket %s: an unknown status", name)
	}
	const probe = "probe"
	if _, err = kv.Put(asking, probe, nil); err == nil {
		return kv.Purge(asking, probe)
	}
	return r.remakeBucket(ctx, kv, before.StreamInfo(), err)
}

// remakeBucket makes a bucket anew that failed with cause, unless another relay has done so since before.
func (r *relay) remakeBucket(ctx context.Context, kv jetstream.KeyValue, before *jetstream.StreamInfo, cause error,
) error {
	asking, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	stream := before.Config.Name
	now, err := r.js.Stream(asking, stream)
	if err != nil || !now.CachedInfo().Created.Equal(before.Created) {
		return err
	}
	values, err := valuesOf(asking, kv)
	if err == nil {
		err = r.js.DeleteStream(asking, stream)
	}
	if err != nil {
		return errors.Join(cause, err)
	}
	r.log.Warn("relay: a bucket took no values and is made anew", "bucket", kv.Bucket(), "count", len(values),
		"err", cause)
	for ctx.Err() == nil {
		if err = r.restore(ctx, kv, before.Config, values); err == nil {
			return nil
		}
		sleep.For(ctx, bucketPause) // the disk may be full again
	}
	return err
}

// valuesOf reads all values of a bucket.
func valuesOf(ctx context.Context, kv jetstream.KeyValue) (map[string][]byte, error) {
	watcher, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = watcher.Stop() }() // its context ends too
	values := map[string][]byte{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry := <-watcher.Updates():
			if entry == nil { // the end, or a lost connection
				return values, ctx.Err()
			}
			values[entry.Key()] = entry.Value()
		}
	}
}

// restore makes a bucket and puts values into it, except those that another one has put there since.
func (r *relay) restore(ctx context.Context, kv jetstream.KeyValue, cfg jetstream.StreamConfig,
	values map[string][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	if _, err := r.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err
	}
	for key, value := range values {
		if _, err := kv.Create(ctx, key, value); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
	}
	return nil
}
