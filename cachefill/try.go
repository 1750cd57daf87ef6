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

// try makes memcached hold the job's page, if it does not already. One cachefill at a time does so for a page: whoever
// adds the lock, which lies where the page does. The others come back when it is done, and then mostly find that
// nothing is left to do.
func (f *Filler) try(ctx context.Context, j *job) (result, error) {
	const rounds, pause = 50, 10 * time.Millisecond
	key := j.Ref.Key()
	lock := lockPrefix + key
	addr, err := f.ring.PickServer(key)
	if err != nil {
		return resultCacheError, err
	}
	s := f.servers[addr.String()]
	if s.away() {
		return resultCacheError, nil // said once, where it was found
	}
	for range rounds {
		err := s.do(func() error { return s.client.Add(&memcache.Item{Key: lock, Expiration: lockSeconds}) })
		switch {
		case err == nil:
			defer func() { _ = s.client.Delete(lock) }() // else it ends by itself
			return f.store(ctx, s, j, key)
		case !errors.Is(err, memcache.ErrNotStored):
			return resultCacheError, fmt.Errorf("locking %s: %w", key, err)
		}
		select {
		case <-ctx.Done():
			return resultFailed, ctx.Err()
		case <-time.After(pause):
		}
		if s.holds(key, j) {
			return resultHeld, nil
		}
	}
	return resultHeld, nil // somebody is at it, or died at it; the next who wants the page says so again
}

// holds reports whether the server has a copy that is as good as the job wants it. One that cannot be had or decoded
// does not count.
func (s *server) holds(key string, j *job) bool {
	var item *memcache.Item
	err := s.do(func() (err error) { item, err = s.client.Get(key); return err })
	if err != nil {
		return false
	}
	reply, err := wire.DecodeReply(item.Value)
	return err == nil && j.Met(reply)
}

// store asks for the page, packed, and puts the reply into memcached as it came, unless that has been done since the
// note was sent.
func (f *Filler) store(ctx context.Context, s *server, j *job, key string) (result, error) {
	if s.holds(key, j) {
		return resultHeld, nil
	}
	ask, cancel := context.WithTimeout(ctx, wire.Deadline(j.Ref))
	defer cancel()
	msg, err := f.cfg.NATS.RequestMsgWithContext(ask,
		&nats.Msg{Subject: j.Ref.Subject(), Header: nats.Header{wire.HeaderAccept: {wire.EncodingGzip}}})
	if err == nil {
		err = wire.ErrorOf(msg)
	}
	if err != nil {
		return resultFailed, fmt.Errorf("asking for %s: %w", j.Ref, err)
	}
	reply, err := wire.DecodeReply(msg.Data)
	if err != nil {
		return resultFailed, fmt.Errorf("the reply to %s: %w", j.Ref, err)
	}
	if reply.MaxAge <= 0 {
		return resultPrivate, nil
	}
	if len(key)+len(msg.Data)+itemOverhead > f.cfg.ItemLimit {
		// memcached would refuse it and drop the old value, which somebody may still be glad of
		return resultTooLarge, nil
	}
	ttl := min(reply.MaxAge+wire.StaleAge, maxTTL)
	err = s.do(func() error {
		return s.client.Set(&memcache.Item{Key: key, Value: msg.Data, Expiration: int32(ttl / time.Second)})
	})
	if err != nil {
		return resultCacheError, fmt.Errorf("storing %s: %w", key, err)
	}
	return resultFilled, nil
}
