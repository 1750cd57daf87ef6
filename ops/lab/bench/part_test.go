package bench

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Visitors who are signed in send their cookie with every request, all others send none, and each answer is counted for
// its visitor.
func TestSignedInVisitors(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			got := map[string]int64{}
			cfg := some(listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				got[r.Header.Get("Cookie")]++
				mu.Unlock()
				serve(w, r)
			})), 40)
			cfg.Visitors, cfg.VisitPages, cfg.HTTP2 = 4, 2, http2
			cfg.SignedIn, cfg.Cookies = 50, []string{"session=a", "session=b"}
			res := mustRun(t, cfg)
			mustBeClean(t, res)
			in, out := res.Part("signed in"), res.Part("anonymous")
			if in.Requests != got["session=a"]+got["session=b"] || out.Requests != got[""] || len(got) > 3 {
				t.Errorf("%d answers signed in, %d anonymous; the server got %v", in.Requests, out.Requests, got)
			}
			if in.Visitors != 2 || out.Visitors != 2 || in.Pages+out.Pages != res.Pages ||
				in.Requests+out.Requests != res.Requests || in.Times.Count != in.Pages || in.Hits != in.Pages {
				t.Errorf("%+v, %+v of %d pages and %d requests", in, out, res.Pages, res.Requests)
			}
		})
	}
}

// The given percentage of visitors is signed in, spread over the edges.
func TestSharesOfVisitors(t *testing.T) {
	t.Parallel()
	for percent, want := range map[float64]int{0: 0, 1: 1, 30: 30, 50: 50, 100: 100} {
		r, n := &run{cfg: Config{SignedIn: percent}}, 0
		for i := range 100 {
			if r.kindOf(i) == partSignedIn {
				n++
			}
		}
		if n != want {
			t.Errorf("of 100 visitors %d are signed in, want %d", n, want)
		}
	}
	for _, cfg := range []Config{{SignedIn: 101, Cookies: []string{"a=b"}}, {SignedIn: -1}, {SignedIn: 10}} {
		cfg.Edges, cfg.Pages = []string{"http://127.0.0.1:1"}, []Page{{Path: "/"}}
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "signed in") {
			t.Errorf("%g%% with %d cookies: %v", cfg.SignedIn, len(cfg.Cookies), err)
		}
	}
}

// Pages of the time of a storm are reported apart, and what came of the storm is, too.
func TestStorm(t *testing.T) {
	t.Parallel()
	var raging atomic.Bool
	seen := make(chan struct{}, 1000)
	cfg := some(listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if raging.Load() {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
		serve(w, r)
	})), 50)
	cfg.PagesOnly, cfg.VisitPages = true, 1
	cfg.Storm = func(ctx context.Context) Storm {
		raging.Store(true)
		for range 3 {
			select {
			case <-seen:
			case <-ctx.Done():
			}
		}
		took := NewTimer()
		took.Record(7 * time.Millisecond)
		return Storm{What: "a wind blew", Outcomes: map[string]int64{"hats": 3}, Times: took.Times()}
	}
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	before, during := res.Part("before the storm"), res.Part("during the storm")
	if before.Pages == 0 || during.Pages == 0 || before.Pages+during.Pages > res.Pages {
		t.Errorf("%d pages before, %d during, of %d", before.Pages, during.Pages, res.Pages)
	}
	var b bytes.Buffer
	if err := res.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a wind blew: 3 hats", "during the storm", "before the storm"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table does not say %q: %s", want, &b)
		}
	}
}
