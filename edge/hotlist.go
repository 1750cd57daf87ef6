package edge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"flickrkillr/schema/hotlist"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// Bounds of keeping the list.
const (
	keepEvery  = 10 * time.Second // when the list has changed
	keepAgain  = time.Hour        // when it has not: a list that nobody renews is forgotten after a day
	keepBound  = 2 * time.Second  // for one try
	keepAtStop = time.Second      // for the last one
)

// keeper writes the list of what is in demand at this edge where the cachefills find it, and reads it back when the edge starts, so that a
// restart does not replace a day's list by a moment's. While NATS is away it waits: the next list is as good.
type keeper struct {
	nc    *nats.Conn
	hot   *hot
	near  *nearCache
	key   string
	every time.Duration
	log   *slog.Logger

	ready  atomic.Bool // what was there has been read
	kept   []byte      // what was written last
	keptAt time.Time
}

func newKeeper(s *Server) *keeper {
	k := &keeper{nc: s.cfg.NATS, hot: s.hot, near: s.near, every: s.cfg.HotEvery, log: s.log}
	if k.every == 0 {
		k.every = keepEvery
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		port = "0"
	}
	k.key = hotlist.Key(host, port)
	return k
}

// run works until ctx ends, and keeps the list once more then.
func (k *keeper) run(ctx context.Context) {
	for !k.restore(ctx) { // never before: an empty list would replace the one that is there
		if !sleep.For(ctx, min(k.every, time.Second)) {
			return
		}
	}
	for sleep.For(ctx, k.every) {
		k.keep(ctx, keepBound)
	}
	k.hot.gather(k.near, rate.NewLimiter(0, 0), time.Now()) // what is not in memcached now is too late
	k.keep(context.WithoutCancel(ctx), keepAtStop)
}

func (k *keeper) restore(ctx context.Context) (done bool) {
	if !k.nc.IsConnected() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, keepBound)
	defer cancel()
	list, err := hotlist.Get(ctx, k.nc, k.key)
	if err != nil && !errors.Is(err, hotlist.ErrNone) {
		k.log.Debug("hot list: not read", "err", err)
		return false
	}
	k.hot.restore(list)
	k.ready.Store(true)
	return true
}

func (k *keeper) keep(ctx context.Context, bound time.Duration) {
	list := k.hot.list()
	data := wire.EncodeHot(list)
	if len(list) == 0 || !k.nc.IsConnected() || bytes.Equal(data, k.kept) && time.Since(k.keptAt) < keepAgain {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if err := hotlist.Put(ctx, k.nc, k.key, list); err != nil {
		k.log.Debug("hot list: not kept", "err", err)
		return
	}
	k.kept, k.keptAt = data, time.Now()
}
