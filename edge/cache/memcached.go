package cache

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
	"flickrkillr/schema/ring"
)

// Bounds of memcached. A slower look-up is a miss, not an error: a renderer answers in a few milliseconds.
const (
	lookupTimeout = 20 * time.Millisecond // one look-up, queue included
	batchSize     = 64                    // keys in one GetMulti
	batchWorkers  = 4                     // GetMultis at once to each server
	queueSize     = 1024                  // keys that wait for a GetMulti; further look-ups are refused
	breakerAfter  = 5                     // failures in a row; then no look-up is sent to the server
	breakerPause  = time.Second           // for this long
	resultHit     = "hit"
	resultMiss    = "miss"
	resultError   = "error"
	resultSlow    = "slow"
	resultOpen    = "open"
	resultCorrupt = "corrupt" // a wrong checksum, or another page's item
)

// Memcached looks up pages in memcached. Look-ups for the same page at the same time share one request. Each server has
// its own queue, workers and circuit breaker, so that a dead or frozen one affects its own keys only.
type Memcached struct {
	ring    *ring.Ring // nil: no memcached
	servers map[string]*server
	waiters sync.Pool // of *waiter
}

// MemcachedMetrics are the metrics of look-ups.
type MemcachedMetrics struct {
	Lookups *prometheus.CounterVec // by server and result
	Batch   prometheus.Histogram   // keys in one GetMulti
}

type server struct {
	addr    string
	tracker *freshness.Tracker
	log     *slog.Logger
	client  *memcache.Client
	breaker circuitbreaker.CircuitBreaker[any]
	queue   chan *lookup
	batch   prometheus.Histogram
	results map[string]prometheus.Counter
	failure atomic.Value // of failure: the last one

	mu      sync.Mutex
	current map[string]*lookup // by key: queued or under way
}

// lookup is a request for one key, shared by all its waiters.
type lookup struct {
	ref     page.Ref
	key     string
	waiting []*waiter // guarded by server.mu while the lookup is current
}

// waiter is one request that waits for a lookup. The page, nil for a miss, is sent once on found, which has room for
// it. A waiter that received it is used again; one that gave up is not, because its page may still come.
type waiter struct {
	found chan *Page
	timer *time.Timer
}

func newWaiter() any {
	w := &waiter{found: make(chan *Page, 1), timer: time.NewTimer(lookupTimeout)}
	w.timer.Stop()
	return w
}

// NewMemcached returns look-ups on the servers with these addresses; without any, every look-up is a miss.
func NewMemcached(
	addrs []string, tracker *freshness.Tracker, m MemcachedMetrics, log *slog.Logger,
) (*Memcached, error) {
	c := &Memcached{servers: map[string]*server{}, waiters: sync.Pool{New: newWaiter}}
	if len(addrs) == 0 {
		return c, nil
	}
	var err error
	if c.ring, err = ring.New(addrs); err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		s := &server{
			addr: addr, tracker: tracker, log: log, client: memcache.New(addr), queue: make(chan *lookup, queueSize),
			current: map[string]*lookup{}, batch: m.Batch, results: map[string]prometheus.Counter{},
		}
		s.client.Timeout = lookupTimeout
		s.client.MaxIdleConns = batchWorkers
		s.breaker = circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakerAfter).WithDelay(breakerPause).
			OnStateChanged(s.logBreaker).Build()
		for _, result := range []string{resultHit, resultMiss, resultError, resultSlow, resultOpen, resultCorrupt} {
			s.results[result] = m.Lookups.WithLabelValues(addr, result)
		}
		c.servers[addr] = s
	}
	return c, nil
}

// Enabled reports whether there is any server.
func (c *Memcached) Enabled() bool { return c.ring != nil }

// Run sends the queued look-ups until ctx ends.
func (c *Memcached) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range c.servers {
		for range batchWorkers {
			wg.Go(func() { s.work(ctx) })
		}
	}
	wg.Wait()
	for _, s := range c.servers {
		_ = s.client.Close()
	}
}

