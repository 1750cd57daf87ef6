package edge

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

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/prometheus/client_golang/prometheus"
)

// newCache gives a cache of one server that holds n items of so many bytes. It does not work yet.
func newCache(t testing.TB, n, bytes int) *sharedCache {
	t.Helper()
	addr := testenv.Memcached(t)
	client := memcache.New(addr)
	client.Timeout = 10 * time.Second
	defer client.Close()
	for i := range n {
		value := make([]byte, bytes)
		copy(value, cacheKey(i))
		if err := client.Set(&memcache.Item{Key: cacheKey(i), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := newSharedCache([]string{addr}, asIs, newMeters(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// working has a cache work until the test ends.
func working(t testing.TB, c *sharedCache) *sharedCache {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

func cacheRef(i int) page.Ref { return page.Photo(int64(i + 1)) }

func cacheKey(i int) string { return cacheRef(i).Key() }

// asIs makes a copy of what is no envelope.
func asIs(ref page.Ref, item []byte) (*held, error) {
	return &held{ref: ref, reply: &wire.Reply{Body: item}}, nil
}

// BenchmarkCacheLookup is one look-up of an item as large as a user's page when packed, by so many at once. memcached is another process and
// not in B/op.
func BenchmarkCacheLookup(b *testing.B) {
	for _, askers := range []int{1, 16} {
		for _, what := range []struct {
			name  string
			first int
		}{{"hit", 0}, {"miss", 1000}} {
			b.Run(fmt.Sprintf("%s/askers=%d", what.name, askers), func(b *testing.B) {
				const items = 100
				c := working(b, newCache(b, items, 5000))
				var next, found atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range askers {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if got, _ := c.get(b.Context(), cacheRef(what.first+int(n%items))); got != nil {
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

// TestLookupsKeepApart: each is answered with its own item, alone or many at a time, also when those of before were left unanswered.
func TestLookupsKeepApart(t *testing.T) {
	t.Parallel()
	const items, missing, rounds = 50, 5, 20
	c := working(t, newCache(t, items, 2000))
	for round := range rounds {
		var wg sync.WaitGroup
		for i := range items + missing {
			wg.Go(func() {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if round%2 == 0 && i%2 == 0 {
					leave() // whoever leaves may have an answer, and need not
				}
				copied, _ := c.get(ctx, cacheRef(i))
				if copied == nil {
					return
				}
				if got := copied.reply.Body; i >= items || len(got) != 2000 || string(got[:len(cacheKey(i))+1]) != cacheKey(i)+"\x00" {
					t.Errorf("for %s: %.20q, %d bytes", cacheKey(i), got, len(got))
				}
			})
		}
		wg.Wait()
	}
	eventually(t, "one alone is found", func() bool { got, _ := c.get(t.Context(), cacheRef(7)); return got != nil })
	if got, _ := c.get(t.Context(), cacheRef(items)); got != nil {
		t.Error("something is found where nothing is")
	}
}

// TestLookupsForTheSameShare: memcached is asked once, and the answer decoded once, for all who look for a page at the same time.
func TestLookupsForTheSameShare(t *testing.T) {
	t.Parallel()
	const pages, visitors = 3, 100
	c := newCache(t, pages, 2000)
	found := make([][visitors]*held, pages)
	var wg sync.WaitGroup
	for i := range pages {
		for j := range visitors {
			wg.Go(func() { found[i][j], _ = c.get(t.Context(), cacheRef(i)) })
		}
	}
	var server *cacheServer
	for _, server = range c.servers { // there is one
	}
	eventually(t, "all wait", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		n := 0
		for _, q := range server.current {
			n += len(q.waiting)
		}
		return n == pages*visitors
	})
	if n := len(server.queue); n != pages {
		t.Errorf("%d inquiries for %d pages", n, pages)
	}
	working(t, c)
	wg.Wait()
	for i := range pages { // who has waited longer than the budget has none
		given := map[*held]bool{}
		for _, c := range found[i] {
			if c != nil {
				given[c] = c.ref == cacheRef(i)
			}
		}
		if len(given) > 1 || slices.Contains(slices.Collect(maps.Values(given)), false) {
			t.Errorf("page %d: %v", i, given)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.current) > 0 {
		t.Errorf("%d inquiries are still current", len(server.current))
	}
}
