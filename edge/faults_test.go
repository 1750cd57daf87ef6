package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// breakerAfter is how many failures in a row open the circuit breaker of a memcached, see edge/cache.
const breakerAfter = 5

// TestNoRenderer: without renderers an edge serves fresh pages as usual and older ones as stale; it serves no deleted
// page.
func TestNoRenderer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	get(t, e, "/photos/gone")
	stop()
	if got := get(t, e, "/photos/ansel"); got.status != 200 || got.tier() != "near" {
		t.Errorf("a fresh page: status %d from %s", got.status, got.tier())
	}
	got := get(t, e, "/photos/edward")
	if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "error 503") ||
		got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a page that no cache has: status %d, header %v", got.status, got.header)
	}

	s.change("user.ansel", 5, false)
	s.change("user.gone", 6, true)
	knows(t, e, "user.gone", 6)
	got = get(t, e, "/photos/ansel")
	if got.status != 200 || got.tier() != "stale" ||
		!strings.Contains(got.header.Get("Server-Timing"), "cache;desc=stale") {
		t.Errorf("a changed page: status %d from %s", got.status, got.tier())
	}
	if got := get(t, e, "/photos/gone"); got.status != 503 {
		t.Errorf("a deleted page: status %d from %s", got.status, got.tier())
	}
	s.renderer()
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("the changed page, with a renderer again: from %s", got.tier())
	}
}

// TestFrozenRendererIsHedged: when one renderer of four never replies, hedges get every page from the others.
func TestFrozenRendererIsHedged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 3 {
		s.renderer()
	}
	e := s.edge()
	frozen := testenv.Connect(t, s.server.URL())
	var swallowed atomic.Int64
	swallow := func(*nats.Msg) { swallowed.Add(1) }
	if _, err := frozen.QueueSubscribe("page.user.>", wire.QueueRenderer, swallow); err != nil {
		t.Fatal(err)
	}
	if err := frozen.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if got := get(t, e, "/photos/user"+itoa(int64(i))); got.status != 200 {
			t.Fatalf("request %d: %d", i, got.status)
		}
	}
	if swallowed.Load() == 0 {
		t.Error("the frozen renderer received no request, so nothing was tested")
	}
}

// swallow adds n renderers that are frozen: they receive requests and pings and answer nothing.
func (s *site) swallow(n int) (requests *atomic.Int64) {
	s.t.Helper()
	requests = &atomic.Int64{}
	for range n {
		nc := testenv.Connect(s.t, s.server.URL())
		if _, err := nc.QueueSubscribe("page.>", wire.QueueRenderer, func(*nats.Msg) { requests.Add(1) }); err != nil {
			s.t.Fatal(err)
		}
		if _, err := nc.Subscribe(pingSubject, func(*nats.Msg) {}); err != nil {
			s.t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			s.t.Fatal(err)
		}
	}
	return requests
}

// TestManyWaitForFrozenRenderers: half of the renderers are frozen, and more requests than may be hedged at once wait
// for them. All of them get their page: a hedge that the budget refuses is sent later, and hedges that went to frozen
// renderers keep nobody from another.
func TestManyWaitForFrozenRenderers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 2 {
		s.renderer()
	}
	requests := s.swallow(2)
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(10 * time.Millisecond)
	const clients = 4 * hedgeLeast
	var failed atomic.Int64
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { // without sockets: what these cost would count as slow replies
			got := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/photos/user"+itoa(int64(i)), nil)
			if e.ServeHTTP(got, r); got.Code != 200 {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 || requests.Load() < clients/4 {
		t.Errorf("%d of %d clients got no page; frozen renderers received %d requests", failed.Load(), clients,
			requests.Load())
	}
}

// TestAllRenderersAreFrozen: requests fail when no renderer answers a ping, and do not wait for their deadline.
func TestAllRenderersAreFrozen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	e := s.edge()
	stop()
	s.swallow(2)
	if got := get(t, e, "/photos/ansel"); got.status != 503 {
		t.Errorf("status %d", got.status)
	}
	if n := count(t, e.metrics.busErrors.WithLabelValues(wire.Code(wire.ErrUnavailable))); n != 1 {
		t.Errorf("%v requests failed because no renderer runs, want 1", n)
	}
}

