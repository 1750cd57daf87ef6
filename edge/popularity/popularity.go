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

// Config is what a [Popularity] needs. All fields but ListEvery are required.
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
	counter := newCounter()
	return &Popularity{
		cfg: cfg, counter: counter, recent: newRecent(), filler: newFiller(cfg),
		lister: &lister{
			nc: cfg.NATS, counter: counter, memory: cfg.Memory, key: cfg.ListKey, every: cfg.ListEvery, log: cfg.Log,
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

// Observe counts a request that a page answers, and has memcached filled with popular pages. Of the requests that share
// one render only the first counts.
func (p *Popularity) Observe(cached *cache.Page, from Source, now time.Time) {
	if cached.Reply.MaxAge == 0 {
		return // never cached
	}
	switch {
	case !cached.Observed.Load() && !cached.Observed.Swap(true):
		p.first(cached)
	case from == FromMemory:
		cached.Hits.Add(1)
	case from == FromMemcached:
		p.counter.add(cached, true)
	}
	p.filler.refreshEarly(cached, now)
}

// first counts the first request that a page answers. A page that was rendered only once is not counted yet.
func (p *Popularity) first(cached *cache.Page) {
	if cached.InMemcached.Load() {
		p.counter.add(cached, true)
		return
	}
	again := cached.Ref.Kind() == page.KindAsset || p.recent.again(cached.Ref)
	p.counter.add(cached, again)
	if again {
		p.filler.fill(cached)
	}
}

// Replace has memcached store a corrupt page anew.
func (p *Popularity) Replace(cached *cache.Page) { p.filler.replace(cached) }

// Run refills and stores the list until ctx ends.
func (p *Popularity) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.refill(ctx) })
	wg.Go(func() { p.lister.run(ctx) })
	wg.Wait()
}

// Pages is the number of pages that are counted.
func (p *Popularity) Pages() int { return p.counter.size() }
