package cache

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/freshness"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// newCache returns a Memcached with one server, which has n items of this size. Its look-ups wait until working is
// called.
func newCache(t testing.TB, n, bytes int) *Memcached {
	t.Helper()
	addr := testenv.Memcached(t)
	client := memcache.New(addr)
	client.Timeout = 10 * time.Second
	defer client.Close()
	for i := range n {
		body := make([]byte, bytes)
		copy(body, cacheKey(i))
		item := (&wire.Reply{Key: cacheKey(i), Status: 200, ContentType: "image/jpeg", Body: body}).Encode()
		if err := client.Set(&memcache.Item{Key: cacheKey(i), Value: item}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewMemcached([]string{addr}, freshness.New(&wire.Clock{}), MemcachedMetrics{
		Lookups: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lookups"}, []string{"server", "result"}),
		Batch:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "batch"}),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// working runs the look-ups until the test ends.
func working(t testing.TB, c *Memcached) *Memcached {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

// cacheRef is the page of the i-th item.
func cacheRef(i int) page.Ref { return page.Photo(int64(i + 1)) }

func cacheKey(i int) string { return cacheRef(i).Key() }

// BenchmarkLookup is one look-up of an item as large as a user's compressed page, by 1 or 16 clients at once.
// memcached is another process and not in B/op.
func BenchmarkLookup(b *testing.B) {
	for _, clients := range []int{1, 16} {
		for _, what := range []struct {
			name  string
			first int
		}{{"hit", 0}, {"miss", 1000}} {
			b.Run(fmt.Sprintf("%s/clients=%d", what.name, clients), func(b *testing.B) {
				const items = 100
				c := working(b, newCache(b, items, 5000))
				var next, found atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range clients {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if got := c.Get(cacheRef(what.first + int(n%items))); got != nil {
								found.Add(1)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(found.Load())/float64(b.N), "hits/op")
			})
		}
	}
}

// TestLookupsAreSeparate: each look-up gets its own item, alone or with many others at the same time.
func TestLookupsAreSeparate(t *testing.T) {
	t.Parallel()
	const items, missing, rounds = 50, 5, 20
	c := working(t, newCache(t, items, 2000))
	for range rounds {
		var wg sync.WaitGroup
		for i := range items + missing {
			wg.Go(func() {
				found := c.Get(cacheRef(i))
				if found == nil {
					return
				}
				got := found.Reply.Body
				if i >= items || len(got) != 2000 || string(got[:len(cacheKey(i))+1]) != cacheKey(i)+"\x00" {
					t.Errorf("look-up of %s: %.20q, %d bytes", cacheKey(i), got, len(got))
				}
			})
		}
		wg.Wait()
	}
	testenv.Eventually(t, "one item is found", func() bool { return c.Get(cacheRef(7)) != nil })
	if c.Get(cacheRef(items)) != nil {
		t.Error("a look-up finds an item that does not exist")
	}
}

// TestLateAnswers: a look-up that memcached answers after the time limit does not deliver its page to the next one.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	c := newCache(t, 2, 2000)
	if c.Get(cacheRef(0)) != nil {
		t.Error("a page is found before the look-ups run")
	}
	working(t, c)
	testenv.Eventually(t, "the next page is found", func() bool {
		found := c.Get(cacheRef(1))
		if found != nil && found.Ref != cacheRef(1) {
			t.Fatalf("look-up of %s: %s", cacheRef(1), found.Ref)
		}
		return found != nil
	})
}

// TestLookupsShare: look-ups of a page at the same time share one request and one decoded page.
func TestLookupsShare(t *testing.T) {
	t.Parallel()
	const pages, visitors = 3, 100
	c := newCache(t, pages, 2000)
	found := make([][visitors]*Page, pages)
	var wg sync.WaitGroup
	for i := range pages {
		for j := range visitors {
			wg.Go(func() { found[i][j] = c.Get(cacheRef(i)) })
		}
	}
	var one *server
	for _, one = range c.servers { // there is one
	}
	testenv.Eventually(t, "all look-ups wait", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		n := 0
		for _, q := range one.current {
			n += len(q.waiting)
		}
		return n == pages*visitors
	})
	if n := len(one.queue); n != pages {
		t.Errorf("%d queued look-ups for %d pages", n, pages)
	}
	working(t, c)
	wg.Wait()
	for i := range pages { // look-ups that waited longer than the time limit found nothing
		delivered := map[*Page]bool{}
		for _, c := range found[i] {
			if c != nil {
				delivered[c] = c.Ref == cacheRef(i)
			}
		}
		if len(delivered) > 1 || slices.Contains(slices.Collect(maps.Values(delivered)), false) {
			t.Errorf("page %d: %v were delivered, want the right page once", i, delivered)
		}
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if len(one.current) > 0 {
		t.Errorf("%d look-ups are still current", len(one.current))
	}
}

// A look-up that finds the queue full is a miss at once.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	c := newCache(t, 1, 100) // it does not work yet
	for _, one := range c.servers {
		for range queueSize {
			one.queue <- &lookup{}
		}
		if c.Get(cacheRef(0)) != nil {
			t.Error("a page is found")
		}
		if n := len(one.current); n != 0 {
			t.Errorf("%d look-ups are under way, want none", n)
		}
	}
}
