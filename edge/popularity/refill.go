package popularity

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Bounds of refilling after changes.
const (
	collectEvery = time.Second
	// A change of all pages refills the most popular ones first, at a rate that Postgres can bear.
	refillRate  = 200                    // notes a second
	refillBurst = 200                    // notes at once: one user's pages and photos
	limitPause  = 20 * time.Millisecond  // between scans while refillRate makes pages wait
	scanPause   = 2 * time.Millisecond   // between any two scans; a scan takes about 0.5 ms (BenchmarkDue)
	minGap      = 20 * time.Millisecond  // between refills of one page, however fast it changes
	minGapList  = 200 * time.Millisecond // between refills of a page that depends on all users
	maxGap      = 5 * time.Second        // between refills of a page that changes, however seldom it is requested
)

// refill publishes a fill note right after a change of a popular page, until ctx ends. The note names the new versions.
// All edges name the same versions, so one fill is enough for all of them. A refill that was requested counts as done:
// if its note was lost, the next request for the page is a miss. While no popular page changes, it scans twice a
// second.
func (p *Popularity) refill(ctx context.Context) {
	collect := time.NewTicker(collectEvery)
	defer collect.Stop()
	again := time.NewTimer(collectEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-collect.C:
			for _, cached := range p.counter.collect(p.cfg.Memory, p.limit, now) {
				// For a page that is not fresh, due returns a note below.
				if p.cfg.Tracker.Fresh(&cached.Basis, time.Now()) {
					p.filler.fill(cached)
				}
			}
		case <-p.cfg.Tracker.Changed():
		case <-again.C:
		}
		notes, next := p.counter.due(p.cfg.Tracker, p.limit, time.Now())
		for _, note := range notes {
			p.cfg.Refills.Inc()
			p.filler.send(note)
		}
		again.Reset(next)
		if !sleep.For(ctx, scanPause) {
			return
		}
	}
}

// due returns the notes for popular pages that a change has overtaken, most popular first and as many as the limit
// allows, and when to scan again.
func (c *counter) due(
	t *freshness.Tracker, limit *rate.Limiter, now time.Time,
) (notes []wire.Fill, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = collectEvery
	cluster := t.Clock().Now()
	var due []*counted
	for _, p := range c.pages {
		if p.count < refillFrom || !p.overtaken(t, cluster) {
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
	slices.SortFunc(due, func(a, b *counted) int { return cmp.Compare(b.count, a.count) })
	for _, p := range due {
		if !limit.AllowN(now, 1) {
			return notes, min(next, limitPause)
		}
		notes = append(notes, p.request(t, now))
	}
	return notes, next
}

// gap is the time between two refills: about the time between two requests for the page, so that a page that changes
// more often than it is requested is not rendered for each change.
func (p *counted) gap(now time.Time) time.Duration {
	least := minGap
	if p.maxAge <= wire.ListingAge {
		least = minGapList
	}
	perSecond := max(p.demand(now), 1/maxGap.Seconds())
	return max(least, time.Duration(float64(time.Second)/perSecond))
}

// overtaken reports whether a change has overtaken the page. It compares versions as [freshness.Tracker.Fresh] does. A
// page past its maximum age is not overtaken: no client has requested it since.
func (p *counted) overtaken(t *freshness.Tracker, cluster time.Time) bool {
	if p.status == 0 || p.maxAge >= wire.FixedAge || cluster.Sub(p.newestAt) >= p.maxAge {
		return false
	}
	for _, d := range p.deps {
		if d.Overtaken() && (!p.goneOnly || d.Gone()) {
			return true
		}
	}
	return p.readAt.UnixMicro() < t.InvalidBefore().UnixMicro()
}

// request returns a note for a page with the newest known versions, and records the refill as requested.
func (p *counted) request(t *freshness.Tracker, now time.Time) wire.Fill {
	p.readAt = later(p.readAt.Add(time.Microsecond), t.InvalidBefore())
	note := wire.Fill{Ref: p.ref, ReadAt: p.readAt, Waited: max(now.Sub(p.behind), time.Microsecond)}
	for i := range p.deps {
		d := &p.deps[i]
		if newest := d.Scope.Newest(); d.Version < newest {
			d.Version = newest
			note.Wants = append(note.Wants, wire.Dep{Scope: d.name, Version: newest})
		}
	}
	p.refilled, p.behind = now, time.Time{}
	return note
}
