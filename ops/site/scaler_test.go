package site_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/pool"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// slowSite is a site in this process whose queries take 20 ms longer. So the workers of renderers are what is scarce.
func slowSite(t testing.TB, renderers, workers int) (*site.Site, *pool.Gatherer) {
	t.Helper()
	env := stack.Env{
		NATS: testenv.NATS(t), Seeds: testenv.Seeds(t), Postgres: testenv.DatabaseURL(t),
		Memcached: []string{testenv.Memcached(t)},
	}
	database, err := url.Parse(env.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	far, err := scale.Listen(database.Host, scale.Line{There: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	database.Host = far.Addr()
	env.Postgres = database.String()
	s := site.New(site.Config{
		Services: env, Pictures: filepath.Join(t.TempDir(), "pictures"), Addr: "127.0.0.1:0",
		Renderer: renderer.Config{PageWorkers: workers, ActionWorkers: 1, SearchWorkers: 1},
	})
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if err := far.Close(); err != nil {
			t.Error(err)
		}
	})
	for role, n := range map[site.Role]int{site.Renderer: renderers, site.Edge: 1} {
		if err := s.Add(role, n); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return s, pool.NewGatherer(testenv.ConnectAs(t, env.NATS, wire.RoleOperator), wire.RoleRenderer)
}

// crowd requests pages that nobody has asked for before, none of which another request's query could read.
type crowd struct {
	client      *http.Client
	url         string
	asked, lost atomic.Int64
	failure     atomic.Pointer[string]
	running     sync.WaitGroup
	end         context.CancelFunc
}

func newCrowd(t testing.TB, url string) *crowd {
	t.Helper()
	c := &crowd{url: url, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 1000,
	}}}
	t.Cleanup(c.client.CloseIdleConnections)
	return c
}

// come lets so many visitors ask, all together so often a second at most (rate.Inf: as fast as they are answered).
func (c *crowd) come(t testing.TB, visitors int, often rate.Limit) {
	ctx, cancel := context.WithCancel(t.Context())
	c.end = cancel
	pace := rate.NewLimiter(often, 1)
	for range visitors {
		c.running.Go(func() {
			for pace.Wait(ctx) == nil {
				c.ask(t)
			}
		})
	}
}

func (c *crowd) ask(t testing.TB) {
	path := fmt.Sprintf("/tag/nothing%d", c.asked.Add(1))
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, c.url+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := c.client.Do(req)
	if err == nil {
		if resp.StatusCode >= 500 {
			err = fmt.Errorf("%s: status %d", path, resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
	if err != nil {
		c.lost.Add(1)
		why := err.Error()
		c.failure.CompareAndSwap(nil, &why)
	}
}

func (c *crowd) leave() {
	c.end()
	c.running.Wait()
}

func (c *crowd) check(t testing.TB) {
	t.Helper()
	if n := c.lost.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", n, c.asked.Load(), *c.failure.Load())
	}
}

// scaled runs the site's scaling until the test ends.
func scaled(t testing.TB, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func renderersAre(t testing.TB, ask *pool.Gatherer, n int) {
	t.Helper()
	testenv.Within(t, 2*time.Minute, fmt.Sprintf("%d renderers answer", n), func() bool {
		shot, err := ask.Gather(t.Context())
		return err == nil && len(shot.Instances) == n
	})
}

// TestRenderersFollowTheLoad: a second renderer joins while visitors wait. It leaves when it is not needed any more,
// and no request fails for that.
func TestRenderersFollowTheLoad(t *testing.T) {
	t.Parallel()
	s, ask := slowSite(t, 1, 1)
	many, few := newCrowd(t, s.URLs()[0]), newCrowd(t, s.URLs()[0])
	scaled(t, func(ctx context.Context) error { return s.ScaleQuickly(ctx, 1, 2, time.Second) })
	many.come(t, 5, rate.Inf)
	renderersAre(t, ask, 2)
	many.leave()
	few.asked.Store(1_000_000) // other pages
	few.come(t, 1, 5)
	renderersAre(t, ask, 1)
	few.leave()
	few.check(t) // of the many, a renderer may refuse some
}

// BenchmarkFiveTimes has five times as many requests come at once, and stay for ten minutes in each round; then they
// leave, and it looks for two minutes more. It reports after how many seconds 95% of them wait for less than 20 ms
// again, for 2 s or longer; how many requests were refused until then; how often the number of renderers changed; in
// how many samples later they waited for longer; and how many requests failed later, also while renderers leave. Each
// page costs its worker 22 ms, so two renderers make 180 a second.
//
//	go test ./ops/site -run '^$' -bench FiveTimes -benchtime 1x -timeout 20m
func BenchmarkFiveTimes(b *testing.B) {
	const before = 50
	s, ask := slowSite(b, 2, 2)
	c := newCrowd(b, s.URLs()[0])
	scaled(b, func(ctx context.Context) error { return s.ScaleRenderers(ctx, 2, 8) })
	c.come(b, 200, before)
	more := newCrowd(b, s.URLs()[0])
	more.asked.Store(10_000_000) // other pages
	failed := func() int64 { return more.lost.Load() + c.lost.Load() }
	type seen struct {
		back, change    time.Duration // until waits were short again; until the number of renderers last changed
		changes, longer int
		refused         int64 // until waits were short again
	}
	look := func(lasts time.Duration) (all seen) {
		begun, short := time.Now(), false
		was, err := ask.Gather(b.Context())
		for time.Since(begun) < lasts && err == nil {
			var now pool.Snapshot
			now, err = ask.Gather(b.Context())
			load, at := pool.Between(was, now), time.Since(begun)
			switch waits := load.Wait95 > 20*time.Millisecond || load.Busy > 0; {
			case waits && short:
				all.longer++
			case waits:
				all.back, all.refused = at, failed()
			default:
				short = short || at-all.back > 2*time.Second
			}
			if len(now.Instances) != len(was.Instances) {
				all.change = at
				all.changes++
				b.Logf("after %.1f s %d renderers, p95 %s", at.Seconds(), len(now.Instances), load.Wait95)
			}
			was = now
		}
		if err != nil {
			b.Fatal(err)
		}
		return all
	}
	if calm := look(10 * time.Second); calm.changes > 0 || failed() > 0 {
		b.Logf("before the step %+v: the machine is too busy to measure", calm)
	}
	b.ResetTimer()
	more.come(b, 800, 4*before)
	step := look(time.Duration(b.N) * 10 * time.Minute)
	more.leave()
	calm := look(2 * time.Minute)
	b.StopTimer()
	c.leave()
	b.ReportMetric(step.back.Seconds(), "s_until_back")
	b.ReportMetric(step.change.Seconds(), "s_last_change")
	b.ReportMetric(float64(step.changes), "changes")
	b.ReportMetric(float64(step.longer), "longer")
	b.ReportMetric(float64(calm.changes), "changes_after")
	b.ReportMetric(float64(step.refused), "refused_until_back")
	b.ReportMetric(float64(failed()-step.refused), "failed_later")
	b.ReportMetric(0, "ns/op")
}
