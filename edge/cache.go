package edge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/ring"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of memcached. What takes longer is a miss, not an error: a renderer answers in a few milliseconds.
const (
	cacheBudget   = 20 * time.Millisecond // one look-up, from asking to having
	cacheBatch    = 64                    // keys in one GetMulti
	cacheWorkers  = 4                     // GetMultis at once to each server
	cacheQueue    = 1024                  // look-ups that wait for one; more are misses
	cacheFailures = 5                     // in a row, and the server is left alone
	cacheRest     = time.Second           // for this long
)

// sharedCache looks up copies in memcached, which an edge reads and never writes. Who looks for the same at the same time is given the same
// copy. Each server has its own queue, workers and circuit breaker, so that a dead or frozen one costs its share of the keys and nothing more.
type sharedCache struct {
	ring    *ring.Ring // nil: no memcached
	servers map[string]*cacheServer
	lookups sync.Pool // of *lookup
}

// decoder reads an envelope that lay under a page's key.
type decoder func(page.Ref, []byte) (*held, error)

type cacheServer struct {
	decode  decoder
	log     *slog.Logger
	client  *memcache.Client
	breaker circuitbreaker.CircuitBreaker[any]
	queue   chan *inquiry
	batch   prometheus.Histogram
	results map[string]prometheus.Counter

	mu      sync.Mutex
	current map[string]*inquiry // by key: waiting in queue or under way
}

// inquiry is one key that memcached is asked for, once for all who wait for it.
type inquiry struct {
	ref     page.Ref
	key     string
	waiting []*lookup // guarded by cacheServer.mu while the inquiry is current
}

// lookup is one page that somebody waits for. The copy, nil for a miss, is sent once on found, which has room for it. Whoever has
// received it may use the lookup for another key; one that was left before that is never used again, for the answer may still come.
type lookup struct {
	found chan *held
	timer *time.Timer
}

func newLookup() any {
	l := &lookup{found: make(chan *held, 1), timer: time.NewTimer(cacheBudget)}
	l.timer.Stop()
	return l
}

func newSharedCache(addrs []string, decode decoder, m *meters, log *slog.Logger) (*sharedCache, error) {
	c := &sharedCache{servers: map[string]*cacheServer{}, lookups: sync.Pool{New: newLookup}}
	if len(addrs) == 0 {
		return c, nil
	}
	var err error
	if c.ring, err = ring.New(addrs); err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		s := &cacheServer{decode: decode, log: log, client: memcache.New(addr), queue: make(chan *inquiry, cacheQueue), current: map[string]*inquiry{}, batch: m.batch, results: map[string]prometheus.Counter{}}
		s.client.Timeout = cacheBudget
		s.client.MaxIdleConns = cacheWorkers
		s.breaker = circuitbreaker.NewBuilder[any]().WithFailureThreshold(cacheFailures).WithDelay(cacheRest).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				log.Warn("memcached: circuit breaker", "server", addr, "from", e.OldState.String(), "to", e.NewState.String())
			}).Build()
		for _, result := range []string{"hit", "miss", "error", "slow", "open"} {
			s.results[result] = m.cache.WithLabelValues(addr, result)
		}
		c.servers[addr] = s
	}
	return c, nil
}

// run works the queues until ctx ends.
func (c *sharedCache) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range c.servers {
		for range cacheWorkers {
			wg.Go(func() { s.work(ctx) })
		}
	}
	wg.Wait()
	for _, s := range c.servers {
		_ = s.client.Close()
	}
}

// get gives the copy of ref, nil when memcached has none or does not say so within its budget. It is not told when there were too many
// look-ups before this one.
func (c *sharedCache) get(ctx context.Context, ref page.Ref) (found *held, told bool) {
	if c.ring == nil {
		return nil, true
	}
	key := ref.Key()
	addr, err := c.ring.PickServer(key)
	if err != nil {
		return nil, true
	}
	s := c.servers[addr.String()]
	if s.breaker.IsOpen() && s.breaker.RemainingDelay() > 0 {
		s.results["open"].Inc()
		return nil, true
	}
	l := c.lookups.Get().(*lookup)
	if !s.inquire(l, ref, key) {
		c.lookups.Put(l)
		s.results["slow"].Inc()
		return nil, false
	}
	l.timer.Reset(cacheBudget)
	select {
	case found = <-l.found:
		l.timer.Stop()
		c.lookups.Put(l)
	case <-l.timer.C:
		s.results["slow"].Inc()
	case <-ctx.Done():
		l.timer.Stop()
	}
	return found, true
}

// inquire has l wait for what the inquiry about this key brings that is under way, or for another one. It reports false when there are too
// many.
func (s *cacheServer) inquire(l *lookup, ref page.Ref, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.current[key]
	if q == nil {
		q = &inquiry{ref: ref, key: key}
		select {
		case s.queue <- q:
			s.current[key] = q
		default:
			return false
		}
	}
	q.waiting = append(q.waiting, l)
	return true
}

// work takes what waits, all at once, and asks for it in one GetMulti: while one is under way the next batch gathers.
func (s *cacheServer) work(ctx context.Context) {
	batch := make([]*inquiry, 0, cacheBatch)
	keys := make([]string, 0, cacheBatch)
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-s.queue:
			batch, keys = append(batch[:0], q), append(keys[:0], q.key)
		}
	gather:
		for len(batch) < cacheBatch {
			select {
			case q := <-s.queue:
				batch, keys = append(batch, q), append(keys, q.key)
			default:
				break gather
			}
		}
		s.look(batch, keys)
	}
}

func (s *cacheServer) look(batch []*inquiry, keys []string) {
	s.batch.Observe(float64(len(batch)))
	items, err := s.ask(keys)
	for _, q := range batch {
		result, copied := "miss", (*held)(nil)
		if item := items.of(q.key); item != nil {
			result, copied = "hit", s.read(q.ref, item)
		} else if err != nil {
			result = "error"
		}
		s.mu.Lock()
		delete(s.current, q.key)
		s.mu.Unlock()
		s.results[result].Add(float64(len(q.waiting)))
		for _, l := range q.waiting {
			l.found <- copied
		}
	}
}

// read makes a copy of an item, or none if that cannot be.
func (s *cacheServer) read(ref page.Ref, item *memcache.Item) *held {
	c, err := s.decode(ref, item.Value)
	if err != nil {
		s.log.Warn("memcached: an item that cannot be read counts as a miss", "key", item.Key, "err", err)
		return nil
	}
	c.stored.Store(true)
	return c
}

func (s *cacheServer) ask(keys []string) (items, error) {
	if !s.breaker.TryAcquirePermit() {
		return items{}, circuitbreaker.ErrOpen
	}
	got, err := s.items(keys)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		got, err = s.items(keys) // an idle connection of before a restart: the next one is new
	}
	if err != nil {
		s.breaker.RecordFailure()
	} else {
		s.breaker.RecordSuccess()
	}
	return got, err
}

// items is what a server has of the keys it was asked for: the one, or some of many.
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

// items asks for one key without what GetMulti makes for any number: two maps, a channel and a goroutine.
func (s *cacheServer) items(keys []string) (got items, err error) {
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