// TestFrozenRendererIsDropped: a request that waits for the last renderer, which is frozen, does not wait on when NATS
// has dropped that renderer.
func TestFrozenRendererIsDropped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	drop := s.renderer() // its requests wait, and it answers pings until it is dropped
	e := s.edge()
	release, renders := s.blockUsers(), s.renders.Load()
	defer close(release)
	none := e.metrics.busErrors.WithLabelValues(wire.Code(nats.ErrNoResponders))
	late := e.metrics.busErrors.WithLabelValues(wire.Code(context.DeadlineExceeded))
	got := make(chan answer, 1)
	go func() { defer close(got); got <- get(t, e, "/photos/ansel") }()
	eventually(t, "a renderer has the request", func() bool { return s.renders.Load() > renders })
	before := count(t, none)
	drop()
	if a := <-got; a.status != 503 {
		t.Errorf("status %d", a.status)
	}
	if n := count(t, none) - before; n < 1 || count(t, late) > 0 {
		t.Errorf("%v requests failed because there is no renderer, want at least 1; %v waited for their deadline", n,
			count(t, late))
	}
}

// TestSlowIsNotFrozen: a request for a page that takes long waits for it if a renderer answers pings.
func TestSlowIsNotFrozen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	release := s.blockUsers()
	got := make(chan answer, 1)
	go func() { got <- get(t, e, "/photos/ansel") }()
	eventually(t, "the edge has pinged three times", func() bool { return s.pings.Load() >= 3 })
	close(release)
	if a := <-got; a.status != 200 {
		t.Errorf("status %d", a.status)
	}
}

// TestBusyRendererIsRetried: an edge requests a page again after a refusal, and answers 503 when every renderer
// refuses.
func TestBusyRendererIsRetried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	var requests atomic.Int64
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if requests.Add(1) == 1 {
			_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
			return nil
		}
		return s.standard(ref)
	})
	if got := get(t, e, "/photos/ansel"); got.status != 200 || requests.Load() != 2 {
		t.Errorf("status %d after %d requests", got.status, requests.Load())
	}
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
		return nil
	})
	if got := get(t, e, "/photos/edward"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("all renderers are busy: status %d", got.status)
	}
}

// TestLateRefusalIsNotRetried: a renderer that says only after a while that its database does not answer, as when
// Postgres is frozen, has the same database as the others. One that is busy may be the only one, however late it
// says so.
func TestLateRefusalIsNotRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refusal error
		retried float64
	}{"no database": {wire.ErrUnavailable, 0}, "busy": {wire.ErrBusy, retries}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.renderer()
			e := s.edge()
			s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
				time.AfterFunc(retryWithin+50*time.Millisecond, func() {
					_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, c.refusal))
				})
				return nil
			})
			before := count(t, e.metrics.retries)
			got := get(t, e, "/photos/ansel")
			if retried := count(t, e.metrics.retries) - before; got.status != 503 || retried != c.retried {
				t.Errorf("status %d after %v further tries, want %v", got.status, retried, c.retried)
			}
		})
	}
}

// TestInternalErrorIsNotRetried: a page that makes renderers fail is an error 500, after a hedge at most.
func TestInternalErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrInternal))
		return nil
	})
	before := s.renders.Load()
	got := get(t, e, "/photos/ansel")
	if got.status != 500 || got.header.Get("X-Request-Id") == "" || s.renders.Load()-before > 2 {
		t.Errorf("status %d after %d renders", got.status, s.renders.Load()-before)
	}
}

