package popularity

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"flickrkillr/edge/cache"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Bounds of storing the list.
const (
	defaultListEvery = 10 * time.Second // if the list has changed
	unchangedEvery   = time.Hour        // if it has not: a list that is not renewed expires after a day
	storeTimeout     = 2 * time.Second
	stopTimeout      = time.Second // when the edge stops
)

// lister stores this edge's popularity list, which the cachefills read. When the edge starts it reads the list back, so
// that a restart does not replace the list of a day by that of a moment. While NATS is away it stores nothing.
type lister struct {
	nc      *nats.Conn
	counter *counter
	memory  *cache.Memory
	key     string
	every   time.Duration
	log     *slog.Logger

	restored atomic.Bool // whether the list from before the start was read
	stored   []byte      // what was stored last
	storedAt time.Time
}

// run stores the list until ctx ends, and then once more. The first time it does so at once, whatever is popular: the
// lists say which edges there are.
func (l *lister) run(ctx context.Context) {
	for !l.restore(ctx) { // first, since an empty list would replace the stored one
		if !sleep.For(ctx, min(l.every, time.Second)) {
			return
		}
	}
	for l.store(ctx, storeTimeout); sleep.For(ctx, l.every); {
		l.store(ctx, storeTimeout)
	}
	l.counter.collect(l.memory, rate.NewLimiter(0, 0), time.Now()) // only counts: it is too late to fill memcached
	l.store(context.WithoutCancel(ctx), stopTimeout)
}

func (l *lister) restore(ctx context.Context) (done bool) {
	if !l.nc.IsConnected() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	list, err := popularlist.Get(ctx, l.nc, l.key)
	if err != nil && !errors.Is(err, popularlist.ErrNone) {
		l.log.Debug("cannot read the popularity list", "err", err)
		return false
	}
	l.counter.restore(list)
	if len(list) > 0 {
		l.stored = wire.EncodePopular(list) // so that it is replaced even if no page stays popular
	}
	l.restored.Store(true)
	return true
}

func (l *lister) store(ctx context.Context, timeout time.Duration) {
	list := l.counter.list()
	data := wire.EncodePopular(list)
	unchanged := bytes.Equal(data, l.stored) && time.Since(l.storedAt) < unchangedEvery
	if !l.nc.IsConnected() || unchanged {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := popularlist.Put(ctx, l.nc, l.key, list); err != nil {
		l.log.Debug("cannot store the popularity list", "err", err)
		return
	}
	l.stored, l.storedAt = data, time.Now()
}
