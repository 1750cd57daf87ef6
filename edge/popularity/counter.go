package popularity

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Bounds of what counts as popular.
const (
	maxPages    = 4 * wire.MaxPopular  // pages that are counted
	refillFrom  = 2                    // requests lately; after a change a page with fewer waits for its next request
	fillFrom    = 8                    // requests lately; memcached should have such a page, even while it is in memory
	halfLife    = time.Minute          // counts are halved this often, if there were enough requests
	halveFrom   = 16 * wire.MaxPopular // requests that are enough: a quiet night does not erase the day
	demandDecay = 10 * time.Second     // a request this long ago counts for a third of a new one, see perSecond
)

// counter counts the recent requests for a bounded number of pages, and knows which versions each page shows. A hit of
// the in-process cache costs one atomic addition: cache.Usage.Hits, which collect reads once a second.
type counter struct {
	mu       sync.Mutex
	pages    map[page.Ref]*counted
	requests int64 // since counts were last halved
	halved   time.Time
}

// counted is one page that is counted.
type counted struct {
	ref       page.Ref
	count     int64     // requests, halved from time to time
	perSecond float64   // recent requests a second, see demand
	demandAt  time.Time // when perSecond was calculated

	// Of the newest cache.Page seen.
	status   int // 0: none was seen, the page is on the stored list
	maxAge   time.Duration
	goneOnly bool      // see wire.Reply.GoneOnly
	newestAt time.Time // when its rows were read

	readAt   time.Time // when the rows of the newest page, seen or requested, were read at the earliest
	deps     []namedDep
	refilled time.Time // when the last refill was requested
	behind   time.Time // since when a refill is due; zero: none is due
}

// namedDep is the newest version of one scope that a page shows, or that a refill of it was requested with.
type namedDep struct {
	freshness.Dep
	name string
}

func newCounter() *counter { return &counter{pages: map[page.Ref]*counted{}, halved: time.Now()} }

// add counts a request for a page. If the page is not counted yet, begin says whether to begin.
func (c *counter) add(cached *cache.Page, begin bool) {
	if !countable(cached) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pages[cached.Ref]
	if p == nil {
		if !begin || len(c.pages) >= maxPages {
			return // the next collect makes room
		}
		p = c.begin(cached.Ref)
	}
	c.count(p, 1, time.Now())
	p.learn(cached)
}

// countable excludes error pages and assets, which need no counting to be kept.
func countable(cached *cache.Page) bool {
	kind := cached.Ref.Kind()
	return kind != page.KindError && kind != page.KindAsset
}

func (c *counter) begin(ref page.Ref) *counted {
	p := &counted{ref: ref}
	c.pages[ref] = p
	return p
}

func (c *counter) count(p *counted, n int64, now time.Time) {
	p.count += n
	p.perSecond, p.demandAt = p.demand(now)+float64(n)/demandDecay.Seconds(), now
	c.requests += n
}

// demand is the number of requests for the page in a second, of late.
func (p *counted) demand(now time.Time) float64 {
	return p.perSecond * math.Exp(-now.Sub(p.demandAt).Seconds()/demandDecay.Seconds())
}

// learn records the versions of a page if it is newer than the one that is known.
func (p *counted) learn(cached *cache.Page) {
	if p.status != 0 && !cached.Reply.ReadAt.After(p.readAt) {
		return
	}
	p.status, p.maxAge, p.newestAt = cached.Reply.Status, cached.Reply.MaxAge, cached.Reply.ReadAt
	p.readAt, p.behind, p.goneOnly = cached.Reply.ReadAt, time.Time{}, cached.Basis.GoneOnly
	p.deps = p.deps[:0]
	for i, d := range cached.Basis.Deps {
		d.Scope.MarkPopular()
		p.deps = append(p.deps, namedDep{d, cached.Reply.Depends[i].Scope})
	}
}

// collect adds the hits of the in-process cache, halves the counts when it is time, and drops the least popular pages
// when there are too many. It returns popular pages for which no fill note was sent yet, as many as the limit allows:
// they were rendered once and have been in memory since.
func (c *counter) collect(memory *cache.Memory, limit *rate.Limiter, now time.Time) (unstored []*cache.Page) {
	var all []*cache.Page
	for cached := range memory.All() {
		if (cached.Usage.Hits.Load() > 0 || !cached.Usage.InMemcached.Load()) && countable(cached) {
			all = append(all, cached)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cached := range all {
		p, n := c.pages[cached.Ref], int64(cached.Usage.Hits.Swap(0))
		if p == nil && n == 0 {
			continue
		}
		if p == nil {
			p = c.begin(cached.Ref)
		}
		c.count(p, n, now)
		p.learn(cached)
		if p.count >= fillFrom && !cached.Usage.InMemcached.Load() && limit.AllowN(now, 1) {
			unstored = append(unstored, cached)
		}
	}
	if now.Sub(c.halved) >= halfLife && c.requests >= halveFrom {
		c.halved, c.requests = now, 0
		for ref, p := range c.pages {
			if p.count /= 2; p.count == 0 {
				delete(c.pages, ref)
			}
		}
	}
	c.trim()
	return unstored
}

// trim drops the least popular quarter of the pages when there are too many, to make room for new ones.
func (c *counter) trim() {
	if len(c.pages) < maxPages {
		return
	}
	for _, p := range c.ranked()[maxPages*3/4:] {
		delete(c.pages, p.ref)
	}
}

// ranked returns all pages, most popular first.
func (c *counter) ranked() []*counted {
	all := make([]*counted, 0, len(c.pages))
	for _, p := range c.pages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *counted) int { return cmp.Compare(b.count, a.count) })
	return all
}

// list returns the most popular pages. It includes pages requested only twice recently (the first request is not
// counted), which together are many. It leaves out pages that were not found.
func (c *counter) list() []wire.Popular {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []wire.Popular
	for _, p := range c.ranked() {
		if len(list) == wire.MaxPopular || p.count == 0 {
			break
		}
		if p.status == 200 || p.status == 0 {
			list = append(list, wire.Popular{Ref: p.ref, Count: p.count})
		}
	}
	return list
}

// restore adds a list that was stored before a restart.
func (c *counter) restore(list []wire.Popular) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, stored := range list[:min(len(list), wire.MaxPopular)] {
		p := c.pages[stored.Ref]
		if p == nil {
			p = c.begin(stored.Ref)
		}
		p.count += stored.Count // perSecond stays: these requests are not recent
	}
	c.trim()
}

func (c *counter) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pages)
}
