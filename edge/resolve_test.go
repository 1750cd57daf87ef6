package edge

import (
	"context"
	"fmt"
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

// TestTiers: a page comes from a renderer, then from memory; after a second render another edge has it from memcached.
func TestTiers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	cache := testenv.Memcached(t)
	s.cachefill(cache)
	a, b := s.edge(withMemcached(cache)), s.edge(withMemcached(cache), func(c *Config) { c.MemoryBytes = -1 })
	for i, want := range []string{"render", "near", "near"} {
		got := get(t, a, "/photos/ansel")
		if got.status != 200 || got.tier() != want || !strings.Contains(got.body, "<h1>ansel</h1>") {
			t.Errorf("request %d: status %d from %s, want %s", i, got.status, got.tier(), want)
		}
	}
	if got := s.renders.Load(); got != 1 {
		t.Errorf("%d renders, want 1", got)
	}

	// A page that is rendered twice within a minute, or popular when it changes, goes to memcached.
	s.change("user.ansel", 2, false)
	knows(t, a, "user.ansel", 2)
	if got := get(t, a, "/photos/ansel"); got.tier() == "near" || !strings.Contains(got.body, "version 2") {
		t.Errorf("after the change: from %s: %.60s", got.tier(), got.body)
	}
	client := memcache.New(cache)
	defer client.Close()
	eventually(t, "memcached has the page", func() bool {
		_, err := client.Get("page.user.ansel")
		return err == nil
	})
	eventually(t, "the other edge has it from there", func() bool { // a slow look-up is a miss
		got := get(t, b, "/photos/ansel")
		if !strings.Contains(got.body, "version 2") {
			t.Fatalf("the other edge, from %s: %.60s", got.tier(), got.body)
		}
		return got.tier() == "memcached"
	})
	if _, err := client.Get("asset.app.0123abcd.css"); err != nil {
		t.Errorf("memcached does not have the assets: %v", err)
	}
}

// TestTimingAndRequestID: an answer says where its time went, and has the request id and deadline of the bus message.
func TestTimingAndRequestID(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		var received atomic.Value
		s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
			if ref.Kind() == page.KindUser {
				received.Store(m.Header)
			}
			return s.standard(ref)
		})
		e := s.edge(onPath)
		got := get(t, e, "/photos/ansel")
		timing := got.header.Get("Server-Timing")
		for _, part := range []string{"cache;desc=render", "bus;dur=", "sql;dur=1,", "edge;dur="} {
			if !strings.Contains(timing, part) {
				t.Errorf("Server-Timing %q lacks %q", timing, part)
			}
		}
		header := received.Load().(nats.Header)
		if id := got.header.Get("X-Request-Id"); id == "" || header.Get(wire.HeaderRequest) != id {
			t.Errorf("request id %q in the answer, %v on the bus", id, header)
		}
		until, ok := wire.ParseTime(header.Get(wire.HeaderDeadline))
		if left := time.Until(until); !ok || left > wire.PageDeadline || left < 0 {
			t.Errorf("deadline %v on the bus, want one within %v", until, wire.PageDeadline)
		}
	})
}

// TestChangeShowsOnEveryEdge: as soon as an edge knows of a change, it serves no older page.
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
			knows(t, e, "user.ansel", version)
			if got := get(t, e, "/photos/ansel"); !strings.Contains(got.body, "version "+itoa(version)+"<") {
				t.Fatalf("version %d: from %s: %.60s", version, got.tier(), got.body)
			}
		}
	}
}

// TestRequestsShareOneRender: requests for a page at the same time wait for one render.
func TestRequestsShareOneRender(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	release := s.blockUsers()
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	const visitors = 200
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			if got := get(t, e, "/photos/ansel"); got.status != 200 {
				t.Errorf("status %d", got.status)
			}
		})
	}
	eventually(t, "all requests wait", func() bool { return waiting(e) == visitors })
	close(release)
	wg.Wait()
	if got := s.renders.Load(); got != 1 {
		t.Errorf("%d renders for %d visitors, want 1", got, visitors)
	}
}