// TestMemcachedIsNotNeeded: an edge serves every page while memcached is frozen or dead, and uses it again afterwards.
func TestMemcachedIsNotNeeded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	cache := testenv.MemcachedServer(t)
	s.cachefill(cache.Addr())
	e := s.edge(withMemcached(cache.Addr()), func(c *Config) { c.MemoryBytes = -1 })
	tier := func(what string) string {
		t.Helper()
		got := get(t, e, "/photos/ansel")
		if got.status != 200 {
			t.Fatalf("memcached is %s: status %d", what, got.status)
		}
		return got.tier()
	}
	eventually(t, "memcached answers", func() bool { return tier("filled") == "memcached" })
	if err := cache.Freeze(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every thread of memcached has stopped", func() bool { return tier("freezing") == "render" })
	for range 2 * breakerAfter {
		if got := tier("frozen"); got != "render" {
			t.Errorf("memcached is frozen: from %s", got)
		}
	}
	if err := cache.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a thawed memcached is used again", func() bool { return tier("thawed") == "memcached" })
	if err := cache.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 * breakerAfter {
		if got := tier("stopped"); got != "render" {
			t.Errorf("memcached is stopped: from %s", got)
		}
	}
	if err := cache.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new memcached is filled and used", func() bool { return tier("restarted") == "memcached" })
}

// TestNATSRestart: no request fails during a restart of NATS, and afterwards the edge follows changes again.
func TestNATSRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	done := make(chan error, 1)
	go func() { done <- s.server.Restart() }()
	for i := range 40 {
		if got := get(t, e, "/photos/user"+itoa(int64(i))); got.status != 200 {
			t.Errorf("request %d during the restart: status %d", i, got.status)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.change("user.ansel", 9, false)
	knows(t, e, "user.ansel", 9)
	eventually(t, "cached pages count as fresh again", func() bool { return !e.pages.tracker.FeedStale() })
}

// TestNATSRestartBeforeTheAnswer: a request whose answer was not there when the connection broke is made again.
func TestNATSRestartBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	release := s.blockUsers()
	answered := make(chan int, 1)
	before := s.renders.Load()
	go func() { answered <- get(t, e, "/photos/ansel").status }()
	eventually(t, "the renderer has the request", func() bool { return s.renders.Load() > before })
	if err := s.server.Restart(); err != nil {
		t.Fatal(err)
	}
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestNATSGone: without NATS an edge serves its pages as stale.
func TestNATSGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	s.server.Stop()
	eventually(t, "no cached page counts as fresh", e.pages.tracker.FeedStale)
	if got := get(t, e, "/photos/ansel"); got.status != 200 || got.tier() != "stale" {
		t.Errorf("a cached page: status %d from %s", got.status, got.tier())
	}
	if got := get(t, e, "/photos/edward"); got.status != 503 {
		t.Errorf("a page that no cache has: status %d", got.status)
	}
}

// TestStreamIsReplaced: when the stream was deleted and created again, the edge follows the new one, and serves no page
// from before it as fresh.
func TestStreamIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	s.change("user.ansel", 1, false)
	get(t, e, "/photos/ansel")
	if err := s.js.DeleteStream(t.Context(), wire.StreamChanges); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.versions["user.ansel"] = 2 // a change that is in no stream
	s.mu.Unlock()
	s.makeStream()
	eventually(t, "the edge follows the new stream", func() bool {
		return !e.pages.tracker.FeedStale() && get(t, e, "/photos/ansel").tier() != "stale" &&
			strings.Contains(get(t, e, "/photos/ansel").body, "version 2")
	})
	s.change("user.ansel", 3, false)
	knows(t, e, "user.ansel", 3)
}

