package edge

import (
	"context"
	"net/http"
	"strings"
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

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	get(t, e, "/photos/gone")
	stop()
	if got := get(t, e, "/photos/ansel"); got.status != 200 || got.tier() != "near" {
		t.Errorf("a true copy needs no renderer: %d from %s", got.status, got.tier())
	}
	got := get(t, e, "/photos/edward")
	if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "error 503") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("nothing to show: %d %v", got.status, got.header)
	}

	// What changed is shown as it was, and says so; what is gone is not.
	s.change("user.ansel", 5, false)
	s.change("user.gone", 6, true)
	eventually(t, "the edge knows", func() bool { return e.tracker.Scope("user.gone").Gone() == 6 })
	got = get(t, e, "/photos/ansel")
	if got.status != 200 || got.tier() != "stale" || !strings.Contains(got.header.Get("Server-Timing"), "cache;desc=stale") {
		t.Errorf("changed: %d from %s", got.status, got.tier())
	}
	if got := get(t, e, "/photos/gone"); got.status != 503 {
		t.Errorf("gone: %d from %s", got.status, got.tier())
	}
	s.renderer()
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("back: from %s", got.tier())
	}
}

func TestFrozenRendererIsHedged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 3 {
		s.renderer()
	}
	e := s.edge()
	frozen := testenv.Connect(t, s.server.URL())
	var swallowed atomic.Int64
	if _, err := frozen.QueueSubscribe("page.user.>", wire.QueueRenderer, func(*nats.Msg) { swallowed.Add(1) }); err != nil {
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
		t.Error("the frozen renderer was never asked, so that nothing was tested")
	}
}

func TestBusyRendererIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	var asked atomic.Int64
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if asked.Add(1) == 1 {
			_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
			return nil
		}
		return s.standard(ref)
	})
	if got := get(t, e, "/photos/ansel"); got.status != 200 || asked.Load() != 2 {
		t.Errorf("%d after %d requests", got.status, asked.Load())
	}
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
		return nil
	})
	if got := get(t, e, "/photos/edward"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("everybody busy: %d", got.status)
	}
}

func TestPoisonIsOneError(t *testing.T) {
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
		t.Errorf("%d after %d renders", got.status, s.renders.Load()-before)
	}
}

func TestMemcachedIsNeverNeeded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	cache := testenv.MemcachedServer(t)
	s.cachefill(cache.Addr())
	e := s.edge(withMemcached(cache.Addr()), func(c *Config) { c.MemoryBytes = -1 })
	ask := func(what, path string) string {
		t.Helper()
		got := get(t, e, path)
		if got.status != 200 {
			t.Fatalf("%s: %d", what, got.status)
		}
		return got.tier()
	}
	eventually(t, "memcached answers", func() bool { return ask("filled", "/photos/ansel") == "memcached" })
	cache.Freeze()
	eventually(t, "every thread of memcached has stopped", func() bool { return ask("freezing", "/photos/ansel") == "render" })
	for range 2 * breakerAfter {
		if tier := ask("frozen", "/photos/ansel"); tier != "render" {
			t.Errorf("frozen: from %s", tier)
		}
	}
	cache.Thaw()
	eventually(t, "a thawed memcached is used again", func() bool { return ask("thawed", "/photos/ansel") == "memcached" })
	if err := cache.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 * breakerAfter {
		if tier := ask("stopped", "/photos/ansel"); tier != "render" {
			t.Errorf("stopped: from %s", tier)
		}
	}
	if err := cache.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new memcached is filled and used", func() bool { return ask("restarted", "/photos/ansel") == "memcached" })
}

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
			t.Errorf("request %d during the restart: %d", i, got.status)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.change("user.ansel", 9, false)
	eventually(t, "changes are followed again", func() bool { return e.tracker.Scope("user.ansel").Newest() == 9 })
	eventually(t, "copies are trusted again", func() bool { return !e.tracker.FeedStale() })
}

func TestNATSGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	s.server.Stop()
	eventually(t, "no copy is trusted", e.tracker.FeedStale)
	if got := get(t, e, "/photos/ansel"); got.status != 200 || got.tier() != "stale" {
		t.Errorf("%d from %s", got.status, got.tier())
	}
	if got := get(t, e, "/photos/edward"); got.status != 503 {
		t.Errorf("%d", got.status)
	}
}

