package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestTiers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	cache := testenv.Memcached(t)
	s.cachefill(cache)
	a, b := s.edge(withMemcached(cache)), s.edge(withMemcached(cache), func(c *Config) { c.MemoryBytes = -1 })
	for i, want := range []string{"render", "near", "near"} {
		if got := get(t, a, "/photos/ansel"); got.status != 200 || got.tier() != want || !strings.Contains(got.body, "<h1>ansel</h1>") {
			t.Errorf("request %d: %d from %s, want %s", i, got.status, got.tier(), want)
		}
	}
	if got := s.renders.Load(); got != 1 {
		t.Errorf("%d renders, want 1", got)
	}

	// A page that is rendered twice within a while, or in demand when it changes, is wanted in memcached; from there the other edge has it.
	s.change("user.ansel", 2, false)
	eventually(t, "the edge knows of the change", func() bool { return a.tracker.Scope("user.ansel").Newest() == 2 })
	if got := get(t, a, "/photos/ansel"); got.tier() == "near" || !strings.Contains(got.body, "version 2") {
		t.Errorf("after the change: from %s: %.60s", got.tier(), got.body)
	}
	client := memcache.New(cache)
	defer client.Close()
	eventually(t, "memcached holds the page", func() bool { _, err := client.Get("page.user.ansel"); return err == nil })
	eventually(t, "the other edge has it from there", func() bool { // at once, but for a memcached that takes its time
		got := get(t, b, "/photos/ansel")
		if !strings.Contains(got.body, "version 2") {
			t.Fatalf("the other edge, from %s: %.60s", got.tier(), got.body)
		}
		return got.tier() == "memcached"
	})
	if _, err := client.Get("asset.app.0123abcd.css"); err != nil {
		t.Errorf("the assets are not warm: %v", err)
	}
}

func TestAnswerSaysWhereItCameFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	var seen atomic.Value
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			seen.Store(m.Header)
		}
		return s.standard(ref)
	})
	got := get(t, s.edge(), "/photos/ansel")
	timing := got.header.Get("Server-Timing")
	for _, part := range []string{"cache;desc=render", "bus;dur=", "sql;dur=1,", "edge;dur="} {
		if !strings.Contains(timing, part) {
			t.Errorf("Server-Timing %q lacks %q", timing, part)
		}
	}
	header := seen.Load().(nats.Header)
	if id := got.header.Get("X-Request-Id"); id == "" || header.Get(wire.HeaderRequest) != id {
		t.Errorf("request id %q in the answer, %v on the bus", id, header)
	}
	if until, ok := wire.ParseTime(header.Get(wire.HeaderDeadline)); !ok || time.Until(until) > wire.PageDeadline || time.Until(until) < 0 {
		t.Errorf("deadline %v on the bus", until)
	}
}

func TestChangeShowsOnEveryEdge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	cache := testenv.Memcached(t)
	s.cachefill(cache)
	edges := []*Server{s.edge(withMemcached(cache)), s.edge(withMemcached(cache))}
	for version := int64(1); version <= 20; version++ {
		s.change("user.ansel", version, false)
		for _, e := range edges {
			eventually(t, "the edge knows of the change", func() bool { return e.tracker.Scope("user.ansel").Newest() == version })
			if got := get(t, e, "/photos/ansel"); !strings.Contains(got.body, "version "+itoa(version)+"<") {
				t.Fatalf("version %d: from %s: %.60s", version, got.tier(), got.body)
			}
		}
	}
}

func TestEverybodyWaitsForOneRender(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	release := s.blockUsers()
	e := s.edge()
	e.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	const visitors = 200
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			if got := get(t, e, "/photos/ansel"); got.status != 200 {
				t.Errorf("status %d", got.status)
			}
		})
	}
	eventually(t, "everybody waits", func() bool { return waiting(e) == visitors })
	close(release)
	wg.Wait()
	if got := s.renders.Load(); got != 1 {
		t.Errorf("%d renders for %d visitors", got, visitors)
	}
}

