package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/lab/cputime"
	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// zipf is visitors who prefer some pages, at a steady rate that does not wait for slow answers: 60% photos, 30% users,
// the rest listings.
type zipf struct {
	paths  [3][]string
	draw   [3]*rand.Zipf
	random *rand.Rand
}

func (s *site) newZipf(seed uint64) *zipf {
	z := &zipf{random: rand.New(rand.NewPCG(seed, 1))}
	for _, id := range column[int64](s, "SELECT id FROM photos WHERE NOT private ORDER BY md5(id::text)") {
		z.paths[0] = append(z.paths[0], fmt.Sprintf("/photo/%d", id))
	}
	for _, name := range s.names {
		z.paths[1] = append(z.paths[1], "/photos/"+name)
	}
	z.paths[2] = []string{"/"}
	for _, tag := range column[string](s, "SELECT name FROM tags ORDER BY id LIMIT 20") {
		z.paths[2] = append(z.paths[2], "/tag/"+strings.ReplaceAll(tag, " ", "%20"))
	}
	for i, paths := range z.paths {
		z.draw[i] = rand.NewZipf(z.random, 1.1, 1, uint64(len(paths)-1))
	}
	return z
}

func (z *zipf) path() string {
	kind := 0
	switch n := z.random.IntN(10); {
	case n == 9:
		kind = 2
	case n >= 6:
		kind = 1
	}
	return z.paths[kind][z.draw[kind].Uint64()]
}

// tally counts answers by X-Cache, and failures.
type tally struct {
	mu    sync.Mutex
	tiers map[string]int
}

func (t *tally) hitRate() (rate float64, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.tiers {
		all += n
	}
	return float64(t.tiers["near"]+t.tiers["memcached"]) / float64(max(all, 1)), all
}

// steady sends requests at a rate until it is stopped. into is the tally that counts answers now; it may be changed at
// any time.
func (s *site) steady(z *zipf, perSecond int, into *atomic.Pointer[tally]) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	client := newClient(s.t, 64)
	work := make(chan string, 64)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for path := range work {
				status, header, _, err := testenv.Fetch(context.Background(), client, s.urls[i%len(s.urls)]+path)
				tier := header.Get("X-Cache")
				if err != nil || status != 200 {
					tier = fmt.Sprintf("failed %d", status)
				}
				t := into.Load()
				t.mu.Lock()
				t.tiers[tier]++
				t.mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		defer close(work)
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				work <- z.path()
			}
		}
	})
	return sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// made is how many pages of these kinds the renderers have made since they started.
func (s *site) made() (n int) {
	s.t.Helper()
	for _, kind := range []page.Kind{page.KindPhoto, page.KindUser, page.KindHome, page.KindTag} {
		n += s.rendered(kind.String())
	}
	return n
}

// committed is the number of transactions in the site's database, including the relay's polls.
func (s *site) committed() int64 {
	s.t.Helper()
	return column[int64](s, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")[0]
}

// postgresUsed is the processor time that Postgres has used.
func (s *site) postgresUsed() time.Duration {
	s.t.Helper()
	conn, err := s.pool.Acquire(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Release()
	tree, err := cputime.Tree(int(conn.Conn().PgConn().PID())) // the parent of all backends
	if err != nil {
		s.t.Fatal(err)
	}
	used, err := cputime.Of(tree[0].Parent)
	if err != nil {
		s.t.Fatal(err)
	}
	return used
}

// residentMiB is the memory of a process.
func residentMiB(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, errors.New("statm has no second field")
	}
	pages, err := strconv.Atoi(fields[1])
	return float64(pages*os.Getpagesize()) / (1 << 20), err
}

// larger is a site of 2,000 users and 20,000 photos.
func larger(b *testing.B, edges, renderers int) *site {
	pictures := filepath.Join(b.TempDir(), "pictures")
	postgres := testenv.DatabaseURL(b)
	if err := seed(b.Context(), b, postgres, pictures, 2000, 20_000); err != nil {
		b.Fatal(err)
	}
	return newSiteOn(b, postgres, pictures, edges, renderers)
}

// BenchmarkFlush is the cost of a flush of memcached under a steady load, alone and with a restart of every edge. Then
// only the popularity lists are left.
//
//	go test ./ops/e2e -run '^$' -bench 'Flush' -benchtime 1x -timeout 20m
func BenchmarkFlush(b *testing.B) {
	const perSecond, before, after = 500, 60 * time.Second, 10 * time.Second
	for _, cold := range []bool{false, true} {
		b.Run(map[bool]string{false: "memcached", true: "memcachedAndEdges"}[cold], func(b *testing.B) {
			s := newSite(b, 2, 2)
			var into atomic.Pointer[tally]
			next := func() *tally { return into.Swap(&tally{tiers: map[string]int{}}) }
			next()
			stop := s.steady(s.newZipf(1), perSecond, &into)
			time.Sleep(before) // to fill the caches
			next()
			rendered, committed, used := s.made(), s.committed(), s.postgresUsed()
			time.Sleep(after)
			steadyRendered, steadyCommitted := s.made()-rendered, s.committed()-committed
			steadyUsed := s.postgresUsed() - used
			steadyRate, _ := next().hitRate()
			if cold {
				stop()
				for range s.urls {
					must(b, s.roles.Remove(roles.Edge))
				}
			}
			if err := s.memcached().FlushAll(); err != nil {
				b.Fatal(err)
			}
			if cold {
				s.addEdges(2)
				next()
				stop = s.steady(s.newZipf(2), perSecond, &into)
			}
			rendered, committed, used = s.made(), s.committed(), s.postgresUsed()
			for second := range 10 {
				time.Sleep(time.Second)
				rate, n := next().hitRate()
				b.Logf("second %d: %.1f%% of %d hit", second+1, 100*rate, n)
				if second == 9 {
					b.ReportMetric(100*rate, "hit%10s")
				}
			}
			b.ReportMetric(100*steadyRate, "hit%steady")
			b.ReportMetric(float64(s.made()-rendered)/float64(max(steadyRendered, 1)), "renders/steady")
			b.ReportMetric(float64(s.committed()-committed)/float64(max(steadyCommitted, 1)), "commits/steady")
			b.ReportMetric((s.postgresUsed()-used).Seconds()/max(steadyUsed.Seconds(), .01), "postgres-cpu/steady")
			b.ReportMetric(float64(steadyRendered)/after.Seconds(), "renders/s")
			b.ReportMetric(0, "ns/op")
			stop()
		})
	}
}

// BenchmarkSoak requests random pages of all users and shows the memory of an edge.
//
//	go test ./ops/e2e -run '^$' -bench Soak -benchtime 300000x
func BenchmarkSoak(b *testing.B) {
	s := larger(b, 1, 2)
	client := newClient(b, 16)
	random := rand.New(rand.NewPCG(1, 1))
	paths := make(chan string, 64)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for path := range paths {
				_, _, _, _ = testenv.Fetch(context.Background(), client, s.urls[0]+path)
			}
		})
	}
	for i := range b.N {
		name := s.names[random.IntN(len(s.names))]
		paths <- fmt.Sprintf("/photos/%s/before/%d", name, random.IntN(1_000_000)+1)
		if i%max(b.N/10, 1) == 0 {
			mib, err := residentMiB(s.pids(roles.Edge)[0])
			if err != nil {
				b.Fatal(err)
			}
			b.Logf("after %d pages: %.0f MiB", i, mib)
		}
	}
	close(paths)
	wg.Wait()
}
