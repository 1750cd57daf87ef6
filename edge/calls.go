package edge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"flickrkillr/schema/page"
)

// calls lets everybody who wants the same page at the same time wait for one fetch of it. A fetch goes on while anyone waits. When the last
// one has left it lingers a moment, for whoever reloads, and is then cancelled. It is gone from the map before its answer is given out, so
// that nobody who asks afterwards is handed an answer older than the question; who asked while it was under way compares versions as with
// any other copy.
type calls struct {
	mu      sync.Mutex
	current map[page.Ref]*call
	closed  bool
	wg      sync.WaitGroup
	ctx     context.Context // of the server's work; set by start
}

type call struct {
	done    chan struct{} // closed when result and err are set
	cancel  context.CancelCauseFunc
	waiting int         // guarded by calls.mu
	kept    bool        // goes on though nobody waits; guarded by calls.mu
	leaving *time.Timer // cancels when it has lingered; nil while nobody has left; guarded by calls.mu
	result  fetched
	err     error
}

// linger is how long a fetch goes on that nobody waits for any more: longer than it takes a browser to reload, so that somebody who reloads
// and reloads waits for one render, and has not begun a hundred.
const linger = 500 * time.Millisecond

// errAbandoned: everybody who waited for a fetch has left.
var errAbandoned = errors.New("nobody waits any more")

func newCalls() *calls { return &calls{current: map[page.Ref]*call{}, ctx: context.Background()} }

func (c *calls) start(ctx context.Context) { c.ctx = ctx }

// stop lets no fetch begin any more and returns when none is under way.
func (c *calls) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}

// do gives the result of the fetch of ref that is under way, or begins one with a deadline. Leader tells which. When ctx ends first, its
// cause is returned.
func (c *calls) do(ctx context.Context, ref page.Ref, deadline time.Duration, fetch func(context.Context) (fetched, error)) (result fetched, leader bool, err error) {
	c.mu.Lock()
	k := c.current[ref]
	if k == nil && c.closed {
		c.mu.Unlock()
		return fetched{}, false, context.Canceled
	}
	if leader = k == nil; leader {
		k = &call{done: make(chan struct{})}
		var fetchCtx context.Context
		fetchCtx, k.cancel = context.WithCancelCause(c.ctx)
		c.current[ref] = k
		c.wg.Go(func() { c.run(fetchCtx, ref, k, deadline, fetch) })
	}
	if k.waiting++; k.leaving != nil {
		k.leaving.Stop()
	}
	c.mu.Unlock()

	select {
	case <-k.done:
		return k.result, leader, k.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err = context.Cause(ctx)
	k.kept = k.kept || errors.Is(err, errShownOlder)
	if k.waiting--; k.waiting == 0 && !k.kept && c.current[ref] == k { // else it has just ended
		k.leaving = time.AfterFunc(linger, func() { c.abandon(ref, k) })
	}
	return fetched{}, leader, err
}

// abandon cancels a fetch that has lingered, unless somebody has joined it meanwhile.
func (c *calls) abandon(ref page.Ref, k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.waiting == 0 && !k.kept {
		k.cancel(errAbandoned)
		c.forget(ref, k)
	}
}

func (c *calls) run(ctx context.Context, ref page.Ref, k *call, deadline time.Duration, fetch func(context.Context) (fetched, error)) {
	defer k.cancel(nil)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	defer close(k.done)
	defer func() {
		if p := recover(); p != nil {
			k.err = fmt.Errorf("fetching %s: panic: %v\n%s", ref, p, debug.Stack())
		}
		c.mu.Lock()
		c.forget(ref, k)
		if k.leaving != nil {
			k.leaving.Stop()
		}
		c.mu.Unlock()
	}()
	k.result, k.err = fetch(ctx)
}

func (c *calls) forget(ref page.Ref, k *call) {
	if c.current[ref] == k {
		delete(c.current, ref)
	}
}