// Get returns the page of ref, nil if memcached does not deliver it within the time limit.
func (c *Memcached) Get(ref page.Ref) *Page {
	if c.ring == nil {
		return nil
	}
	key := ref.Key()
	addr, err := c.ring.PickServer(key)
	if err != nil {
		return nil
	}
	s := c.servers[addr.String()]
	if s.breaker.IsOpen() && s.breaker.RemainingDelay() > 0 {
		s.results[resultOpen].Inc()
		return nil
	}
	w := c.waiters.Get().(*waiter)
	if !s.join(w, ref, key) {
		c.waiters.Put(w)
		s.results[resultSlow].Inc()
		return nil
	}
	w.timer.Reset(lookupTimeout)
	select {
	case found := <-w.found:
		w.timer.Stop()
		c.waiters.Put(w)
		return found
	case <-w.timer.C:
		s.results[resultSlow].Inc()
		return nil
	}
}

// join makes w wait for the current lookup of a key, or for a new one. It returns false when the queue is full.
func (s *server) join(w *waiter, ref page.Ref, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.current[key]
	if l == nil {
		l = &lookup{ref: ref, key: key}
		select {
		case s.queue <- l:
			s.current[key] = l
		default:
			return false
		}
	}
	l.waiting = append(l.waiting, w)
	return true
}

// work takes everything that is queued and sends it in one GetMulti. Meanwhile the next batch queues up.
func (s *server) work(ctx context.Context) {
	batch := make([]*lookup, 0, batchSize)
	keys := make([]string, 0, batchSize)
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.queue:
			batch, keys = append(batch[:0], l), append(keys[:0], l.key)
		}
	queued:
		for len(batch) < batchSize {
			select {
			case l := <-s.queue:
				batch, keys = append(batch, l), append(keys, l.key)
			default:
				break queued
			}
		}
		s.fetch(batch, keys)
	}
}

// fetch sends one batch and delivers the results.
func (s *server) fetch(batch []*lookup, keys []string) {
	s.batch.Observe(float64(len(batch)))
	items, err := s.try(keys)
	for _, l := range batch {
		result, found := resultMiss, (*Page)(nil)
		if item := items.of(l.key); item != nil {
			if found = s.read(l.ref, item); found != nil {
				result = resultHit
			} else {
				result = resultCorrupt
			}
		} else if err != nil {
			result = resultError
		}
		s.mu.Lock()
		delete(s.current, l.key)
		s.mu.Unlock()
		s.results[result].Add(float64(len(l.waiting)))
		for _, w := range l.waiting {
			w.found <- found
		}
	}
}

// read decodes an item, and returns nil for one that is corrupt or not of ref.
func (s *server) read(ref page.Ref, item *memcache.Item) *Page {
	p, err := Decode(s.tracker, ref, item.Value)
	if err != nil {
		s.log.Warn("memcached: a corrupt item counts as a miss", "key", item.Key, "err", err)
		return nil
	}
	p.Usage.InMemcached.Store(true)
	return p
}

// try gets items unless the circuit breaker is open. A connection that broke while idle is replaced once.
func (s *server) try(keys []string) (items, error) {
	if !s.breaker.TryAcquirePermit() {
		return items{}, circuitbreaker.ErrOpen
	}
	got, err := s.get(keys)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		got, err = s.get(keys) // memcached was restarted meanwhile
	}
	if err != nil {
		s.failure.Store(failure{err})
		s.breaker.RecordFailure()
	} else {
		s.breaker.RecordSuccess()
	}
	return got, err
}

// failure gives errors of all types one type, as an atomic.Value needs.
type failure struct{ error }

// logBreaker logs when a server ceases to answer, with the reason, and when it answers again. The attempts between, one
// every breakerPause, are no news.
func (s *server) logBreaker(e circuitbreaker.StateChangedEvent) {
	switch {
	case e.OldState == circuitbreaker.ClosedState:
		err, _ := s.failure.Load().(failure)
		s.log.Warn("memcached does not answer and is not asked any more", "server", s.addr, "err", err.error,
			"count", breakerAfter, "retry_every", breakerPause)
	case e.NewState == circuitbreaker.ClosedState:
		s.log.Info("memcached answers again", "server", s.addr)
	}
}

// items is what a server returned for its keys: the one item, or some of many.
type items struct {
	one  *memcache.Item
	many map[string]*memcache.Item
}

func (i items) of(key string) *memcache.Item {
	if i.one != nil {
		return i.one
	}
	return i.many[key]
}

// get gets one key without the two maps, the channel and the goroutine of a GetMulti.
func (s *server) get(keys []string) (got items, err error) {
	if len(keys) > 1 {
		got.many, err = s.client.GetMulti(keys)
		return got, err
	}
	got.one, err = s.client.Get(keys[0])
	if errors.Is(err, memcache.ErrCacheMiss) {
		err = nil
	}
	return got, err
}
