package audit

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// stopwatch times writes, one after the other. It makes every edge hold the owner's page before the write. From the
// acknowledgement on it requests the page from each edge until it shows the write. The time counts until that request
// was sent.
type stopwatch struct {
	a        *audit
	visitors []*visitor // one for each edge
	rested   moment     // when the next write may be timed
}

const (
	stopwatches  = 2
	stopwatchGap = 200 * time.Millisecond // pause between two timed writes, so that timing does not load the site
	pollEvery    = time.Millisecond
	pollLimit    = 10 * time.Second
)

func (a *audit) newStopwatch() *stopwatch {
	s := &stopwatch{a: a}
	for i := range a.cfg.Edges {
		s.visitors = append(s.visitors, a.newVisitor(i, false))
	}
	return s
}

// stopwatch returns a free stopwatch, or nil.
func (a *audit) stopwatch() *stopwatch {
	select {
	case s := <-a.watches:
		if a.now() >= s.rested {
			return s
		}
		a.watches <- s // there is room for all
	default:
	}
	return nil
}

// arm makes every edge fetch the owner's page.
func (s *stopwatch) arm(ctx context.Context, o *owner) {
	s.a.watched[o.index].Add(1)
	s.each(func(v *visitor) { v.view(ctx, http.MethodHead, ownPage(o), nil) })
}

// time waits until every edge has shown a write.
func (s *stopwatch) time(ctx context.Context, e *event) {
	var mu sync.Mutex
	worst := moment(0)
	s.each(func(v *visitor) {
		at := v.wait(ctx, e)
		mu.Lock()
		defer mu.Unlock()
		worst = max(worst, at)
	})
	switch {
	case ctx.Err() != nil:
	case worst == never:
		s.a.tally.unseen()
	default:
		s.a.tally.arrived(e, worst, s.a.faults.between(e.acked-FaultBound, worst))
	}
}

// free returns the stopwatch.
func (s *stopwatch) free(o *owner) {
	s.a.watched[o.index].Add(-1)
	s.rested = s.a.now() + stopwatchGap
	s.a.watches <- s
}

func (s *stopwatch) each(f func(*visitor)) {
	var wg sync.WaitGroup
	for _, v := range s.visitors {
		wg.Go(func() { f(v) })
	}
	wg.Wait()
}

const never = moment(math.MaxInt64)

// wait requests the owner's page until it shows a write, and returns when that request was sent; never if it did not
// within pollLimit.
func (v *visitor) wait(ctx context.Context, e *event) moment {
	o := e.photo.owner
	for end := e.acked + pollLimit; v.a.now() < end && ctx.Err() == nil; sleep.For(ctx, pollEvery) {
		if saw := v.view(ctx, http.MethodHead, ownPage(o), nil); saw != nil {
			for _, n := range saw.named {
				if n.owner == o && n.version >= e.version {
					return saw.begin
				}
			}
		}
	}
	return never
}