func TestStreamMadeAnew(t *testing.T) {
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
	s.versions["user.ansel"] = 2 // a change that no stream told of
	s.mu.Unlock()
	s.makeStream()
	eventually(t, "the edge follows the new stream", func() bool {
		return !e.tracker.FeedStale() && get(t, e, "/photos/ansel").tier() != "stale" && strings.Contains(get(t, e, "/photos/ansel").body, "version 2")
	})
	s.change("user.ansel", 3, false)
	eventually(t, "its changes count", func() bool { return e.tracker.Scope("user.ansel").Newest() == 3 })
}

func TestSilentRelay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	s.mute.Store(true)
	eventually(t, "the edge notices", e.tracker.FeedStale)
	if got := get(t, e, "/photos/ansel"); got.tier() != "render" {
		t.Errorf("a copy of which nobody knows whether it is true: from %s", got.tier())
	}
	s.mute.Store(false)
	eventually(t, "ticks count again", func() bool { return !e.tracker.FeedStale() })
	if got := get(t, e, "/photos/ansel"); got.tier() != "near" {
		t.Errorf("from %s", got.tier())
	}
}

func TestStopFinishesWhatIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	asked, release := make(chan struct{}), make(chan struct{})
	e, err := New(Config{Addr: "127.0.0.1:0", NATS: testenv.Connect(t, s.server.URL()), Logger: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	eventually(t, "the edge is ready", func() bool { return e.Ready() == nil })
	e.renderers.delays[page.KindUser].set(time.Minute)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			close(asked)
			<-release
		}
		return s.standard(ref)
	})
	got := make(chan answer, 1)
	go func() { got <- get(t, e, "/photos/ansel") }()
	<-asked
	stop()
	eventually(t, "nobody new is let in", func() bool {
		resp, err := http.Get("http://" + e.Addr() + "/photos/edward")
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	close(release)
	if a := <-got; a.status != 200 {
		t.Errorf("the request that was held: %d", a.status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestBusyHedgeLeavesTheFirstAlone: one renderer is slow and would answer, the other one is busy and says so at once.
func TestBusyHedgeLeavesTheFirstAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	e.renderers.delays[page.KindUser].set(time.Millisecond) // hedge at once
	release := make(chan struct{})
	var asked atomic.Int64
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if asked.Add(1) == 1 {
			<-release
			return s.standard(ref)
		}
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrBusy))
		return nil
	})
	got := make(chan answer, 1)
	go func() { got <- get(t, e, "/photos/ansel") }()
	eventually(t, "a hedge was refused", func() bool { return asked.Load() >= 3 })
	close(release)
	if a := <-got; a.status != 200 {
		t.Errorf("status %d", a.status)
	}
}

// TestSlowAnswer: who asks for a page that takes long, and of which there is an older copy, is shown that one, marked. The fetch goes on for
// whoever comes next.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	e.renderers.delays[page.KindUser].set(time.Minute) // no hedge
	get(t, e, "/photos/ansel")
	s.change("user.ansel", 2, false)
	eventually(t, "the edge knows of the change", func() bool { return e.tracker.Scope("user.ansel").Newest() == 2 })
	release := s.blockUsers()
	before := s.renders.Load()
	for range 2 {
		if got := get(t, e, "/photos/ansel"); got.status != 200 || got.tier() != "stale" || !strings.Contains(got.body, "version 0<") {
			t.Errorf("%d from %s: %.60s", got.status, got.tier(), got.body)
		}
	}
	close(release)
	eventually(t, "the newer copy is there, though nobody waited for it", func() bool {
		c := e.memory.Get(page.User("ansel"))
		return c != nil && e.usable(c, nil, time.Now())
	})
	if n := s.renders.Load() - before; n != 1 {
		t.Errorf("%d renders", n)
	}
}

// TestEdgeBeforeNATS: who asks an edge that has not reached NATS yet is answered when it has, and told to come back when that takes too long.
func TestEdgeBeforeNATS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.server.Stop()
	e := s.start()
	first := make(chan answer, 1)
	go func() { first <- get(t, e, "/photos/ansel") }()
	eventually(t, "the page is asked for", func() bool { return fetching(e) > 0 })
	if err := s.server.Restart(); err != nil {
		t.Fatal(err)
	}
	if a := <-first; a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	s.server.Stop()
	late := s.start()
	if a := get(t, late, "/photos/ansel"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d, %v", a.status, a.header)
	}
}