// TestSilentRelay: without heartbeats an edge renders pages again, since it may have missed changes.
func TestSilentRelay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	s.mute.Store(true)
	eventually(t, "the feed is stale", e.pages.tracker.FeedStale)
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("without heartbeats: from %s, want render", got.tier())
	}
	eventually(t, "the edge says so", func() bool { return e.Ready() != nil })
	s.mute.Store(false)
	eventually(t, "the feed is current again", func() bool { return !e.pages.tracker.FeedStale() })
	eventually(t, "the edge is ready again", func() bool { return e.Ready() == nil })
	if got := get(t, e, "/photos/ansel"); got.tier() != "near" {
		t.Errorf("with heartbeats: from %s, want near", got.tier())
	}
}

// TestStopFinishesRequests: an edge that stops accepts no more clients and finishes the requests that it has.
func TestStopFinishesRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	requested, release := make(chan struct{}), make(chan struct{})
	e, err := New(Config{Addr: "127.0.0.1:0", NATS: s.signIn(), Logger: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	eventually(t, "the edge is ready", func() bool { return e.Ready() == nil })
	e.pages.renderers.delays[page.KindUser].set(time.Minute)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			close(requested)
			<-release
		}
		return s.standard(ref)
	})
	got := make(chan answer, 1)
	go func() { got <- get(t, e, "/photos/ansel") }()
	<-requested
	stop()
	eventually(t, "no further client is accepted", func() bool {
		resp, err := http.Get("http://" + e.Addr() + "/photo/1") // of another kind
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	close(release)
	if a := <-got; a.status != 200 {
		t.Errorf("the request that the edge had: status %d", a.status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestDrain: an edge that was told to stop is not ready and still answers for a while. Each of these answers closes its
// connection, whether it was idle before or is new.
func TestDrain(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		cfg := Config{Addr: "127.0.0.1:0", NATS: s.signIn(), Logger: s.log(), Drain: time.Hour}
		onPath(&cfg)
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		e.pause = func(ctx context.Context, d time.Duration) bool {
			if d != cfg.Drain {
				t.Errorf("it drains for %v", d)
			}
			<-stop
			return true
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		eventually(t, "the edge is ready", func() bool { return e.Ready() == nil })
		transport := &http.Transport{TLSClientConfig: trusting.Clone()}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		ask := func() (reused, closes bool) {
			t.Helper()
			trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
			r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet,
				origin(e)+"/photos/ansel", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("status %d, %v", resp.StatusCode, err)
			}
			return reused, resp.Close
		}
		if _, closes := ask(); closes {
			t.Error("an answer before the stop closes its connection")
		}
		cancel()
		eventually(t, "the edge says that it stops", func() bool { return e.Ready() != nil })
		for _, idle := range []bool{true, false} {
			if reused, closes := ask(); reused != idle || !closes {
				t.Errorf("on an idle connection %t, want %t; the answer closes it: %t", reused, idle, closes)
			}
		}
		close(stop)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedHedge: when a hedge is refused at once, the edge still waits for the slow reply to the first request.
func TestRefusedHedge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(time.Millisecond) // hedge at once
	release := make(chan struct{})
	var requests atomic.Int64
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if requests.Add(1) == 1 {
			<-release
			return s.standard(ref)
		}
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
		return nil
	})
	got := make(chan answer, 1)
	go func() { got <- get(t, e, "/photos/ansel") }()
	eventually(t, "a hedge was refused", func() bool { return requests.Load() >= 3 })
	close(release)
	if a := <-got; a.status != 200 {
		t.Errorf("status %d", a.status)
	}
}

// TestSlowRender: when a page takes long to render and there is an older one, the client gets that as a stale page. The
// fetch goes on for later requests.
func TestSlowRender(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	get(t, e, "/photos/ansel")
	s.change("user.ansel", 2, false)
	knows(t, e, "user.ansel", 2)
	release := s.blockUsers()
	before := s.renders.Load()
	for range 2 {
		got := get(t, e, "/photos/ansel")
		if got.status != 200 || got.tier() != "stale" || !strings.Contains(got.body, "version 0<") {
			t.Errorf("status %d from %s: %.60s", got.status, got.tier(), got.body)
		}
	}
	close(release)
	eventually(t, "the newer page is in memory, though no request waited for it", func() bool {
		p := e.pages.memory.Get(page.User("ansel"))
		return p != nil && e.pages.usable(p, nil, time.Now())
	})
	if n := s.renders.Load() - before; n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
}

// TestIdleConnectionsOverThreeStops: of clients that keep their connections, and leave when an answer says so, none
// finds its connection reset, over three stops of an edge.
func TestIdleConnectionsOverThreeStops(t *testing.T) {
	t.Parallel()
	const stops, clients = 3, 11
	resets := 0
	for range stops {
		s := newSite(t)
		s.renderer()
		e, err := New(Config{Addr: "127.0.0.1:0", NATS: s.signIn(), Logger: s.log(), Drain: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		drained := make(chan struct{})
		e.pause = func(context.Context, time.Duration) bool { <-drained; return true }
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		eventually(t, "the edge is ready", func() bool { return e.Ready() == nil })
		var all []*rawClient
		for range clients {
			conn, err := net.Dial("tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			client := &rawClient{t, conn, bufio.NewReader(conn)}
			client.send(rawGet("/photos/ansel"))
			if a := client.receive(http.MethodGet); a.status != 200 {
				t.Fatalf("status %d", a.status)
			}
			all = append(all, client)
		}
		stop()
		eventually(t, "the edge says that it stops", func() bool { return e.Ready() != nil })
		for _, client := range all {
			client.send(rawGet("/photos/ansel"))
			resp, err := http.ReadResponse(client.r, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err != nil || resp.StatusCode != 200 || !resp.Close {
				t.Errorf("an idle connection: %v", err)
				resets++
			}
			_ = client.conn.Close()
		}
		close(drained)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of %d idle connections were reset", resets, stops*clients)
}

// TestSlowPageIsFilled: a page that is rendered after all requests were answered with a stale one is filled all the
// same, also by an edge without an in-process cache. Otherwise such a page would stay stale for as long as renders are
// slow.
func TestSlowPageIsFilled(t *testing.T) {
	t.Parallel()
	p := newCompressedSite(t)
	e := p.edge(withMemcached(p.addr), func(c *Config) { c.MemoryBytes = -1 })
	ref := page.User("ansel")
	notes, err := p.nc.SubscribeSync(wire.FillSubject(ref))
	if err != nil {
		t.Fatal(err)
	}
	p.store(ref, p.standard(ref))
	p.change("user.ansel", 2, false)
	knows(t, e, "user.ansel", 2)
	for round := range 2 { // a page goes to memcached when it is rendered for the second time
		release, before := p.blockUsers(), p.renders.Load()
		eventually(t, "a stale page is served", func() bool { // not if memcached is too slow
			return get(t, e, ref.Path(), "Accept-Encoding", "gzip").tier() == "stale"
		})
		if p.renders.Load() == before {
			t.Errorf("round %d: no page was requested", round)
		}
		close(release)
		eventually(t, "the fetch has ended", func() bool { return fetching(e) == 0 })
	}
	if _, err := notes.NextMsg(10 * time.Second); err != nil {
		t.Errorf("no fill note: %v", err)
	}
}

// TestEdgeBeforeNATS: a request to an edge that has not connected to NATS yet waits for the connection, and is answered
// with a 503 if that takes too long.
func TestEdgeBeforeNATS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.server.Stop()
	e := s.start()
	first := make(chan answer, 1)
	go func() { first <- get(t, e, "/photos/ansel") }()
	eventually(t, "the page is requested", func() bool { return fetching(e) > 0 })
	if err := s.server.Restart(); err != nil {
		t.Fatal(err)
	}
	if a := <-first; a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	s.server.Stop()
	late := s.start()
	if a := get(t, late, "/photos/ansel"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("without NATS: status %d, %v", a.status, a.header)
	}
}
