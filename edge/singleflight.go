package edge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/page"
)

// flights share fetches: all requests for a page at the same time wait for one fetch (singleflight). A fetch goes on
// while a request waits for it, and for a grace period after the last one has left; then it is cancelled. If a request
// was answered with a stale page instead, the fetch goes on to its end, for the next request. A fetch leaves the map
// before its result is delivered, so a request that comes after the result begins another fetch.
type flights struct {
	mu      sync.Mutex
	current map[page.Ref]*flight
	closed  bool
	wg      sync.WaitGroup
	shared  prometheus.Counter // requests that joined a fetch
}

type flight struct {
	done     chan struct{} // closed when result and err are set
	cancel   context.CancelCauseFunc
	waiting  int         // guarded by flights.mu
	detached bool        // goes on even if no request waits; guarded by flights.mu
	grace    *time.Timer // cancels the fetch; nil until all requests have left once; guarded by flights.mu
	result   fetched
	err      error
}

// flightGrace is longer than a browser takes to reload, so that a client that reloads over and over waits for one
// render and does not begin a hundred.
const flightGrace = 500 * time.Millisecond

// errAbandoned: all requests that waited for a fetch have left.
var errAbandoned = errors.New("no request waits for the page any more")

func newFlights(shared prometheus.Counter) *flights {
	return &flights{current: map[page.Ref]*flight{}, shared: shared}
}

// stop prevents further fetches, cancels those under way and waits for their end.
func (f *flights) stop() {
	f.mu.Lock()
	f.closed = true
	for _, one := range f.current {
		one.cancel(context.Canceled)
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// do returns the result of the current fetch of ref, or begins one with a timeout. leader tells which. When ctx ends
// first, do returns its cause.
func (f *flights) do(
	ctx context.Context, ref page.Ref, timeout time.Duration, fetch func(context.Context) (fetched, error),
) (result fetched, leader bool, err error) {
	f.mu.Lock()
	one := f.current[ref]
	if one == nil && f.closed {
		f.mu.Unlock()
		return fetched{}, false, context.Canceled
	}
	if leader = one == nil; leader {
		one = &flight{done: make(chan struct{})}
		var fetchCtx context.Context // not from ctx: other requests may wait longer than this one
		fetchCtx, one.cancel = context.WithCancelCause(context.Background())
		f.current[ref] = one
		f.wg.Go(func() { f.run(fetchCtx, ref, one, timeout, fetch) })
	} else {
		f.shared.Inc()
	}
	if one.waiting++; one.grace != nil {
		one.grace.Stop()
	}
	f.mu.Unlock()

	select {
	case <-one.done:
		return one.result, leader, one.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err = context.Cause(ctx)
	one.detached = one.detached || errors.Is(err, errTookLong) // the next request wants the result
	if one.waiting--; one.waiting == 0 && !one.detached && f.current[ref] == one {
		one.grace = time.AfterFunc(flightGrace, func() { f.abandon(ref, one) })
	}
	return fetched{}, leader, err
}

// abandon cancels a fetch after its grace period, unless a request has joined it meanwhile.
func (f *flights) abandon(ref page.Ref, one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.waiting == 0 && !one.detached {
		one.cancel(errAbandoned)
		f.remove(ref, one)
	}
}

func (f *flights) run(
	ctx context.Context, ref page.Ref, one *flight, timeout time.Duration,
	fetch func(context.Context) (fetched, error),
) {
	defer one.cancel(nil)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer close(one.done)
	defer func() {
		if p := recover(); p != nil {
			one.err = fmt.Errorf("fetching %s: panic: %v\n%s", ref, p, debug.Stack())
		}
		f.mu.Lock()
		f.remove(ref, one)
		if one.grace != nil {
			one.grace.Stop()
		}
		f.mu.Unlock()
	}()
	one.result, one.err = fetch(ctx)
}

func (f *flights) remove(ref page.Ref, one *flight) {
	if f.current[ref] == one {
		delete(f.current, ref)
	}
}
