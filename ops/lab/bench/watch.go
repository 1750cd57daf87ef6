package bench

import (
	"cmp"
	"context"
	"time"

	"flickrkillr/schema/sleep"
)

// watched is what was collected during the counted time.
type watched struct {
	total       *tally
	series      []Point
	took        time.Duration // shorter than configured if interrupted
	interrupted bool
	inTime      tally // total at the end of the time; only its counts of what was done
	before      costs
	after       costs
}

// watch drains the recorders repeatedly until the time is over or ctx ends.
func (r *run) watch(ctx context.Context) *watched {
	w := &watched{total: newTally()}
	step, part := cmp.Or(r.cfg.Step, interval(r.cfg.Duration)), newTally()
	for at := r.began; at.Before(r.from) && ctx.Err() == nil; {
		next := at.Add(min(step, r.from.Sub(at)))
		sleep.For(ctx, time.Until(next))
		r.drain(part)
		r.progress(part, next.Sub(at), Progress{Warming: true, Elapsed: next.Sub(r.began), Total: r.cfg.Warmup})
		part.donePages, part.doneRequests = 0, 0 // what else is there began when it counts: we are late
		w.total.add(part)
		at = next
	}
	w.before = r.costs()
	for at := r.from; ctx.Err() == nil && at.Before(r.end); {
		sleep.For(ctx, time.Until(at.Add(min(step, r.end.Sub(at)))))
		now := time.Now()
		r.drain(part)
		if now.After(at) { // not if interrupted before it began
			w.series = append(w.series, newPoint(part, now.Sub(r.from), now.Sub(at)))
			r.progress(
				part, now.Sub(at),
				Progress{Elapsed: now.Sub(r.from), Total: r.cfg.Duration, Failures: w.total.failed() + part.failed()},
			)
		}
		w.total.add(part)
		at = now
	}
	w.after = r.costs()
	w.took = max(0, time.Since(r.from))
	w.inTime = tally{donePages: w.total.donePages, doneRequests: w.total.doneRequests}
	w.interrupted = ctx.Err() != nil
	return w
}

// interval is the time that one point of the plots stands for: half a second, or longer so that there are at most about
// 300.
func interval(whole time.Duration) time.Duration {
	const least = 500 * time.Millisecond
	return max(least, (whole / 300).Round(least))
}

// progress reports a part of the time that lasted took.
func (r *run) progress(part *tally, took time.Duration, p Progress) {
	if r.cfg.Progress == nil {
		return
	}
	p.Pages = float64(part.donePages) / took.Seconds()
	p.Requests = float64(part.doneRequests) / took.Seconds()
	p.P99 = time.Duration(part.times[classPage].ValueAtQuantile(99)) * time.Microsecond
	r.cfg.Progress(p)
}
