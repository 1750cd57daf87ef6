package edge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

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

// sharedCache looks up envelopes in memcached, which an edge reads and never writes. Each server has its own queue, workers and circuit
// breaker, so that a dead or frozen one costs its share of the keys and nothing more.
type sharedCache struct {
	ring    *ring.Ring // nil: no memcached
	servers map[string]*cacheServer
	lookups sync.Pool // of *lookup
}

type cacheServer struct {
	client  *memcache.Client
	breaker circuitbreaker.CircuitBreaker[any]
	queue   chan *lookup
	batch   prometheus.Histogram
	results map[string]prometheus.Counter
}

// lookup is one key that somebody waits for. The envelope, nil for a miss, is sent once on found, which has room for it. Whoever has
// received it may use the lookup for another key; one that was left before that is never used again, for the answer may still come.
type lookup struct {
	key   string
	found chan []byte
	timer *time.Timer
}

func newLookup() any {
	l := &lookup{found: make(chan []byte, 1), timer: time.NewTimer(cacheBudget)}
	l.timer.Stop()
	return l
}

func newSharedCache(addrs []string, m *meters, log *slog.Logger) (*sharedCache, error) {
	c := &sharedCache{servers: map[string]*cacheServer{}, lookups: sync.Pool{New: newLookup}}
	if len(addrs) == 0 {
		return c, nil
	}
	var err error
	if c.ring, err = ring.New(addrs); err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		s := &cacheServer{client: memcache.New(addr), queue: make(chan *lookup, cacheQueue), batch: m.batch, results: map[string]prometheus.Counter{}}
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

// get gives the envelope under key, nil when memcached has none or does not say so within its budget.
func (c *sharedCache) get(ctx context.Context, key string) []byte {
	if c.ring == nil {
		return nil
	}
	addr, err := c.ring.PickServer(key)
	if err != nil {
		return nil
	}
	s := c.servers[addr.String()]
	if s.breaker.IsOpen() && s.breaker.RemainingDelay() > 0 {
		s.results["open"].Inc()
		return nil
	}
	l := c.lookups.Get().(*lookup)
	l.key = key
	select {
	case s.queue <- l:
	default:
		c.lookups.Put(l)
		s.results["slow"].Inc()
		return nil
	}
	l.timer.Reset(cacheBudget)
	select {
	case envelope := <-l.found:
		l.timer.Stop()
		c.lookups.Put(l)
		return envelope
	case <-l.timer.C:
		s.results["slow"].Inc()
	case <-ctx.Done():
		l.timer.Stop()
	}
	return nil
}

// work takes what waits, all at once, and asks for it in one GetMulti: while one is under way the next batch gathers.
func (s *cacheServer) work(ctx context.Context) {
	batch := make([]*lookup, 0, cacheBatch)
	keys := make([]string, 0, cacheBatch)
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.queue:
			batch, keys = append(batch[:0], l), append(keys[:0], l.key)
		}
	gather:
		for len(batch) < cacheBatch {
			select {
			case l := <-s.queue:
				batch, keys = append(batch, l), append(keys, l.key)
			default:
				break gather
			}
		}
		s.look(batch, keys)
	}
}

func (s *cacheServer) look(batch []*lookup, keys []string) {
	s.batch.Observe(float64(len(batch)))
	items, err := s.ask(keys)
	for _, l := range batch {
		result, envelope := "miss", []byte(nil)
		if item := items.of(l.key); item != nil {
			result, envelope = "hit", item.Value
		} else if err != nil {
			result = "error"
		}
		s.results[result].Inc()
		l.found <- envelope
	}
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
