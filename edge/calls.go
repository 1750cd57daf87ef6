package edge

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"flickrkillr/schema/page"
)

// calls lets everybody who wants the same page at the same time wait for one fetch of it. A fetch goes on while anyone waits and is
// cancelled when the last one leaves. It is gone from the map before its answer is given out, so that nobody who asks afterwards is
// handed an answer older than the question; who asked while it was under way compares versions as with any other copy.
type calls struct {
	mu      sync.Mutex
	current map[page.Ref]*call
	closed  bool
	wg      sync.WaitGroup
	ctx     context.Context // of the server's work; set by start
}

type call struct {
	done    chan struct{} // closed when result and err are set
	cancel  context.CancelFunc
	waiting int // guarded by calls.mu
	result  fetched
	err     error
}

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
// error is returned.
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
		fetchCtx, k.cancel = context.WithTimeout(c.ctx, deadline)
		c.current[ref] = k
		c.wg.Go(func() { c.run(fetchCtx, ref, k, fetch) })
	}
	k.waiting++
	c.mu.Unlock()

	select {
	case <-k.done:
		return k.result, leader, k.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.waiting--; k.waiting == 0 {
		k.cancel()
		c.forget(ref, k)
	}
	return fetched{}, leader, ctx.Err()
}

func (c *calls) run(ctx context.Context, ref page.Ref, k *call, fetch func(context.Context) (fetched, error)) {
	defer k.cancel()
	defer close(k.done)
	defer func() {
		if p := recover(); p != nil {
			k.err = fmt.Errorf("fetching %s: panic: %v\n%s", ref, p, debug.Stack())
		}
		c.mu.Lock()
		c.forget(ref, k)
		c.mu.Unlock()
	}()
	k.result, k.err = fetch(ctx)
}

func (c *calls) forget(ref page.Ref, k *call) {
	if c.current[ref] == k {
		delete(c.current, ref)
	}
}
