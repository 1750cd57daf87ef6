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
	refillFrom  = 2                    // requests lately; a page with fewer waits for its next visitor when it changes
	fillFrom    = 8                    // requests lately; from here on memcached should hold the page, even while it is in this process
	halfLife    = time.Minute          // counts are halved that often,
	halveFrom   = 16 * wire.MaxPopular // but not before so many requests: a quiet night does not erase the day
	demandDecay = 10 * time.Second     // requests of so long ago count for a third of those of now, see perSecond
)

// counter counts the recent requests of a bounded number of pages, and knows which versions the newest copy of each
// shows. A hit of the in-process cache costs one atomic addition: those counts stand with the pages and are collected
// once a second.
type counter struct {
	mu       sync.Mutex
	pages    map[page.Ref]*counted
	requests int64 // since counts were last halved
	halved   time.Time
}

// counted is one page that is counted.
type counted struct {
	ref       page.Ref
	count     int64     // requests, halved over and over
	perSecond float64   // requests a second lately, see demand
	reckoned  time.Time // when perSecond was calculated

	status int           // of the newest copy seen; 0: none was seen, the page is known from a stored list
	maxAge time.Duration // likewise
	copied time.Time     // likewise: when it was read

	readAt   time.Time // when the newest copy seen, or requested, was read at the earliest
	deps     []namedDep
	refilled time.Time // when one was last requested
	behind   time.Time // since when a newer one is due; zero: none is
}

// namedDep is the newest version, of one scope, that a page shows or was requested with.
type namedDep struct {
	freshness.Dep
	name string
}

func newCounter() *counter { return &counter{pages: map[page.Ref]*counted{}, halved: time.Now()} }

// add counts a page that was fetched for a request. begin is whether to count it if it is not counted yet.
func (h *counter) add(c *cache.Page, begin bool) {
	if !countable(c) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pages[c.Ref]
	if p == nil {
		if !begin || len(h.pages) >= maxPages {
			return // the next collect makes room
		}
		p = h.begin(c.Ref)
	}
	h.count(p, 1, time.Now())
	p.learn(c)
}

// countable excludes error pages, which no client requests, and assets, which the cachefills keep in memcached anyway.
func countable(c *cache.Page) bool {
	kind := c.Ref.Kind()
	return kind != page.KindError && kind != page.KindAsset
}

func (h *counter) begin(ref page.Ref) *counted {
	p := &counted{ref: ref}
	h.pages[ref] = p
	return p
}

func (h *counter) count(p *counted, n int64, now time.Time) {
	p.count += n
	p.perSecond, p.reckoned = p.demand(now)+float64(n)/demandDecay.Seconds(), now
	h.requests += n
}

// demand is how many requests a second the page gets.
func (p *counted) demand(now time.Time) float64 {
	return p.perSecond * math.Exp(-now.Sub(p.reckoned).Seconds()/demandDecay.Seconds())
}

// learn records the versions of a copy, if it is newer than what is known.
func (p *counted) learn(c *cache.Page) {
	if p.status != 0 && !c.Reply.ReadAt.After(p.readAt) {
		return
	}
	p.status, p.maxAge, p.copied = c.Reply.Status, c.Reply.MaxAge, c.Reply.ReadAt
	p.readAt, p.behind = c.Reply.ReadAt, time.Time{}
	p.deps = p.deps[:0]
	for i, d := range c.Basis.Deps {
		d.Scope.MarkPopular()
		p.deps = append(p.deps, namedDep{d, c.Reply.Depends[i].Scope})
	}
}

// collect adds the hits of the in-process cache, halves the counts when it is time, and drops the least popular pages
// when there are too many. It returns popular pages that memcached was not asked to store yet, as many as the limit
// allows: pages that this edge has rendered once and has had in this process ever since.
func (h *counter) collect(memory *cache.Memory, limit *rate.Limiter, now time.Time) (unstored []*cache.Page) {
	var all []*cache.Page
	for c := range memory.All() {
		if (c.Hits.Load() > 0 || !c.InMemcached.Load()) && countable(c) {
			all = append(all, c)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range all {
		p, n := h.pages[c.Ref], int64(c.Hits.Swap(0))
		if p == nil && n == 0 {
			continue
		}
		if p == nil {
			p = h.begin(c.Ref)
		}
		h.count(p, n, now)
		p.learn(c)
		if p.count >= fillFrom && !c.InMemcached.Load() && limit.AllowN(now, 1) {
			unstored = append(unstored, c)
		}
	}
	if now.Sub(h.halved) >= halfLife && h.requests >= halveFrom {
		h.halved, h.requests = now, 0
		for ref, p := range h.pages {
			if p.count /= 2; p.count == 0 {
				delete(h.pages, ref)
			}
		}
	}
	h.trim()
	return unstored
}

// trim drops the least popular pages when there are too many, a quarter at once, so that new ones find room.
func (h *counter) trim() {
	if len(h.pages) < maxPages {
		return
	}
	for _, p := range h.ranked()[maxPages*3/4:] {
		delete(h.pages, p.ref)
	}
}

// ranked returns all pages, most popular first.
func (h *counter) ranked() []*counted {
	all := make([]*counted, 0, len(h.pages))
	for _, p := range h.pages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *counted) int { return cmp.Compare(b.count, a.count) })
	return all
}

// list returns the most popular pages. It includes pages requested only twice recently (the first request is not
// counted), which together are many. It leaves out what was not found.
func (h *counter) list() []wire.Popular {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []wire.Popular
	for _, p := range h.ranked() {
		if len(list) == wire.MaxPopular || p.count == 0 {
			break
		}
		if p.status == 200 || p.status == 0 {
			list = append(list, wire.Popular{Ref: p.ref, Count: p.count})
		}
	}
	return list
}

// restore adds the list that was stored before a restart.
func (h *counter) restore(list []wire.Popular) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, stored := range list[:min(len(list), wire.MaxPopular)] {
		p := h.pages[stored.Ref]
		if p == nil {
			p = h.begin(stored.Ref)
		}
		p.count += stored.Count // these are no requests of now: perSecond stays
	}
	h.trim()
}

func (h *counter) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages)
}
