package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/testenv"
)

// BenchmarkCPU reports the processor time of all server processes (program, Postgres, memcached, and NATS in the
// program) per request, user and system, as µs-cpu/request. The client's own time is excluded.
//
//	go test ./ops/e2e -run '^$' -bench CPU -benchtime 20000x
//
// It seeds its own data set; KILLR_BENCH_DATA names a data directory of `killr up` to use instead.
func BenchmarkCPU(b *testing.B) {
	data := os.Getenv("KILLR_BENCH_DATA")
	if data == "" {
		data = testenv.DataDir(b)
	}
	for _, how := range []struct {
		name  string
		flags []string
	}{{"one-process", nil}, {"separate-processes", []string{"--processes"}}} {
		b.Run(how.name, func(b *testing.B) {
			for _, c := range []struct {
				name  string
				near  string
				paths func(context.Context, *testing.B, string) []string
			}{{"near", "64", sameUser}, {"memcached", "0", sameUser}, {"cold", "0", everyUser}} {
				b.Run(c.name, func(b *testing.B) {
					flags := append([]string{"up", "--data", data, "--addr", "127.0.0.1:0", "--nats-port", "0",
						"--users", "20000", "--photos", "200000",
						"--no-access-log", "--near-cache", c.near, "--log-level", "warn"}, how.flags...)
					up := testenv.StartProgram(b, testenv.Program(b), nil, flags...)
					url := strings.TrimSuffix(testenv.SiteURL(b, up), "/")
					time.Sleep(3 * time.Second) // until work that the start caused has ended
					measure(b, up.PID(), url, c.paths(b.Context(), b, data))
					if status := up.Stop(b); status != 0 {
						b.Errorf("status %d: %s", status, up.Stderr)
					}
				})
			}
		})
	}
}

func sameUser(context.Context, *testing.B, string) []string { return []string{"/photos/ansel"} }

// everyUser lists each user's page once, in an order from which no cache can profit.
func everyUser(ctx context.Context, b *testing.B, data string) []string {
	env, err := os.ReadFile(filepath.Join(data, "stack.env"))
	if err != nil {
		b.Fatal(err)
	}
	url := regexp.MustCompile(`postgres://[^']+`).FindString(string(env))
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(
		ctx, "SELECT '/photos/' || name FROM users ORDER BY hashtext(name || clock_timestamp()::date::text) LIMIT $1",
		b.N,
	)
	if err != nil {
		b.Fatal(err)
	}
	paths, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(paths) < b.N {
		b.Fatalf("%d users for %d cold pages: %v", len(paths), b.N, err)
	}
	return paths
}

// measure requests b.N pages, 16 at a time, and reports the server's processor time.
func measure(b *testing.B, pid int, url string, paths []string) {
	const visitors = 16
	client := newClient(b, visitors)
	if len(paths) == 1 { // warm
		for range 200 {
			fetch(b, client, url+paths[0])
		}
		time.Sleep(time.Second)
	}
	var next, bytes atomic.Int64
	tiers := sync.Map{}
	before := cpu(b, pid)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				n, tier := fetch(b, client, url+paths[i%len(paths)])
				bytes.Add(int64(n))
				count, _ := tiers.LoadOrStore(tier, &atomic.Int64{})
				count.(*atomic.Int64).Add(1)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	spent := cpu(b, pid) - before
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs-cpu/request")
	b.ReportMetric(float64(bytes.Load())/float64(b.N), "bytes/request")
	b.ReportMetric(0, "ns/op")
	tiers.Range(func(tier, count any) bool {
		b.ReportMetric(float64(count.(*atomic.Int64).Load())/float64(b.N), fmt.Sprint(tier, "/request"))
		return true
	})
}

func fetch(b *testing.B, client *http.Client, url string) (bytes int, tier string) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br")
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return int(n), resp.Header.Get("X-Cache")
}

// cpu is the processor time of a process and all its descendants, including those that ended and were waited for.
func cpu(b *testing.B, root int) time.Duration {
	b.Helper()
	used, err := cputime.Of(root)
	if err != nil {
		b.Fatal(err)
	}
	return used
}
