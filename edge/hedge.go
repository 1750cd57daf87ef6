package edge

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// Bounds of hedges.
const (
	hedgeFloor   = 3 * time.Millisecond   // before a hedge, at least
	hedgeFirst   = 100 * time.Millisecond // before any reply was timed
	hedgeSteady  = 25 * time.Millisecond  // each hedge waits as long as all before it, up to this
	hedgeSlowing = 4                      // apart by this part of the time since the first request, at least
	hedgeRate    = .2                     // requests that are hedged at once, as a part of those in flight
	hedgeLeast   = 20                     // at least so many: a few requests may all wait for one frozen renderer
)

// hedgeBudget limits how many requests are hedged at once.
type hedgeBudget struct{ requests, hedged atomic.Int64 }

func (b *hedgeBudget) take() bool {
	if n := b.hedged.Add(1); n <= hedgeLeast || float64(n) <= hedgeRate*float64(b.requests.Load()) {
		return true
	}
	b.hedged.Add(-1)
	return false
}

// outcome is the reply to one message, or the error that came instead.
type outcome struct {
	reply *nats.Msg
	err   error
}

// hedged sends a request and, each time that the replies take longer than they usually do, sends it again. It returns
// the first reply. A refusal counts only if no other reply is awaited.
//
// A request that may not be hedged yet asks the budget again until it may, and keeps its place in the budget to its
// end: further messages are sent because those before went to renderers that do not run, and so cost little.
func (r *renderers) hedged(ctx context.Context, kind page.Kind, msg *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.hedges.requests.Add(1)
	defer r.hedges.requests.Add(-1)
	allowed := false
	defer func() {
		if allowed {
			r.hedges.hedged.Add(-1)
		}
	}()
	outcomes := make(chan outcome)
	send := func(hedge bool) {
		reply, err := r.roundTrip(ctx, kind, msg, hedge)
		select {
		case outcomes <- outcome{reply, err}:
		case <-ctx.Done():
		}
	}
	start, awaited := time.Now(), 1
	go send(false)
	due := time.NewTimer(max(hedgeFloor, r.delays[kind].value()))
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case o := <-outcomes:
			if awaited--; awaited == 0 || !refused(o.err) && !errors.Is(o.err, nats.ErrConnectionClosed) {
				return o.reply, o.err
			}
		case <-due.C:
			if allowed = allowed || r.hedges.take(); allowed {
				awaited++
				go send(true)
			}
			elapsed := time.Since(start)
			due.Reset(max(hedgeFloor, r.delays[kind].value(), min(elapsed, hedgeSteady), elapsed/hedgeSlowing))
		}
	}
}

// beforeHedge waits for the server's pong, and then as long again, so that a reply that is already on its way comes
// first. When thousands of requests come at once to a process with few processors, requests and replies wait in that
// process, and hedges would add to them. (10,000 clients at once for one page, 4 edges on 2 processors: 9 renders
// without this wait; 4 renders and a fill with it.)
func (r *renderers) beforeHedge(ctx context.Context) error {
	start := time.Now()
	if err := r.nc.FlushWithContext(ctx); err != nil {
		return err
	}
	if !sleep.For(ctx, time.Since(start)) {
		return ctx.Err()
	}
	r.metrics.hedges.Inc()
	return nil
}
