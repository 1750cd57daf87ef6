package bench

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A page with k files and m pictures takes exactly 1+k+m requests. What the browser has cached is not requested again.
func TestAVisitAsksForExactlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"HTTP/1.1": func(*Config) {}, "HTTP/2": func(cfg *Config) { cfg.HTTP2 = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &site{}
			cfg := some(listen(t, s), 4)
			change(&cfg)
			res := mustRun(t, cfg)
			mustBeClean(t, res)
			first := []string{
				"/photos/ansel", "/static/app.0.css", "/static/app.0.js", "/img/a/320.jpg", "/img/b/320.jpg",
			}
			shown := s.asked[5] // one of the two photos, which needs its large picture and nothing else
			if shown != "/photo/1" && shown != "/photo/2" {
				t.Fatalf("after the first page, of %v, came %s", first, shown)
			}
			image := map[string]string{"/photo/1": "a", "/photo/2": "b"}[shown]
			want := slices.Concat(
				sorted(first), []string{shown, "/img/" + image + "/1280.jpg"},
				sorted([]string{"/photos/ansel/before/2", "/img/c/320.jpg"}), []string{"/photo/3", "/img/c/1280.jpg"},
			)
			if got := slices.Concat(
				sorted(s.asked[:5]), s.asked[5:7], sorted(s.asked[7:9]), s.asked[9:],
			); !slices.Equal(got, want) {
				t.Errorf("asked for\n%v, want\n%v", got, want)
			}
			if res.Pages != 4 || res.Requests != int64(len(want)) || res.Visits != 1 {
				t.Errorf(
					"%d pages, %d requests, %d visits; want 4, %d, 1", res.Pages, res.Requests, res.Visits, len(want),
				)
			}
			for kind, count := range map[string]int64{"page": 4, "static file": 2, "picture": 5} {
				k := res.Kind(kind)
				if k.Answers != count || k.Times.Count != count || k.Tiers["near"] != count {
					t.Errorf(
						"%s: %d answers, %d times, tiers %v; want %d of each", kind, k.Answers, k.Times.Count, k.Tiers,
						count,
					)
				}
			}
			if k := res.Kind(KindLoad); k.Times.Count != 4 {
				t.Errorf("%d pages were complete, want 4", k.Times.Count)
			}
			if want := int64(5 * len(jpeg)); res.Kind("picture").Bytes != want {
				t.Errorf("%d bytes of pictures, want %d", res.Kind("picture").Bytes, want)
			}
			if cfg.HTTP2 && len(s.conns) != 1 {
				t.Errorf("%d connections of HTTP/2, want 1", len(s.conns))
			}
			if res.Connections != int64(len(s.conns)) {
				t.Errorf("%d connections counted, the server saw %d", res.Connections, len(s.conns))
			}
		})
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func TestPagesOnly(t *testing.T) {
	t.Parallel()
	s := &site{}
	cfg := some(listen(t, s), 4)
	cfg.PagesOnly = true
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if res.Requests != 4 || len(s.asked) != 4 || s.asked[2] != "/photos/ansel/before/2" {
		t.Errorf("%d requests, asked for %v; want 4 pages of one visit", res.Requests, s.asked)
	}
}

// The next visit is a new browser with an empty cache, and with new connections unless KeepConnections is set.
func TestTheNextVisitIsAnotherBrowser(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
			t.Parallel()
			s := &site{}
			cfg := some(listen(t, s), 3)
			cfg.VisitPages, cfg.KeepConnections = 1, keep
			res := mustRun(t, cfg)
			mustBeClean(t, res)
			if res.Visits != 3 || len(s.asked) != 3*5 {
				t.Errorf("%d visits asked %d times, want 3 with 5 each", res.Visits, len(s.asked))
			}
			if least := map[bool]int64{false: 3, true: 1}[keep]; res.Connections < least ||
				keep && res.Connections > browserConns {
				t.Errorf("%d connections", res.Connections)
			}
		})
	}
}

// A visitor uses six connections at once and no more, and edges in turn.
func TestSixConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var here, most int
	all := make(chan struct{})
	many := head
	for i := range 15 {
		many += fmt.Sprintf(`<img src="/img/%d/1.jpg">`, i)
	}
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html")
			writePacked(w, r, "<html>"+many+"</html>")
			return
		}
		mu.Lock()
		here++
		if most = max(most, here); here == browserConns && most == here {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		mu.Unlock()
		<-all // no answer before six requests
		serve(w, r)
		mu.Lock()
		here--
		mu.Unlock()
	}))
	cfg := some(url, 1)
	cfg.Pages = []Page{PageAt("/")}
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if most != browserConns || res.Connections != browserConns || res.Requests != 1+2+15 {
		t.Errorf("%d requests at once, %d connections, %d requests; want 6, 6, 18", most, res.Connections, res.Requests)
	}
}

