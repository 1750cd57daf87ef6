package renderer

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// BenchmarkUserPage renders users' first pages of 48 photos, no page twice in a row, asked for over the bus by so many
// at once. The asker, nats-server and the service are one process, as with `up`; Postgres is another and is not counted
// in B/op.
func BenchmarkUserPage(b *testing.B) {
	for _, askers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("askers=%d", askers), func(b *testing.B) { benchmarkUserPage(b, askers) })
	}
}

func benchmarkUserPage(b *testing.B, askers int) {
	url := testenv.DatabaseURL(b)
	served, err := store.OpenPool(b.Context(), url, 8)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(served.Close)
	pool := testenv.Pool(b, url)
	st := newSiteOn(b, testenv.NATS(b), pool)
	fillBench(b, pool)
	s := st.start(b, func(c *Config) { c.Pool, c.Logger, c.QueueFactor = served, slog.New(slog.DiscardHandler), 32 })
	st.quiet(b)

	b.ReportAllocs()
	r := askTogether(b, s, page.KindUser.String(), askers, func(n int64) (*nats.Msg, error) {
		return st.nc.Request(benchUser(n).Subject(), nil, 10*time.Second)
	})
	b.ReportMetric(r.MeanBatch, "pages/query")
}

const benchUsers = 100

// benchUser is the page of one of the users of fillBench.
func benchUser(n int64) page.Ref { return page.User(fmt.Sprintf("bench-%d", 1+n%benchUsers)) }

// fillBench adds benchUsers users to a site, each with 60 photos.
func fillBench(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	_, err := pool.Exec(b.Context(), `
		INSERT INTO users (id, name, display_name)
		SELECT 1000 + n, 'bench-' || n, 'Bench ' || n FROM generate_series(1, $1) AS n`, benchUsers)
	if err == nil {
		_, err = pool.Exec(b.Context(), `INSERT INTO photos (id, user_id, image_id, width, height, color, title)
			SELECT 1000 + n, 1001 + n % $1::integer, image_id, width, height, color,
				'A photograph of nothing much, number ' || n
			FROM photos, generate_series(1, 60 * $1::integer) AS n WHERE photos.id = 1`, benchUsers)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// askTogether makes b.N requests of so many askers, each waiting for its answer, and reports what they cost and how
// long they took. It returns what an endpoint says of them.
func askTogether(b *testing.B, s *running, endpoint string, askers int, ask func(n int64) (*nats.Msg, error)) report {
	b.Helper()
	before, beforeOthers := cpu(b), cpuOfChildren(b)
	b.ResetTimer()
	together(b, askers, 1, b.N+1, func(n int64) error {
		reply, err := ask(n)
		if err == nil {
			err = wire.ErrorOf(reply)
		}
		return err
	})
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64((cpuOfChildren(b)-beforeOthers).Microseconds())/float64(b.N), "postgres-cpu-us/op")
	r := totalOf(s, endpoint)
	b.ReportMetric(r.P50, "p50-ms")
	b.ReportMetric(r.P99, "p99-ms")
	return r
}

// together calls do for each number from first to before end, so many at once.
func together(b *testing.B, callers, first, end int, do func(n int64) error) {
	b.Helper()
	var calling sync.WaitGroup
	var next atomic.Int64
	next.Store(int64(first) - 1)
	for range callers {
		calling.Go(func() {
			for n := next.Add(1); n < int64(end); n = next.Add(1) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	calling.Wait()
}

// BenchmarkChange measures from before a commit until a subscriber has the notice, one change at a time: woken by this
// process, which wrote, and found by the relay's poll, as for what others write.
func BenchmarkChange(b *testing.B) {
	for _, woken := range []bool{true, false} {
		b.Run(fmt.Sprintf("woken=%t", woken), func(b *testing.B) {
			st := newSite(b)
			s := st.start(b, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
			st.quiet(b)
			heard := follow(b, st, wire.SubjectBatch)
			took := hdrhistogram.New(1, 10_000_000, 2)
			var last int64
			for b.Loop() {
				begun := time.Now()
				st.retitle(b, begun.String())
				if woken {
					s.relay.wake()
				}
				last = announced(b, heard, "user.ansel", last).Version
				if err := took.RecordValue(time.Since(begun).Microseconds()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(took.ValueAtPercentile(50))/1000, "p50-ms")
			b.ReportMetric(float64(took.ValueAtPercentile(99))/1000, "p99-ms")
		})
	}
}

// cpu is what this process has used so far, user plus system.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuOfChildren is what the processes that this one has started have used so far, of which Postgres is the one that
// works; in steps of 10 ms.
func cpuOfChildren(b *testing.B) (sum time.Duration) {
	b.Helper()
	tree, err := cputime.Tree(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range tree[1:] {
		sum += p.Used
	}
	return sum
}

// BenchmarkPhotoEdit edits photos of many owners over the bus, so many at once. The test cluster does not wait for its
// disk: what a disk takes comes on top.
func BenchmarkPhotoEdit(b *testing.B) {
	for _, askers := range []int{1, 16} {
		b.Run(fmt.Sprintf("askers=%d", askers), func(b *testing.B) { benchmarkPhotoEdit(b, askers) })
	}
}

func benchmarkPhotoEdit(b *testing.B, askers int) {
	url := testenv.DatabaseURL(b)
	served, err := store.OpenPool(b.Context(), url, 10)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(served.Close)
	st := newSiteOn(b, testenv.NATS(b), testenv.Pool(b, url))
	if _, err := st.pool.Exec(b.Context(), `
		INSERT INTO users (id, name, display_name) SELECT 1000 + n, 'bench-' || n, 'Bench ' || n FROM generate_series(0,
			99) AS n;
		INSERT INTO photos (id, user_id, image_id, width, height, color)
			SELECT 1000 + n, 1000 + n % 100, image_id, width, height, color FROM photos, generate_series(0, 999) AS n
				WHERE photos.id = 1`); err != nil {
		b.Fatal(err)
	}
	s := st.start(b, func(c *Config) { c.Pool, c.Logger, c.ActionWorkers = served, slog.New(slog.DiscardHandler), 4 })
	st.quiet(b)
	askTogether(b, s, "photo-edit", askers, func(n int64) (*nats.Msg, error) {
		form := fmt.Sprintf("id=%d&title=Title+%d", 1000+n%1000, n)
		return st.nc.RequestMsg(&nats.Msg{Subject: "action.photo.edit", Header: key(int(n)), Data: []byte(form)},
			20*time.Second)
	})
}
