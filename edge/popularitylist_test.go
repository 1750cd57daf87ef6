package edge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"flickrkillr/cachefill"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/ring"
	"flickrkillr/schema/wire"
)

// storeListOften has an edge store its popularity list often.
func storeListOften(c *Config) { c.PopularEvery = 50 * time.Millisecond }

// storedList reads the popularity lists of all edges, merged. It returns nil without any list, and while NATS is away.
func (s *site) storedList() []wire.Popular {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	list, err := popularlist.All(ctx, s.nc)
	if err != nil && !errors.Is(err, popularlist.ErrNone) {
		s.t.Log(err)
	}
	return list
}

// onList reports whether a list has a page.
func onList(list []wire.Popular, ref page.Ref) bool {
	return slices.ContainsFunc(list, func(h wire.Popular) bool { return h.Ref == ref })
}

// TestListSurvivesRestarts: the popularity list survives a restart of NATS, and one of the edge at the same address.
func TestListSurvivesRestarts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e, stop := s.stoppable()
	ansel, edward := page.User("ansel"), page.User("edward")
	for range 5 {
		get(t, e, "/photos/ansel")
		get(t, e, "/static/app.0123abcd.css")
		get(t, e, "/nowhere")
	}
	eventually(t, "the list is stored", func() bool { return onList(s.storedList(), ansel) })
	if list := s.storedList(); len(list) != 1 {
		t.Errorf("the list has assets or error pages: %v", list)
	}

	// While NATS is away, the edge stores no list.
	s.server.Stop()
	for range 5 {
		get(t, e, "/photos/ansel")
	}
	if err := s.server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the list is there after the restart of NATS", func() bool { return onList(s.storedList(), ansel) })
	eventually(t, "the edge stores it again", func() bool {
		get(t, e, "/photos/edward")
		return onList(s.storedList(), edward)
	})

	// An edge that starts at the same address continues its list.
	addr := e.Addr()
	stop()
	e, stop = s.stoppable(func(c *Config) { c.Addr = addr })
	defer stop()
	eventually(t, "the list has old and new pages", func() bool {
		get(t, e, "/photos/paul")
		list := s.storedList()
		return onList(list, page.User("paul")) && onList(list, ansel) && onList(list, edward)
	})
}

// stoppable starts an edge that stores its list often, and returns when it is ready.
func (s *site) stoppable(change ...func(*Config)) (e *Server, stop func()) {
	s.t.Helper()
	addr, err := stack.ResolvePort("127.0.0.1:0") // a port that no other test takes during a restart
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := Config{Addr: addr, NATS: s.signIn(), Logger: slog.New(slog.DiscardHandler)}
	storeListOften(&cfg)
	for _, f := range change {
		f(&cfg)
	}
	e, err = New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := e.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	eventually(s.t, "the edge is ready", func() bool { return e.Ready() == nil })
	return e, stop
}

// TestFlushedMemcachedIsRefilled: cachefills fill a memcached that was flushed, or that is new, from the popularity
// lists, without a request.
func TestFlushedMemcachedIsRefilled(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 2, 2, storeListOften)
	var paths []string
	var refs []page.Ref
	for i := range int64(20) {
		ref := page.User("user" + itoa(i+1))
		refs, paths = append(refs, ref), append(paths, ref.Path())
	}
	s.popular(paths...)
	eventually(t, "the lists have all pages", func() bool { return len(s.storedList()) == len(refs) })
	all := func() bool {
		for _, ref := range refs {
			if s.stored(ref) == nil {
				return false
			}
		}
		return true
	}
	eventually(t, "memcached has all pages", all)
	renders := s.renders.Load()
	if err := s.cache.FlushAll(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "memcached has all pages again", all)
	if got := s.renders.Load() - renders; got != int64(len(refs)) {
		t.Errorf("%d renders for %d pages, want one each", got, len(refs))
	}
	empty := testenv.Memcached(t)
	s.fill(cachefill.Config{Memcached: []string{empty}})
	e := s.edge(withMemcached(empty), func(c *Config) { c.MemoryBytes = -1 })
	eventually(t, "a new memcached is filled", func() bool {
		for _, path := range paths {
			if tierOf(t, e, path) != "memcached" {
				return false
			}
		}
		return true
	})
}

// TestDeadServerOfThree: when one memcached of three dies, pages of the other two still come from memcached.
func TestDeadServerOfThree(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	dead := testenv.MemcachedServer(t)
	addrs := []string{testenv.Memcached(t), testenv.Memcached(t), dead.Addr()}
	servers, err := ring.New(addrs)
	if err != nil {
		t.Fatal(err)
	}
	s.fill(cachefill.Config{Memcached: addrs})
	e := s.edge(withMemcached(addrs...), func(c *Config) { c.MemoryBytes = -1 })
	var lost, kept []string
	for i := range int64(60) {
		ref := page.User("user" + itoa(i+1))
		addr, err := servers.PickServer(ref.Key())
		if err != nil {
			t.Fatal(err)
		}
		if addr.String() == dead.Addr() {
			lost = append(lost, ref.Path())
		} else {
			kept = append(kept, ref.Path())
		}
	}
	if len(lost) < 10 || len(kept) < 30 {
		t.Fatalf("the ring does not spread the pages: %d on the server that dies, %d on the others",
			len(lost), len(kept))
	}
	for _, path := range append(lost, kept...) {
		eventually(t, path+" is in memcached", func() bool { return tierOf(t, e, path) == "memcached" })
	}
	if err := dead.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, path := range lost {
		if tier := tierOf(t, e, path); tier != "render" {
			t.Errorf("%s comes from %s, though its server is dead", path, tier)
		}
	}
	for _, path := range kept { // a slow look-up is a miss
		eventually(t, path+" is still in memcached", func() bool { return tierOf(t, e, path) == "memcached" })
	}
	if count(t, e.metrics.lookups.WithLabelValues(dead.Addr(), "open")) == 0 {
		t.Error("the dead server's circuit breaker never opened")
	}
}
