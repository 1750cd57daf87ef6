package bench

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// within serves a handler and benchmarks it in a synctest bubble, where time passes only while all goroutines wait: a
// run of an hour takes a moment, and each latency is exact.
func within(t *testing.T, handler http.HandlerFunc, cfg Config, check func(t *testing.T, res *Result)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lis := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: handler}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(lis) })
		cfg.Dial = lis.dial
		if cfg.Edges == nil {
			cfg.Edges = []string{"http://site.test"}
		}
		if cfg.Pages == nil {
			cfg.Pages = []Page{{Path: "/"}}
		}
		res, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Shutdown(t.Context()); err != nil { // waits for handlers, unlike Close
			t.Error(err)
		}
		serving.Wait()
		check(t, res)
	})
}

// pipes is a network within the process.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func answerPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<html></html>")
}

// near reports whether a latency in milliseconds is as expected, within the precision of a histogram.
func near(got, want float64) bool { return math.Abs(got-want) <= 0.001*want+0.01 }

// stalling answers at once, except from the 3rd second after the first request to the 4th.
func stalling() http.HandlerFunc {
	var first sync.Once
	var began time.Time
	return func(w http.ResponseWriter, _ *http.Request) {
		first.Do(func() { began = time.Now() })
		if at := time.Since(began); at >= 3*time.Second && at < 4*time.Second {
			time.Sleep(4*time.Second - at)
		}
		answerPage(w)
	}
}

// A server that stalls for a second delays every page that is due in that second: of 1,000 pages at even intervals 100
// take 10, 20, ... 1,000 ms. A closed loop of one visitor sees a single slow page, so its 99.9th percentile is far too
// low.
func TestAStallShowsInThePercentilesOfAnOpenLoop(t *testing.T) {
	t.Parallel()
	for name, visitors := range map[string]int{"as many visitors as are needed": 200, "two visitors": 2} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{
				Rate: 100, Even: true, Visitors: visitors, Duration: 10 * time.Second, PagesOnly: true,
				VisitPages: 1000, KeepConnections: true,
			}
			within(t, stalling(), cfg, func(t *testing.T, res *Result) {
				mustBeClean(t, res)
				page := res.Kind("page").Times
				if page.Count != 1000 || res.Arrivals.Dropped != 0 || res.Arrivals.Late != 0 {
					t.Fatalf("%d pages, arrivals %+v; want 1,000 and none late by our fault", page.Count, *res.Arrivals)
				}
				for _, c := range []struct {
					what      string
					got, want float64
				}{
					{"average", page.Average, 50.5}, {"p50", page.P50, 0}, {"p95", page.P95, 500},
					{"p99", page.P99, 900}, {"p99.9", page.P999, 990}, {"max", page.Max, 1000},
				} {
					if !near(c.got, c.want) {
						t.Errorf("%s %v ms, want %v", c.what, c.got, c.want)
					}
				}
				// all but two, and the last, whose 10 ms are not too late
				if waited := map[bool]int64{true: 0, false: 97}[visitors == 200]; res.Arrivals.Waited != waited {
					t.Errorf("%d pages waited for a visitor, want %d", res.Arrivals.Waited, waited)
				}
				if !near(res.PagesPerSecond, 100) {
					t.Errorf("%v pages a second, want 100", res.PagesPerSecond)
				}
			})
		})
	}
	t.Run("closed loop", func(t *testing.T) {
		cfg := Config{
			Visitors: 1, Think: 10 * time.Millisecond, Duration: 10 * time.Second, PagesOnly: true, VisitPages: 2000,
			KeepConnections: true,
		}
		within(t, stalling(), cfg, func(t *testing.T, res *Result) {
			page := res.Kind("page").Times
			if page.Count < 895 || page.Count > 905 || page.P99 > 0.01 || !(page.Max > 980) {
				t.Errorf("%+v; want about 900 pages, all but one at once", page)
			}
		})
	})
}

// When the server is far too slow, all visitors wait for it, ten seconds' worth of pages wait for a visitor, and the
// rest are reported as dropped.
func TestWhatNeverBeganIsTold(t *testing.T) {
	t.Parallel()
	cfg := Config{
		Rate: 10, Even: true, Visitors: 1, Duration: 30 * time.Second, Timeout: 400 * time.Second, PagesOnly: true,
	}
	within(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Second)
		answerPage(w)
	}, cfg, func(t *testing.T, res *Result) {
		// One is asked for, 100 wait, 199 find no room. At 435 s all ends: four have been answered, the fifth is under
		// way.
		if res.Arrivals.Dropped != 199 || res.Pages != 4 || res.Cut != 1 || res.Arrivals.Waited != 4 {
			t.Errorf(
				"arrivals %+v, %d pages, %d cut; want 199 dropped, 4 pages, 1 cut, 4 that waited", *res.Arrivals,
				res.Pages, res.Cut,
			)
		}
		if got := res.Kind("page").Times.Max; !near(got, 399_700) { // due at 0.3 s, answered at 400 s
			t.Errorf("the slowest took %v ms, want 399,700", got)
		}
		if res.PagesPerSecond != 0 {
			t.Errorf("%v pages a second, but none was done in time", res.PagesPerSecond)
		}
		if len(res.Warnings()) != 4 {
			t.Errorf(
				"warnings %q; want of the cut, the dropped, those that waited, and the unknown costs", res.Warnings(),
			)
		}
	})
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	even := newSchedule(3, true, 1)
	for i, want := range []time.Duration{0, 333333333, 666666666, time.Second} {
		if got := even(); got != want {
			t.Errorf("page %d begins at %v, want %v", i, got, want)
		}
	}
	const n = 100_000
	poisson, again, other := newSchedule(100, false, 7), newSchedule(100, false, 7), newSchedule(100, false, 8)
	var last time.Duration
	var sum, squares float64
	differs := false
	for range n {
		at := poisson()
		if at != again() {
			t.Fatal("the same seed gave another schedule")
		}
		differs = differs || at != other()
		gap := (at - last).Seconds()
		if gap < 0 {
			t.Fatal("time goes backwards")
		}
		last, sum, squares = at, sum+gap, squares+gap*gap
	}
	// Gaps of a Poisson process of 100 a second: 10 ms on average, with a standard deviation of 10 ms.
	mean := sum / n
	if deviation := math.Sqrt(squares/n - mean*mean); math.Abs(mean-0.01) > 0.0002 ||
		math.Abs(deviation-0.01) > 0.0003 {
		t.Errorf("gaps of %v s on average, deviation %v; want 0.01 and 0.01", mean, deviation)
	}
	if !differs {
		t.Error("another seed gave the same schedule")
	}
}