// TestAbandonedFetchIsCancelled: when all clients that wait for a fetch have left, the edge cancels it and tells the
// renderers.
func TestAbandonedFetchIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	requested := make(chan string, 1)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			requested <- m.Header.Get(wire.HeaderRequest)
			return nil
		}
		return s.standard(ref)
	})
	cancels, err := s.nc.SubscribeSync(wire.SubjectCancels)
	if err != nil {
		t.Fatal(err)
	}
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	ctx, leave := context.WithCancel(t.Context())
	var id string
	go func() { id = <-requested; leave() }()
	if status := getUntil(ctx, t, e, "/photos/ansel"); status != 0 {
		t.Errorf("status %d, though no renderer replies", status)
	}
	note, err := cancels.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if note.Subject != wire.CancelSubject(id) {
		t.Errorf("%s cancels the request %s", note.Subject, id)
	}
	eventually(t, "the fetch has ended", func() bool { return fetching(e) == 0 })
}

// TestReloadingWaitsForOneRender: a browser that reloads drops its request and sends another, which joins the same
// fetch.
func TestReloadingWaitsForOneRender(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	release := s.blockUsers()
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	var browser sync.WaitGroup
	var leave context.CancelFunc
	for range 100 {
		var ctx context.Context
		before := leave
		ctx, leave = context.WithCancel(t.Context())
		browser.Go(func() { getUntil(ctx, t, e, "/photos/ansel") })
		if before != nil {
			before()
		}
		eventually(t, "only the newest request waits", func() bool { return waiting(e) == 1 })
	}
	eventually(t, "the renderer has the request", func() bool { return s.renders.Load() > 0 })
	if n := s.renders.Load(); n != 1 {
		t.Errorf("%d renders for 100 reloads, want 1", n)
	}
	close(release)
	browser.Wait()
	leave()
	if got := get(t, e, "/photos/ansel"); got.status != 200 || s.renders.Load() != 1 {
		t.Errorf("status %d after %d renders, want 200 after 1", got.status, s.renders.Load())
	}
}

// getUntil requests a page, drops the request when ctx ends, and returns the status of the answer, 0 for none.
func getUntil(ctx context.Context, t *testing.T, e *Server, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin(e)+path, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	transport := &http.Transport{TLSClientConfig: trusting.Clone()}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestCrowdForOnePage: for a page that no cache has, each edge sends one request, however many clients wait.
func TestCrowdForOnePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	const edges, visitors = 4, 500
	release := s.blockUsers()
	var all []*Server
	for range edges {
		e := s.edge()
		e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
		all = append(all, e)
	}
	// All is ready before the first request is sent, whose deadline the others share. They come without sockets: a test
	// may not open 20,000 files.
	got := make([]*httptest.ResponseRecorder, edges*visitors)
	requests := make([]*http.Request, len(got))
	for i := range got {
		got[i] = httptest.NewRecorder()
		requests[i] = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/photos/ansel", nil)
	}
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { all[i%edges].ServeHTTP(got[i], requests[i]) })
	}
	// On a busy machine some may come too late to wait with the others: they find the page, or fetch it again.
	atMost := int64(edges)
	late := time.Now().Add(wire.Deadline(page.User("ansel")) / 2)
	eventually(t, "all clients wait", func() bool {
		n := 0
		for _, e := range all {
			n += waiting(e)
		}
		if n > 0 && time.Now().After(late) {
			atMost *= 2
			return true
		}
		return n == edges*visitors
	})
	close(release)
	wg.Wait()
	answered := 0
	for _, r := range got {
		if r.Code == 200 {
			answered++
		}
	}
	if answered != edges*visitors || s.renders.Load() > atMost {
		t.Errorf("%d of %d clients got the page, %d renders", answered, edges*visitors, s.renders.Load())
	}
}

