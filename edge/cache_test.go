package edge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/testenv"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/prometheus/client_golang/prometheus"
)

// newCache gives a cache of one server that holds n items of so many bytes, working until the test ends.
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
	c, err := newSharedCache([]string{addr}, newMeters(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

func cacheKey(i int) string { return fmt.Sprintf("page.photo.%d", i) }

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
				c := newCache(b, items, 5000)
				keys := make([]string, items)
				for i := range keys {
					keys[i] = cacheKey(what.first + i)
				}
				var next, found atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range askers {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if c.get(b.Context(), keys[n%items]) != nil {
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
	c := newCache(t, items, 2000)
	for round := range rounds {
		var wg sync.WaitGroup
		for i := range items + missing {
			wg.Go(func() {
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if round%2 == 0 && i%2 == 0 {
					leave() // whoever leaves may have an answer, and need not
				}
				got := c.get(ctx, cacheKey(i))
				if got != nil && (i >= items || len(got) != 2000 || string(got[:len(cacheKey(i))+1]) != cacheKey(i)+"\x00") {
					t.Errorf("for %s: %.20q, %d bytes", cacheKey(i), got, len(got))
				}
			})
		}
		wg.Wait()
	}
	eventually(t, "one alone is found", func() bool { return c.get(t.Context(), cacheKey(7)) != nil })
	if c.get(t.Context(), cacheKey(items)) != nil {
		t.Error("something is found where nothing is")
	}
}
