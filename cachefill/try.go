package cachefill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// try makes memcached hold the job's page, unless it already does. One cachefill at a time does so for a page: the
// one that adds the lock, which lies on the page's server. The others wait for it, and then usually find the page.
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
		return resultCacheError, nil // logged once, by become
	}
	for range rounds {
		err := s.do(func() error { return s.client.Add(&memcache.Item{Key: lock, Expiration: lockSeconds}) })
		switch {
		case err == nil:
			defer func() { _ = s.client.Delete(lock) }() // if this fails, it expires
			return f.store(ctx, s, j, key)
		case !errors.Is(err, memcache.ErrNotStored):
			return resultCacheError, fmt.Errorf("locking %s: %w", key, err)
		}
		if !sleep.For(ctx, pause) {
			return resultFailed, ctx.Err()
		}
		if good, _ := s.holds(key, j); good {
			return resultHeld, nil
		}
	}
	return resultHeld, nil // another cachefill works on it or died; the next note starts again
}

// holds reports whether the server has a copy that meets the job's conditions. A copy that cannot be read or decoded
// does not. exists reports whether it has any.
func (s *server) holds(key string, j *job) (good, exists bool) {
	var item *memcache.Item
	err := s.do(func() (err error) { item, err = s.client.Get(key); return err })
	if err != nil {
		return false, false
	}
	reply, err := wire.DecodeReply(key, item.Value)
	return err == nil && j.Met(reply), true
}

// store requests the page, compressed, and stores the reply unchanged in memcached, unless that has happened since
// the note was sent.
func (f *Filler) store(ctx context.Context, s *server, j *job, key string) (result, error) {
	good, exists := s.holds(key, j)
	if good {
		return resultHeld, nil
	}
	ask, cancel := context.WithTimeout(ctx, wire.Deadline(j.Ref))
	defer cancel()
	request := &nats.Msg{Subject: j.Ref.Subject(), Header: nats.Header{wire.HeaderAccept: {wire.EncodingGzip}}}
	j.Conditions().Set(request.Header)
	msg, err := f.cfg.NATS.RequestMsgWithContext(ask, request)
	if err == nil {
		err = wire.ErrorOf(msg)
	}
	if err != nil {
		return resultFailed, fmt.Errorf("asking for %s: %w", j.Ref, err)
	}
	reply, err := wire.DecodeReply(key, msg.Data)
	if err != nil {
		return resultFailed, fmt.Errorf("the reply to %s: %w", j.Ref, err)
	}
	if reply.MaxAge <= 0 {
		return resultPrivate, nil
	}
	if len(key)+len(msg.Data)+itemOverhead > f.cfg.ItemLimit {
		return resultTooLarge, nil // the old value, which can still be shown as stale, stays
	}
	ttl := min(reply.MaxAge+wire.StaleAge, maxTTL)
	err = s.put(&memcache.Item{Key: key, Value: msg.Data, Expiration: int32(ttl / time.Second)}, !exists)
	switch {
	case errors.Is(err, errTooLarge):
		return resultTooLarge, nil
	case err != nil:
		return resultCacheError, fmt.Errorf("storing %s: %w", key, err)
	}
	return resultFilled, nil
}
