package edge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"

	"golang.org/x/time/rate"
)

// Bounds of refilling after changes.
const (
	gatherEvery   = time.Second
	refillRate    = 200                    // notes a second: a change of everything refills the hottest first, and Postgres lives through it
	refillBurst   = 200                    // at once: one user's pages and photos
	refillPause   = 20 * time.Millisecond  // between looks while some wait for the rate,
	refillRest    = 2 * time.Millisecond   // and between any two: a look at 4,000 pages takes some 0.2 ms
	refillGap     = 20 * time.Millisecond  // between refills of one page at least, however fast it changes,
	refillListing = 200 * time.Millisecond // between those of a page that depends on everybody,
	refillSeldom  = 5 * time.Second        // and at most, however seldom it is asked for
)

// refiller has hot pages refilled right after a change: as soon as a scope rises above what a page's newest copy shows, it notes that
// memcached should hold a copy with that version. All edges ask for the same version, so that one fill does for all of them. What has been
// asked for stands with the page as if it were there: a note that got lost is made up for by the next visitor, who misses and asks again.
type refiller struct {
	*Server
	limit *rate.Limiter
}

func newRefiller(s *Server) *refiller {
	return &refiller{s, rate.NewLimiter(refillRate, refillBurst)}
}

// run works until ctx ends. It sleeps while nothing changes that a hot page depends on.
func (r *refiller) run(ctx context.Context) {
	gather := time.NewTicker(gatherEvery)
	defer gather.Stop()
	again := time.NewTimer(gatherEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-gather.C:
			for _, c := range r.hot.gather(r.near, r.limit, now) {
				if r.fresh.check(c) { // else there is a newer one to ask for
					r.fill(c)
				}
			}
		case <-r.fresh.changed:
		case <-again.C:
		}
		notes, next := r.hot.due(r.fresh, r.limit, time.Now())
		for _, note := range notes {
			r.meters.refills.Inc()
			r.send(note)
		}
		again.Reset(next)
		if !sleep.For(ctx, refillRest) {
			return
		}
	}
}

// due gives the notes for the hot pages that a change has overtaken, hottest first and as many as the limit lets through, and says when to
// look again.
func (h *hot) due(f *freshness, limit *rate.Limiter, now time.Time) (notes []wire.Fill, next time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next = gatherEvery
	cluster := f.clock.Now()
	var due []*hotPage
	for _, p := range h.pages {
		if p.count < hotEnough || !p.overtaken(f, cluster) {
			continue
		}
		if wait := p.gap(now) - now.Sub(p.refilled); wait > 0 {
			next = min(next, wait)
			continue
		}
		if p.behind.IsZero() {
			p.behind = now
		}
		due = append(due, p)
	}
	slices.SortFunc(due, func(a, b *hotPage) int { return cmp.Compare(b.count, a.count) })
	for _, p := range due {
		if !limit.AllowN(now, 1) {
			return notes, min(next, refillPause)
		}
		notes = append(notes, p.ask(f, now))
	}
	return notes, next
}

// gap is how long after a refill another one may follow: about as long as it takes until somebody asks for the page. What changes more often
// than it is asked for is not rendered each time.
func (p *hotPage) gap(now time.Time) time.Duration {
	least := refillGap
	if p.maxAge <= wire.ListingAge {
		least = refillListing
	}
	perSecond := max(p.demand(now), 1/refillSeldom.Seconds())
	return max(least, time.Duration(float64(time.Second)/perSecond))
}

// overtaken makes the comparison that every serve makes, see freshness.check. A page whose newest copy is past its age is none: nobody has
// asked for it since.
func (p *hotPage) overtaken(f *freshness, cluster time.Time) bool {
	if p.status == 0 || p.maxAge >= wire.FixedAge || cluster.Sub(p.copied) >= p.maxAge {
		return false
	}
	for _, d := range p.deps {
		if d.version < d.scope.version.Load() {
			return true
		}
	}
	return p.readAt.UnixMicro() < f.trustFrom.Load()
}

// ask gives the note for a copy that is true as far as is known now, newer than the one that was overtaken, and marks it as asked for.
func (p *hotPage) ask(f *freshness, now time.Time) wire.Fill {
	p.readAt = later(p.readAt.Add(time.Microsecond), time.UnixMicro(f.trustFrom.Load()))
	note := wire.Fill{Ref: p.ref, ReadAt: p.readAt, Waited: max(now.Sub(p.behind), time.Microsecond)}
	for i := range p.deps {
		d := &p.deps[i]
		if newest := d.scope.version.Load(); d.version < newest {
			d.version = newest
			note.Wants = append(note.Wants, wire.Dep{Scope: d.name, Version: newest})
		}
	}
	p.refilled, p.behind = now, time.Time{}
	return note
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
