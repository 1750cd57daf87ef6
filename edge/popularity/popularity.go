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

// Config is what Popularity depends on. All fields but ListEvery are required.
type Config struct {
	NATS      *nats.Conn
	Tracker   *freshness.Tracker
	Memory    *cache.Memory // pages whose hits are collected
	Fill      bool          // publish fill notes; false if there is no memcached
	ListKey   string        // of the popularity list, see schema/popularlist
	ListEvery time.Duration // how often the list is stored, 0 is 10 s
	Fills     prometheus.Counter
	Refills   prometheus.Counter
	Log       *slog.Logger
}

// Popularity is safe for concurrent use.
type Popularity struct {
	cfg     Config
	counter *counter
	recent  *recent
	filler  *filler
	lister  *lister
	limit   *rate.Limiter
}

// New returns a Popularity that counts; Run refills and stores the list.
func New(cfg Config) *Popularity {
	if cfg.ListEvery == 0 {
		cfg.ListEvery = defaultListEvery
	}
	counter := newCounter()
	return &Popularity{
		cfg: cfg, counter: counter, recent: newRecent(), filler: newFiller(cfg),
		lister: &lister{nc: cfg.NATS, counter: counter, memory: cfg.Memory, key: cfg.ListKey, every: cfg.ListEvery, log: cfg.Log},
		limit:  rate.NewLimiter(refillRate, refillBurst),
	}
}

// Source is where a page came from.
type Source uint8

// The sources of pages.
const (
	FromMemory Source = iota
	FromMemcached
	FromRenderer
)

// Observe records that a page answers a request, and has memcached filled if that is worth it. Of the requests that
// share one render only the first counts.
func (p *Popularity) Observe(c *cache.Page, from Source, now time.Time) {
	if c.Reply.MaxAge == 0 {
		return // never cached
	}
	switch {
	case !c.Observed.Load() && !c.Observed.Swap(true):
		p.first(c)
	case from == FromMemory:
		c.Hits.Add(1)
	case from == FromMemcached:
		p.counter.add(c, true)
	}
	p.filler.refreshEarly(c, now)
}

// first counts a page that has just come from memcached or from a renderer. A page that was rendered once only is not
// counted yet.
func (p *Popularity) first(c *cache.Page) {
	if c.InMemcached.Load() {
		p.counter.add(c, true)
		return
	}
	again := c.Ref.Kind() == page.KindAsset || p.recent.again(c.Ref)
	p.counter.add(c, again)
	if again {
		p.filler.fill(c)
	}
}

// Replace has memcached store another copy of a corrupt page.
func (p *Popularity) Replace(c *cache.Page) { p.filler.replace(c) }

// Run refills and stores the list until ctx ends.
func (p *Popularity) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.refill(ctx) })
	wg.Go(func() { p.lister.run(ctx) })
	wg.Wait()
}

// Pages is the number of pages that are counted.
func (p *Popularity) Pages() int { return p.counter.size() }
