package renderer

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Times of the check of buckets.
const (
	bucketsEvery = time.Minute
	bucketsSoon  = 2 * time.Second // after a stall; by then a heartbeat has said which relay is active
	bucketLimit  = 2 * time.Second // for a request of JetStream
	// for each value besides, when all of a bucket are read or written: 0.2 ms in a server that syncs each
	bucketEach  = time.Millisecond
	bucketPause = time.Second // between tries to make one anew
)

// watchBuckets checks the JetStream KV buckets until ctx ends, while this relay is the active one: every minute, and
// after its stream had stalled. A bucket is a stream too: after a failed write to a full disk it takes no value until
// the server restarts or it is made anew. That may happen to a bucket alone, when the stream's last block on the disk
// had room. A bucket that is being made anew is completed under held.
func (r *relay) watchBuckets(ctx, held context.Context) {
	wait := r.bucketsEvery
	if r.replicas > 1 {
		wait = min(wait, bucketsSoon)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.resumed:
			wait = bucketsSoon
			continue
		case <-time.After(wait):
			wait = r.bucketsEvery
		}
		if !r.active.Load() || r.unacked.Load() != 0 {
			continue
		}
		for _, name := range append(wire.Buckets(), wire.StreamChanges, wire.BucketACME, wire.BucketTickets) {
			if err := r.replicate(ctx, name); err != nil && ctx.Err() == nil {
				r.log.Warn("relay: the number of replicas cannot be set", "name", name, "replicas", r.replicas,
					"err", err)
			}
		}
		for _, name := range wire.Buckets() {
			if err := r.repairBucket(ctx, held, name); err != nil && ctx.Err() == nil {
				r.log.Warn("relay: a bucket takes no values", "bucket", name, "err", err)
			}
		}
	}
}

// replicate gives the stream CHANGES, or a bucket, as many replicas as are configured. Edges make the buckets, and know
// nothing of replicas.
func (r *relay) replicate(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	if name != wire.StreamChanges {
		name = wire.BucketStream(name)
	}
	stream, err := r.js.Stream(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	config := stream.CachedInfo().Config
	// Any replica may answer a direct request, with what was so some time ago. A session that has ended must be none.
	direct := config.AllowDirect && (name != wire.BucketStream(wire.BucketSessions) || r.replicas == 1)
	marker := config.SubjectDeleteMarkerTTL // edges of before have made the bucket of sessions without
	if name == wire.BucketStream(wire.BucketSessions) {
		marker = wire.SessionMarkerAge
	}
	if config.Replicas == r.replicas && config.AllowDirect == direct && config.SubjectDeleteMarkerTTL == marker {
		return nil
	}
	config.Replicas, config.AllowDirect = r.replicas, direct
	config.AllowMsgTTL, config.SubjectDeleteMarkerTTL = config.AllowMsgTTL || marker > 0, marker
	if _, err := r.js.UpdateStream(ctx, config); err != nil {
		return err
	}
	r.log.Info("relay: the number of replicas and the age of markers are set", "name", name, "replicas", r.replicas)
	return nil
}

// repairBucket makes a bucket anew, with the values that it has, if it has not taken another one twice, with
// remakeAfter in between, although NATS was never away.
func (r *relay) repairBucket(ctx, held context.Context, name string) error {
	asking, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	kv, err := r.js.KeyValue(asking, name)
	if err != nil {
		return nil //nolint:nilerr // there is none, or JetStream is away
	}
	before, err := r.js.Stream(asking, wire.BucketStream(name))
	if err != nil {
		return err
	}
	reconnects := r.nc.Stats().Reconnects
	if takesValues(ctx, kv) == nil || !sleep.For(ctx, remakeAfter) {
		return nil
	}
	if err = takesValues(ctx, kv); err == nil {
		return nil
	}
	if !r.nc.IsConnected() || r.nc.Stats().Reconnects != reconnects {
		return err
	}
	return r.remakeBucket(held, kv, before.CachedInfo(), err)
}

// takesValues puts a value into a bucket, and removes it.
func takesValues(ctx context.Context, kv jetstream.KeyValue) error {
	const probe = "probe"
	ctx, cancel := context.WithTimeout(ctx, bucketLimit)
	defer cancel()
	if _, err := kv.Put(ctx, probe, nil); err != nil {
		return err
	}
	return kv.Purge(ctx, probe)
}

// remakeBucket makes a bucket anew that failed with cause, unless it has been made anew since before, or its servers
// are electing a leader.
func (r *relay) remakeBucket(ctx context.Context, kv jetstream.KeyValue, before *jetstream.StreamInfo, cause error,
) error {
	asking, cancel := context.WithTimeout(ctx, bucketLimit+time.Duration(before.State.Msgs)*bucketEach)
	defer cancel()
	values, err := valuesOf(asking, kv)
	if err != nil {
		return errors.Join(cause, err)
	}
	stream, err := r.js.Stream(asking, before.Config.Name)
	if err != nil {
		return errors.Join(cause, err)
	}
	now := stream.CachedInfo()
	if !now.Created.Equal(before.Created) || now.Cluster != nil && now.Cluster.Leader == "" {
		return cause
	}
	if err := r.js.DeleteStream(asking, before.Config.Name); err != nil {
		return errors.Join(cause, err)
	}
	r.log.Warn("relay: a bucket took no values and is made anew", "bucket", kv.Bucket(), "count", len(values),
		"err", cause)
	for {
		if err = r.restore(ctx, kv, before.Config, values); err == nil {
			return nil
		}
		if !sleep.For(ctx, bucketPause) { // the disk may be full again
			r.log.Error("relay: a bucket was deleted and could not be made anew", "bucket", kv.Bucket(), "err", err)
			return err
		}
	}
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
		case entry, ok := <-watcher.Updates():
			if !ok {
				return nil, errors.New("the watcher of the bucket has ended")
			}
			if entry == nil { // that was all
				return values, nil
			}
			values[entry.Key()] = entry.Value()
		}
	}
}

// restore makes a bucket and puts values into it, unless somebody has put or deleted one meanwhile: a session that has
// ended stays so. Only in the bucket of keys the old values count, because edges hold the old key of tokens.
func (r *relay) restore(ctx context.Context, kv jetstream.KeyValue, cfg jetstream.StreamConfig,
	values map[string][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, bucketLimit+time.Duration(len(values))*bucketEach)
	defer cancel()
	if _, err := r.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err
	}
	for _, key := range restoreOrder(slices.Collect(maps.Keys(values))) {
		value := values[key]
		var err error
		if kv.Bucket() == wire.BucketKeys {
			_, err = kv.Put(ctx, key, value)
		} else if _, err = kv.Update(ctx, key, value, 0); errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreOrder puts what revokes sessions before all else: no session counts again, not even for a moment.
func restoreOrder(keys []string) []string {
	slices.SortFunc(keys, func(a, b string) int {
		_, aRevokes := wire.ParseRevocationKey(a)
		_, bRevokes := wire.ParseRevocationKey(b)
		switch {
		case aRevokes == bRevokes:
			return cmp.Compare(a, b)
		case aRevokes:
			return -1
		}
		return 1
	})
	return keys
}
