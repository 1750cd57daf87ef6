package cachefill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flickrkillr/schema/wire"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"
)

// try makes memcached hold the job's page, if it does not already. One cachefill at a time does so for a page: whoever adds the lock. The
// others come back when it is done, and then mostly find that nothing is left to do.
func (f *Filler) try(ctx context.Context, j job) (result, error) {
	const rounds, pause = 10, 50 * time.Millisecond
	key := j.ref.Key()
	for range rounds {
		err := f.cache.Add(&memcache.Item{Key: lockPrefix + key, Value: []byte{}, Expiration: lockSeconds})
		switch {
		case err == nil:
			defer func() { _ = f.cache.Delete(lockPrefix + key) }() // else it ends by itself
			return f.store(ctx, j, key)
		case !errors.Is(err, memcache.ErrNotStored):
			return resultCacheError, fmt.Errorf("locking %s: %w", key, err)
		}
		select {
		case <-ctx.Done():
			return resultFailed, ctx.Err()
		case <-time.After(pause):
		}
		if f.holds(key, j.readAt) {
			return resultHeld, nil
		}
	}
	return resultHeld, nil // somebody is at it, or died at it; the next who wants the page says so again
}

// holds reports whether memcached has a copy that was read at a time or later. One that cannot be had or decoded does not count.
func (f *Filler) holds(key string, readAt time.Time) bool {
	item, err := f.cache.Get(key)
	if err != nil {
		return false
	}
	reply, err := wire.DecodeReply(item.Value)
	return err == nil && !reply.ReadAt.Before(readAt)
}

// store asks for the page and puts the reply into memcached as it came, unless that has been done since the note was sent.
func (f *Filler) store(ctx context.Context, j job, key string) (result, error) {
	if f.holds(key, j.readAt) {
		return resultHeld, nil
	}
	ask, cancel := context.WithTimeout(ctx, wire.Deadline(j.ref))
	defer cancel()
	msg, err := f.cfg.NATS.RequestMsgWithContext(ask, nats.NewMsg(j.ref.Subject()))
	if err == nil {
		err = wire.ErrorOf(msg)
	}
	if err != nil {
		return resultFailed, fmt.Errorf("asking for %s: %w", j.ref, err)
	}
	reply, err := wire.DecodeReply(msg.Data)
	if err != nil {
		return resultFailed, fmt.Errorf("the reply to %s: %w", j.ref, err)
	}
	if reply.MaxAge <= 0 {
		return resultPrivate, nil
	}
	if len(key)+len(msg.Data)+itemOverhead > f.cfg.ItemLimit {
		return resultTooLarge, nil // memcached would refuse it and drop the old value, which somebody may still be glad of
	}
	ttl := min(reply.MaxAge+wire.StaleAge, maxTTL)
	if err := f.cache.Set(&memcache.Item{Key: key, Value: msg.Data, Expiration: int32(ttl / time.Second)}); err != nil {
		return resultCacheError, fmt.Errorf("storing %s: %w", key, err)
	}
	return resultFilled, nil
}