// TestLateForAFetch: a request may find the caches empty just before another request's fetch ends. It then gets the
// page of that fetch and begins none.
func TestLateForAFetch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	before := s.renders.Load()
	got, err := e.pages.render(t.Context(), want{ref: page.User("ansel"), number: e.ids.next()})
	if err != nil || got.tier != tierMemory || got.page != e.pages.memory.Get(page.User("ansel")) ||
		s.renders.Load() != before {
		t.Errorf("from %v, %v, %d renders", got.tier, err, s.renders.Load()-before)
	}
}

// TestRefusals: a request for no page, or with another method, is answered with an error page and never reaches the
// bus.
func TestRefusals(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
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
			t.Run(fmt.Sprintf("%s %.30s", c.method, c.path), func(t *testing.T) {
				got := do(t, c.method, e, c.path)
				if got.status != c.status {
					t.Errorf("status %d, want %d", got.status, c.status)
				}
				if c.method == "GET" && !strings.Contains(got.body, "<h1>error "+itoa(int64(c.status))) {
					t.Errorf("%q is not the rendered error page", got.body)
				}
				if c.status == 405 && got.header.Get("Allow") != "GET, HEAD" {
					t.Errorf("a 405 has no Allow: %v", got.header)
				}
			})
		}
		if got := s.renders.Load(); got != before {
			t.Errorf("%d requests reached the bus, want none", got-before)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin(e)+"/photos/ansel", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Big", strings.Repeat("x", 20<<10))
		// An error is a refusal too: the edge may close the connection before the test has sent all.
		if resp, err := (&http.Transport{TLSClientConfig: trusting.Clone()}).RoundTrip(r); err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("20 KiB of headers: status %d", resp.StatusCode)
			}
		}
	})
}

// TestAssetThatNoRendererHas: an asset without subscriber is not found if a renderer lists its assets, else
// unavailable.
func TestAssetThatNoRendererHas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.start()
	if got := get(t, e, "/static/app.99999999.css"); got.status != 503 {
		t.Errorf("without renderers: status %d", got.status)
	}
	list := func(m *nats.Msg) { _ = m.Respond(nil) }
	if _, err := s.nc.QueueSubscribe(wire.SubjectAssets, wire.QueueRenderer, list); err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, e, "/static/app.99999999.css"); got.status != 404 {
		t.Errorf("with a renderer that does not have it: status %d", got.status)
	}
}

// TestOneSpelling: another spelling of a path is redirected; unknown parameters of a query are ignored.
func TestOneSpelling(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		for path, want := range map[string]string{
			"/photos/Ansel":        "/photos/ansel",
			"/tag/Blue%20Hour?x=1": "/tag/blue%20hour",
			"/photos/%61nsel":      "/photos/ansel",
		} {
			t.Run(path, func(t *testing.T) {
				got := get(t, e, path)
				if got.status != http.StatusMovedPermanently || got.header.Get("Location") != want {
					t.Errorf("status %d, to %q, want %q", got.status, got.header.Get("Location"), want)
				}
			})
		}
		get(t, e, "/photos/ansel")
		if got := get(t, e, "/photos/ansel?utm_source=mail&utm_source=x"); got.tier() != "near" {
			t.Errorf("a tracking parameter makes another page: from %s", got.tier())
		}
	})
}

// TestMemoryIsBounded: the in-process cache keeps to its size and takes no large picture.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	const limit = 1 << 20
	e := s.edge(func(c *Config) { c.MemoryBytes = limit })
	for i := range 500 {
		get(t, e, "/photos/user"+itoa(int64(i)))
	}
	eventually(t, "the in-process cache is within its limit", func() bool {
		got := e.pages.memory.Bytes()
		return limit/2 < got && got <= limit
	})
	big := page.Image("abcdefghijklmnopqrstuvwxyz", 1280)
	if got := get(t, e, big.Path()); got.status != 200 || e.pages.memory.Get(big) != nil {
		t.Errorf("status %d; a picture of %d bytes is in memory: %t",
			got.status, len(got.body), e.pages.memory.Get(big) != nil)
	}
}
