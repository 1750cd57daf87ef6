package store_test

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// searches are over 1,000 queries: common and rare words, several of them, filters, every script, and what is meant to
// break a search.
func searches(t testing.TB) []string {
	t.Helper()
	file, err := os.Open("testdata/searches.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text := lines.Text(); !strings.HasPrefix(text, "# ") {
			all = append(all, page.CleanQuery(text))
		}
	}
	return all
}

// Every query is answered, in every order.
func TestEverySearchIsAnswered(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 200, 2000)
	buildSearch(t, s)
	for _, text := range searches(t) {
		q := query.Parse(text)
		for _, order := range []page.Sort{page.SortRelevance, page.SortNewest, page.SortLiked} {
			if _, err := s.Search(t.Context(), &q, order, 0); err != nil {
				t.Fatalf("%q by %s: %v", text, order, err)
			}
		}
	}
}

// BenchmarkSearches says how much time Postgres takes for the queries, and how much of that its processor was busy. Of
// a database of a given size:
//
//	KILLR_SEARCH_DATABASE=$DATABASE_URL go test ./renderer/store -run '^$' -bench Searches -benchtime 1x -v
func BenchmarkSearches(b *testing.B) {
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
	all := searches(b)
	for _, order := range []page.Sort{page.SortRelevance, page.SortNewest, page.SortLiked} {
		b.Run(order.String(), func(b *testing.B) {
			for b.Loop() {
				timeSearches(b, s, pool, all, order)
			}
		})
	}
}

func timeSearches(b *testing.B, s *store.Store, pool *pgxpool.Pool, all []string, order page.Sort) {
	type timed struct {
		text      string
		wall, cpu time.Duration
	}
	var times []timed
	failed := 0
	for _, text := range all {
		q := query.Parse(text)
		busy, begun := backendTime(b, pool), time.Now()
		if _, err := s.Search(b.Context(), &q, order, 0); err != nil {
			b.Logf("%q: %v", text, err)
			failed++
		}
		wall := time.Since(begun)
		times = append(times, timed{text, wall, backendTime(b, pool) - busy})
	}
	for _, by := range []struct {
		name string
		of   func(timed) time.Duration
	}{{"wall", func(t timed) time.Duration { return t.wall }}, {"cpu", func(t timed) time.Duration { return t.cpu }}} {
		slices.SortFunc(times, func(x, y timed) int { return cmp.Compare(by.of(x), by.of(y)) })
		n := len(times)
		b.Logf("%s, %d queries: p50 %s, p90 %s, p99 %s, max %s; %d failed", by.name, n,
			by.of(times[n/2]), by.of(times[n*9/10]), by.of(times[n*99/100]), by.of(times[n-1]), failed)
		b.ReportMetric(float64(by.of(times[n*99/100]).Microseconds())/1000, by.name+"-p99-ms")
	}
	for _, t := range times[len(times)-40:] {
		b.Logf("%8s wall %8s %q", t.cpu.Round(100*time.Microsecond), t.wall.Round(100*time.Microsecond), t.text)
	}
}

// backendTime is how long the processor has worked for the pool's only connection; 0 where that cannot be read.
func backendTime(b *testing.B, pool *pgxpool.Pool) time.Duration {
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", conn.Conn().PgConn().PID()))
	if err != nil {
		return 0
	}
	var ns int64
	if _, err := fmt.Sscan(string(stat), &ns); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}
