package bench

import (
	"context"
	"math/rand/v2"
	"time"
)

// arrival is a page that should begin at a certain time.
type arrival struct {
	at   time.Time
	sent time.Time // when it was handed to the visitors
}

// lateAfter is the delay of a page from which on it is reported as late.
const lateAfter = 10 * time.Millisecond

// backlog is how much of the rate may wait for a free visitor before arrivals are dropped. The wait is part of the
// latency.
const backlog = 10 * time.Second

// newSchedule returns a function that returns the times, since the start, at which pages begin.
func newSchedule(rate float64, even bool, seed uint64) func() time.Duration {
	if even {
		n := -1.0
		return func() time.Duration {
			n++
			return time.Duration(n / rate * float64(time.Second)) // from the number, so that errors do not add up
		}
	}
	rng := rand.New(rand.NewPCG(seed, seedArrivals))
	at := 0.0
	return func() time.Duration {
		at += rng.ExpFloat64() / rate
		return time.Duration(at * float64(time.Second))
	}
}

// dispatch sends arrivals at their times, until the end. It never waits for visitors: an arrival that finds no room in
// the channel is dropped.
func (r *run) dispatch(ctx context.Context, to chan<- arrival) {
	defer close(to)
	next := newSchedule(r.cfg.Rate, r.cfg.Even, r.cfg.Seed)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		at := r.began.Add(next())
		if !at.Before(r.end) {
			return
		}
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return
		}
		select {
		case to <- arrival{at: at, sent: time.Now()}:
		default:
			if r.measured(at) {
				r.dropped.Add(1)
			}
		}
	}
}
