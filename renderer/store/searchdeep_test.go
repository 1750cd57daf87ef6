package store_test

import (
	"os"
	"testing"
	"time"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// BenchmarkDeepSearch says what page 200 of a frequent word costs, and page 2: neither looks for people and tags.
//
//	KILLR_SEARCH_DATABASE=$DATABASE_URL go test ./renderer/store -run '^$' -bench DeepSearch -benchtime 10x
func BenchmarkDeepSearch(b *testing.B) {
	url := os.Getenv("KILLR_SEARCH_DATABASE")
	if url == "" {
		b.Skip("KILLR_SEARCH_DATABASE is not set")
	}
	pool, err := store.OpenSearchPool(b.Context(), url, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	s := store.New(pool)
	for _, order := range []page.Sort{page.SortRelevance, page.SortNewest, page.SortLiked} {
		q := query.Parse("light")
		var positions []int64
		for before := int64(0); len(positions) < 200; positions = append(positions, before) {
			found, err := s.Search(b.Context(), &q, order, before)
			if err != nil || found.Older == 0 {
				b.Fatal(len(positions), err)
			}
			before = found.Older
		}
		for name, at := range map[string]int64{"page 1": 0, "page 2": positions[0], "page 200": positions[198]} {
			b.Run(order.String()+" "+name, func(b *testing.B) {
				busy := backendTime(b, pool)
				for b.Loop() {
					if _, err := s.Search(b.Context(), &q, order, at); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((backendTime(b, pool)-busy)/time.Microsecond)/float64(b.N)/1000, "cpu-ms/search")
			})
		}
	}
}