func TestVisitorsTakeEdgesInTurn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int64{}
	cfg := Config{
		Edges: []string{"http://a.test", "http://b.test", "http://c.test"}, Visitors: 6, Think: time.Second,
		PagesOnly: true, Duration: time.Minute,
	}
	within(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Host]++
		answerPage(w)
	}, cfg, func(t *testing.T, res *Result) {
		mustBeClean(t, res)
		if a, b, c := asked["a.test"], asked["b.test"], asked["c.test"]; a != 120 || b != 120 || c != 120 ||
			res.Requests != 360 {
			t.Errorf(
				"%v of %d requests; want 120 for each edge, one a second by each of two visitors", asked, res.Requests,
			)
		}
	})
}

// Requests of the warm-up are not counted.
func TestWarmup(t *testing.T) {
	t.Parallel()
	s := &site{}
	cfg := some(listen(t, s), 3)
	cfg.Warmup, cfg.PagesOnly, cfg.VisitPages = 100*time.Millisecond, true, 1
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if len(s.asked) != 5+3 || res.Pages != 3 || res.Kind("page").Times.Count != 3 {
		t.Errorf("%d pages asked for, %d counted; want 8 and 3", len(s.asked), res.Pages)
	}
}

// An interrupted run reports what it has measured.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	answered := 0
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		answered++
		last := answered > 10
		mu.Unlock()
		if last {
			cancel()
			<-r.Context().Done() // the visitor leaves
			return
		}
		serve(w, r)
	}))
	res, err := Run(
		ctx,
		Config{
			Edges: []string{url}, Pages: []Page{PageAt("/photos/ansel")}, Visitors: 1, PagesOnly: true,
			Duration: time.Hour,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Interrupted || res.Pages != 10 || res.Failed != 0 || res.Cut != 1 || res.Seconds <= 0 {
		t.Errorf(
			"interrupted %v, %d pages, %d failed, %d cut in %v s; want 10 pages and one cut", res.Interrupted,
			res.Pages, res.Failed, res.Cut, res.Seconds,
		)
	}
	if !slices.ContainsFunc(res.Warnings(), func(w string) bool { return strings.HasPrefix(w, "Interrupted") }) {
		t.Errorf("nothing is said of it: %q", res.Warnings())
	}
}

func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	var told []Progress
	cfg := Config{
		Rate: 10, Even: true, PagesOnly: true, Warmup: 2 * time.Second, Duration: 3 * time.Second,
		Progress: func(p Progress) { told = append(told, p) },
	}
	within(t, func(w http.ResponseWriter, _ *http.Request) { answerPage(w) }, cfg, func(t *testing.T, res *Result) {
		if len(told) != 4+6 || len(res.Series) != 6 {
			t.Fatalf(
				"told %+v, series %+v; want something every half second, and a point for each that counts", told,
				res.Series,
			)
		}
		for i, p := range told {
			want := Progress{
				Warming: i < 4, Elapsed: time.Duration(i+1) * 500 * time.Millisecond, Total: cfg.Warmup, Pages: 10,
				Requests: 10, P99: p.P99,
			}
			if i >= 4 {
				want.Elapsed, want.Total = want.Elapsed-cfg.Warmup, cfg.Duration
			}
			if math.Abs(p.Pages-10) <= 2 { // a page at the very moment may be on either side of it
				p.Pages, p.Requests = 10, 10
			}
			if p != want {
				t.Errorf("told %+v, want %+v", p, want)
			}
		}
	})
}

func TestWhatCannotBeRun(t *testing.T) {
	t.Parallel()
	good := Config{Edges: []string{"http://127.0.0.1:1"}, Pages: []Page{{Path: "/"}}}
	for says, change := range map[string]func(*Config){
		"no edge is given":    func(c *Config) { c.Edges = nil },
		"no page":             func(c *Config) { c.Pages = nil },
		"http://host:port":    func(c *Config) { c.Edges = []string{"ftp://127.0.0.1"} },
		"negative":            func(c *Config) { c.Rate = -1 },
		"exclude each other":  func(c *Config) { c.Rate, c.Think = 1, time.Second },
		"no edge answers at ": func(*Config) {},
	} {
		cfg := good
		change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one with %q", err, says)
		}
	}
}