// TestAbandonedRequestIsCancelled: when everybody who waits has left, the fetch is given up, and renderers are told so.
func TestAbandonedRequestIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	asked := make(chan string, 1)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			asked <- m.Header.Get(wire.HeaderRequest)
			return nil
		}
		return s.standard(ref)
	})
	cancels, err := s.nc.SubscribeSync(wire.SubjectCancels)
	if err != nil {
		t.Fatal(err)
	}
	e := s.edge()
	e.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	ctx, leave := context.WithCancel(t.Context())
	var id string
	go func() { id = <-asked; leave() }()
	if status := visit(ctx, t, e, "/photos/ansel"); status != 0 {
		t.Errorf("status %d from a renderer that says nothing", status)
	}
	note, err := cancels.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if note.Subject != wire.CancelSubject(id) {
		t.Errorf("%s for the request %s", note.Subject, id)
	}
	eventually(t, "the fetch is forgotten", func() bool {
		e.flights.mu.Lock()
		defer e.flights.mu.Unlock()
		return len(e.flights.current) == 0
	})
}

// TestReloadingWaitsForOneRender: each reload leaves the request before it, and joins its fetch.
func TestReloadingWaitsForOneRender(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	release := s.blockUsers()
	e := s.edge()
	e.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	var browser sync.WaitGroup
	var leave context.CancelFunc
	for range 100 {
		var ctx context.Context
		before := leave
		ctx, leave = context.WithCancel(t.Context())
		browser.Go(func() { visit(ctx, t, e, "/photos/ansel") })
		if before != nil {
			before()
		}
		eventually(t, "the newest request waits, and it alone", func() bool { return waiting(e) == 1 })
	}
	eventually(t, "the renderer has the request", func() bool { return s.renders.Load() > 0 })
	if n := s.renders.Load(); n != 1 {
		t.Errorf("%d renders for 100 reloads", n)
	}
	close(release)
	browser.Wait()
	leave()
	if got := get(t, e, "/photos/ansel"); got.status != 200 || s.renders.Load() != 1 {
		t.Errorf("%d after %d renders", got.status, s.renders.Load())
	}
}

// visit asks for a page for as long as ctx lasts, and gives the answer's status, 0 for none.
func visit(ctx context.Context, t *testing.T, e *Server, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr()+path, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestTenThousandForOnePage: however many want a page that nobody has cached, each edge asks once.
func TestTenThousandForOnePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	const edges, visitors = 4, 2500
	release := s.blockUsers()
	var all []*Server
	for range edges {
		e := s.edge()
		e.renderers.delays[page.KindUser].set(time.Minute) // no hedge: the render takes as long as 10,000 connections do
		all = append(all, e)
	}
	var wg sync.WaitGroup
	var answered atomic.Int64
	for _, e := range all {
		for range visitors {
			wg.Go(func() { // past the sockets: a test has not the files for 20,000
				got := httptest.NewRecorder()
				e.http.Handler.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/photos/ansel", nil))
				if got.Code == 200 {
					answered.Add(1)
				}
			})
		}
	}
	eventually(t, "all of them wait", func() bool {
		n := 0
		for _, e := range all {
			n += waiting(e)
		}
		return n == edges*visitors
	})
	close(release)
	wg.Wait()
	if answered.Load() != edges*visitors || s.renders.Load() > edges {
		t.Errorf("%d of %d answered, with %d renders", answered.Load(), edges*visitors, s.renders.Load())
	}
}

