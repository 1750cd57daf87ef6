package store_test

import (
	"fmt"
	"os"
	"testing"

	"flickrkillr/renderer/store"
)

// benchStore reads from the database that KILLR_BENCH_DATABASE names, such as that of a stack with a million photos,
// otherwise from a small data set.
func benchStore(b *testing.B) *store.Store {
	b.Helper()
	if url := os.Getenv("KILLR_BENCH_DATABASE"); url != "" {
		s, _ := openURL(b, url)
		return s
	}
	s, pool := open(b)
	fillDataset(b, pool, 3000, 30_000)
	return s
}

func BenchmarkUsers(b *testing.B) {
	s := benchStore(b)
	for _, size := range []int{1, 16} {
		b.Run(fmt.Sprint("batch of ", size), func(b *testing.B) {
			b.ReportAllocs()
			queries := make([]store.UserQuery, size)
			var user int
			for b.Loop() {
				for i := range queries {
					queries[i].Name = fmt.Sprint("u", 1+user%3000)
					user++
				}
				pages, err := s.Users(b.Context(), queries)
				if err != nil || pages[size-1].User == nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/page")
		})
	}
}

func BenchmarkPhotos(b *testing.B) {
	s := benchStore(b)
	for _, size := range []int{1, 16} {
		b.Run(fmt.Sprint("batch of ", size), func(b *testing.B) {
			b.ReportAllocs()
			ids := make([]int64, size)
			var photo int64
			for b.Loop() {
				for i := range ids {
					photo++
					ids[i] = 1 + photo*7%29_000
				}
				if _, err := s.Photos(b.Context(), ids); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/page")
		})
	}
}

func BenchmarkHome(b *testing.B) {
	s := benchStore(b)
	for _, before := range []int64{0, 100} { // the first page and one of the last: keyset pagination makes them equal
		b.Run(fmt.Sprint("before ", before), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Home(b.Context(), before, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	s := benchStore(b)
	for _, query := range []string{"sunset", "foxglove", "xylograph", "nosuchword", "analog", "sunset analog",
		"xylograp", "sunse"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				if _, err := searchFor(b.Context(), s, query, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
