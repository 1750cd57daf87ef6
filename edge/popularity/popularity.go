package popularity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
)

// Config is what a [Popularity] needs. Observe uses Tracker and Memory and, with Fill, NATS and Fills. Run needs the
// others too; only ListEvery has a default.
type Config struct {
	NATS      *nats.Conn
	Tracker   *freshness.Tracker
	Memory    *cache.Memory // its pages count their hits
	Fill      bool          // whether to publish fill notes; false without memcached
	ListKey   string        // of the popularity list, see schema/popularlist
	ListEvery time.Duration // how often the list is stored; 0: 10 s
	Fills     prometheus.Counter
	Refills   prometheus.Counter
	Log       *slog.Logger
}

// Popularity counts requests and refills popular pages. It is safe for concurrent use.
type Popularity struct {
	cfg     Config
	counter *counter
	recent  *recent
	filler  *filler
	lister  *lister
	limit   *rate.Limiter
}

// New returns a Popularity that counts requests. Run refills pages and stores the list.
func New(cfg Config) *Popularity {
	if cfg.ListEvery == 0 {
		cfg.ListEvery = defaultListEvery
	}
	counts := newCounter()
	return &Popularity{
		cfg: cfg, counter: counts, recent: newRecent(), filler: newFiller(cfg),
		lister: &lister{
			nc: cfg.NATS, counter: counts, memory: cfg.Memory, key: cfg.ListKey, every: cfg.ListEvery, log: cfg.Log,
		},
		limit: rate.NewLimiter(refillRate, refillBurst),
	}
}

// Source is where a page came from.
type Source uint8

// The sources of pages, see [Popularity.Observe].
const (
	FromMemory Source = iota
	FromMemcached
	FromRenderer
)

// Observe counts a request: a hit of the in-process cache, an answer from memcached, or the render of a page, which any
// number of requests may share. It has memcached filled with popular pages.
func (p *Popularity) Observe(cached *cache.Page, from Source, now time.Time) {
	if cached.Reply.MaxAge == 0 || cached.Ref.Kind() == page.KindError {
		return // never cached, or kept by every edge
	}
	switch from {
	case FromMemory:
		cached.Usage.Hits.Add(1)
	case FromMemcached:
		p.counter.add(cached, true)
	case FromRenderer:
		p.rendered(cached)
	}
	p.filler.refreshEarly(cached, now)
}

// rendered counts a page from the second render on, and then has memcached filled with it.
func (p *Popularity) rendered(cached *cache.Page) {
	again := cached.Ref.Kind() == page.KindAsset || p.recent.again(cached.Ref)
	p.counter.add(cached, again)
	if again {
		p.filler.fill(cached)
	}
}

// Run refills and stores the list until ctx ends.
func (p *Popularity) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.refill(ctx) })
	wg.Go(func() { p.lister.run(ctx) })
	wg.Wait()
}

// Pages is the number of pages that are counted.
func (p *Popularity) Pages() int { return p.counter.size() }
