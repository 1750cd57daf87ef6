package edge

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"

	"golang.org/x/time/rate"
)

// Bounds of what counts as hot.
const (
	hotPages  = 4 * wire.HotSize  // pages whose demand is counted
	hotEnough = 2                 // asked for less than that lately, a page that a change overtakes can wait for its next visitor
	hotFill   = 8                 // from so much on it is worth a place in memcached, even while it is near
	hotHalf   = time.Minute       // counts are halved that often,
	hotSample = 16 * wire.HotSize // but not before so much has been asked for: a quiet night does not wipe the day out
)

// hot counts what is asked for lately, a bounded number of pages, and knows of each what its newest copy depends on. A hit in the near
// cache costs it one atomic addition: those counts stand with the copies and are gathered once a second.
type hot struct {
	mu     sync.Mutex
	pages  map[page.Ref]*hotPage
	asked  int64 // since counts were last halved
	halved time.Time
}

// hotPage is one page in demand.
type hotPage struct {
	ref    page.Ref
	count  int64         // how often it was asked for, halved by and by
	looks  float64       // a second, lately, see demand
	looked time.Time     // when that was reckoned up
	status int           // of the newest copy seen; 0: none has been seen, only a list names the page
	maxAge time.Duration // likewise
	copied time.Time     // likewise, when it was read

	readAt   time.Time // when the newest copy seen, or asked for, was read at the earliest
	deps     []hotDep  // and the versions it shows
	refilled time.Time // when one was last asked for
	behind   time.Time // since when a newer one is due; zero: none is
}

type hotDep struct {
	dep
	name string
}

func newHot() *hot { return &hot{pages: map[page.Ref]*hotPage{}, halved: time.Now()} }

// got notes that a copy was fetched for somebody. Whether it begins to be counted, if it is not yet, is the caller's to say.
func (h *hot) got(c *held, begin bool) {
	if !countable(c) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pages[c.ref]
	if p == nil {
		if !begin || len(h.pages) >= hotPages {
			return // the next gathering makes room
		}
		p = h.begin(c.ref)
	}
	h.count(p, 1, time.Now())
	p.learn(c)
}

// countable: error pages are what no visitor asks for, assets are kept warm anyway, and private pages are never filled.
func countable(c *held) bool {
	kind := c.ref.Kind()
	return kind != page.KindError && kind != page.KindAsset && c.reply.MaxAge > 0
}

func (h *hot) begin(ref page.Ref) *hotPage {
	p := &hotPage{ref: ref}
	h.pages[ref] = p
	return p
}

func (h *hot) count(p *hotPage, n int64, now time.Time) {
	p.count += n
	p.looks, p.looked = p.demand(now)+float64(n)/demandOver.Seconds(), now
	h.asked += n
}

// demandOver is the time over which looks count for the demand: those of so long ago for a third of those of now.
const demandOver = 10 * time.Second

// demand is how often the page is asked for, a second.
func (p *hotPage) demand(now time.Time) float64 {
	return p.looks * math.Exp(-now.Sub(p.looked).Seconds()/demandOver.Seconds())
}

// learn takes in a copy, if it is newer than what is known.
func (p *hotPage) learn(c *held) {
	if p.status != 0 && !c.reply.ReadAt.After(p.readAt) {
		return
	}
	p.status, p.maxAge, p.copied, p.readAt, p.behind = c.reply.Status, c.reply.MaxAge, c.reply.ReadAt, c.reply.ReadAt, time.Time{}
	p.deps = p.deps[:0]
	for i, d := range c.deps {
		d.scope.hot.Store(true)
		p.deps = append(p.deps, hotDep{d, c.reply.Depends[i].Scope})
	}
}

// gather takes in what was counted with the copies of the near cache, halves the counts when it is time, and lets go of the coldest pages
// when there are too many. It gives those copies that are hot and that memcached has not been asked to hold, as many as the limit lets
// through: pages that this edge rendered once, and has had near ever since.
func (h *hot) gather(near *nearCache, limit *rate.Limiter, now time.Time) (unstored []*held) {
	var all []*held
	for c := range near.all() {
		if (c.asked.Load() > 0 || !c.stored.Load()) && countable(c) {
			all = append(all, c)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range all {
		p, n := h.pages[c.ref], int64(c.asked.Swap(0))
		if p == nil && n == 0 {
			continue
		}
		if p == nil {
			p = h.begin(c.ref)
		}
		h.count(p, n, now)
		p.learn(c)
		if p.count >= hotFill && !c.stored.Load() && limit.AllowN(now, 1) {
			unstored = append(unstored, c)
		}
	}
	if now.Sub(h.halved) >= hotHalf && h.asked >= hotSample {
		h.halved, h.asked = now, 0
		for ref, p := range h.pages {
			if p.count /= 2; p.count == 0 {
				delete(h.pages, ref)
			}
		}
	}
	h.trim()
	return unstored
}

// trim lets the coldest go when the pages are too many, a quarter at once so that newcomers find room.
func (h *hot) trim() {
	if len(h.pages) < hotPages {
		return
	}
	for _, p := range h.hottest()[hotPages*3/4:] {
		delete(h.pages, p.ref)
	}
}

func (h *hot) hottest() []*hotPage {
	all := make([]*hotPage, 0, len(h.pages))
	for _, p := range h.pages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *hotPage) int { return cmp.Compare(b.count, a.count) })
	return all
}

// list gives the hottest pages there are, for the list that is kept: also those asked for but twice lately (the first time is not counted), which together
// are many. What is not found is left out: it is in demand by mistake.
func (h *hot) list() []wire.Heat {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []wire.Heat
	for _, p := range h.hottest() {
		if len(list) == wire.HotSize || p.count == 0 {
			break
		}
		if p.status == 200 || p.status == 0 {
			list = append(list, wire.Heat{Ref: p.ref, Count: p.count})
		}
	}
	return list
}

// restore takes in the list that was kept before a restart.
func (h *hot) restore(list []wire.Heat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, kept := range list[:min(len(list), wire.HotSize)] {
		p := h.pages[kept.Ref]
		if p == nil {
			p = h.begin(kept.Ref)
		}
		p.count += kept.Count // not asked for now, so not counted as such
	}
	h.trim()
}

// size is how many pages are counted.
func (h *hot) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages)
}