// A request that found no page in the caches before another fetch ended, and asks for a fetch afterwards, gets the page of
// that fetch.
func TestLateForAFetch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	before := s.renders.Load()
	got, err := e.render(t.Context(), want{ref: page.User("ansel"), number: e.nextID()})
	if err != nil || got.tier != tierMemory || got.page != e.memory.Get(page.User("ansel")) || s.renders.Load() != before {
		t.Errorf("from %v, %v, %d renders", got.tier, err, s.renders.Load()-before)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	before := s.renders.Load()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nowhere", 404},
		{"GET", "//photos/ansel", 404},
		{"GET", "/photos/ansel//", 404},
		{"GET", "/photos/../photos/ansel", 404},
		{"GET", "/photos/ansel/x.css", 404},
		{"GET", "/photos/ansel;x.js", 404},
		{"GET", "/photos/ansel%00", 404},
		{"GET", "/photos/%2e%2e", 404},
		{"GET", "/photo/0", 404},
		{"GET", "/search?q=%ff", 400},
		{"GET", "/search?q=" + strings.Repeat("x", page.MaxQuery+1), 414},
		{"GET", "/" + strings.Repeat("x", 3000), 414},
		{"HEAD", "/nowhere", 404},
		{"POST", "/photos/ansel", 405},
		{"DELETE", "/", 405},
		{"BREW", "/", 405},
	} {
		got := do(t, c.method, e, c.path)
		if got.status != c.status {
			t.Errorf("%s %.60s: %d, want %d", c.method, c.path, got.status, c.status)
		}
		if c.method == "GET" && !strings.Contains(got.body, "<h1>error "+itoa(int64(c.status))) {
			t.Errorf("%s %.60s: %q is not the rendered error page", c.method, c.path, got.body)
		}
		if c.status == 405 && got.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("405 without Allow: %v", got.header)
		}
	}
	if got := s.renders.Load(); got != before {
		t.Errorf("%d requests reached the bus", got-before)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.Addr()+"/photos/ansel", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Big", strings.Repeat("x", 20<<10))
	if resp, err := (&http.Transport{}).RoundTrip(r); err == nil { // the server may close while we still write: that is a refusal too
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("20 KiB of headers: %d", resp.StatusCode)
		}
	}
}

func TestAssetThatNobodyHas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.start()
	if got := get(t, e, "/static/app.99999999.css"); got.status != 503 {
		t.Errorf("without renderers: %d", got.status)
	}
	if _, err := s.nc.QueueSubscribe(wire.SubjectAssets, wire.QueueRenderer, func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, e, "/static/app.99999999.css"); got.status != 404 {
		t.Errorf("with a renderer that does not have it: %d", got.status)
	}
}

func TestOneSpelling(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	for path, want := range map[string]string{
		"/photos/Ansel":        "/photos/ansel",
		"/tag/Blue%20Hour?x=1": "/tag/blue%20hour",
		"/photos/%61nsel":      "/photos/ansel",
	} {
		if got := get(t, e, path); got.status != http.StatusMovedPermanently || got.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, got.status, got.header.Get("Location"), want)
		}
	}
	get(t, e, "/photos/ansel")
	if got := get(t, e, "/photos/ansel?utm_source=mail&utm_source=x"); got.tier() != "near" {
		t.Errorf("a tracking parameter made a page of its own: from %s", got.tier())
	}
}

func TestNearCacheIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	const limit = 1 << 20
	e := s.edge(func(c *Config) { c.MemoryBytes = limit })
	for i := range 500 {
		get(t, e, "/photos/user"+itoa(int64(i)))
	}
	e.memory.Settle()
	if got := e.memory.Bytes(); got > limit || got < limit/2 {
		t.Errorf("%v bytes in a near cache of %d", got, limit)
	}
	big := page.Image("abcdefghijklmnopqrstuvwxyz", 1280)
	if got := get(t, e, big.Path()); got.status != 200 || e.memory.Get(big) != nil {
		t.Errorf("status %d; a picture of %d bytes is kept near: %v", got.status, len(got.body), e.memory.Get(big) != nil)
	}
}

func itoa(n int64) string { return strings.TrimPrefix(page.Photo(n).Path(), "/photo/") }
