package cachefill

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/ring"
	"flickrkillr/schema/wire"
)

// storeList stores a popularity list of n users' pages, as an edge does, and returns it.
func (s *site) storeList(n int64) []wire.Popular {
	s.t.Helper()
	var list []wire.Popular
	for i := range n {
		list = append(list, wire.Popular{Ref: page.Photo(i + 1), Count: n - i})
	}
	if err := popularlist.Put(s.t.Context(), s.nc, popularlist.Key("here", "80"), list); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// held counts the pages of a list that memcached has.
func (s *site) held(cache *memcache.Client, list []wire.Popular) int {
	s.t.Helper()
	n := 0
	for _, popular := range list {
		switch _, err := cache.Get(popular.Ref.Key()); {
		case err == nil:
			n++
		case !errors.Is(err, memcache.ErrCacheMiss):
			s.t.Fatal(err)
		}
	}
	return n
}

func quick(c *Config) { c.ReplayRate = 10_000 }

func TestFlushIsReplayed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	list := s.storeList(40)
	f, other := s.filler(quick), s.filler(quick)
	eventually(t, "an empty memcached is filled with the popular pages",
		func() bool { return s.held(s.cache, list) == len(list) })
	if got := s.renders.Load(); got != int64(len(list)) {
		t.Errorf("%d renders for %d pages and two cachefills", got, len(list))
	}
	eventually(t, "the replay has "+
		"ended", func() bool { return f.metrics.replays.Load()+other.metrics.replays.Load() == 1 })
	if err := s.cache.FlushAll(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a flushed one too", func() bool {
		return s.held(s.cache,
			append(list, wire.Popular{Ref: mustParse(t, asset)})) == len(list)+1
	})
	eventually(t, "the second replay has "+
		"ended", func() bool { return f.metrics.replays.Load()+other.metrics.replays.Load() >= 2 })
}

func mustParse(t *testing.T, subject string) page.Ref {
	t.Helper()
	ref, err := page.ParseSubject(subject)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestReplayIsOfOneServersPages: of three servers one is restarted, and only what lives there is asked for.
func TestReplayIsOfOneServersPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	list := s.storeList(60)
	servers := []string{s.addr, testenv.Memcached(t)}
	third := testenv.MemcachedServer(t)
	servers = append(servers, third.Addr())
	f := s.filler(quick, func(c *Config) { c.Memcached = servers })
	pick, err := ring.New(servers)
	if err != nil {
		t.Fatal(err)
	}
	cache := memcache.NewFromSelector(pick)
	cache.Timeout = 10 * time.Second
	defer cache.Close()
	eventually(t, "all are filled", func() bool {
		return s.held(cache, list) == len(list) &&
			f.metrics.replays.Load() == 3
	})

	before := s.renders.Load()
	share := 0
	for _, popular := range list {
		if addr, err := pick.PickServer(popular.Ref.Key()); err == nil && addr.String() == third.Addr() {
			share++
		}
	}
	if err := third.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = cache.Close() // of its connections, those to the third are of before
	eventually(t, "what lived there is back", func() bool {
		return s.held(cache, list) == len(list) &&
			f.metrics.replays.Load() == 4
	})
	if got := s.renders.Load() - before; got != int64(share) || share == 0 || share == len(list) {
		t.Errorf("%d renders for the %d of %d pages that live there", got, share, len(list))
	}
}

// TestDeadServerCostsItsShareOnly: notes for its pages end at once, all others are worked as if nothing had happened.
func TestDeadServerCostsItsShareOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dead := testenv.MemcachedServer(t)
	servers := []string{s.addr, testenv.Memcached(t), dead.Addr()}
	f := s.filler(func(c *Config) { c.Memcached = servers })
	if err := dead.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dead.Thaw(); err != nil {
			t.Error(err)
		}
	})
	f.servers[dead.Addr()].become(&stateAway) // what three probes find, each after its timeout
	pick, err := ring.New(servers)
	if err != nil {
		t.Fatal(err)
	}
	const pages = 60
	share := int64(0)
	for i := range int64(pages) {
		ref := page.Photo(i + 1)
		if addr, err := pick.PickServer(ref.Key()); err == nil && addr.String() == dead.Addr() {
			share++
		}
		s.want(ref, time.Time{})
	}
	counts := settled(t, pages, f)
	if counts[resultCacheError] != share || counts[resultFilled] != pages-share || share == 0 {
		t.Errorf("%d failed and %d were filled; %d of %d live on the dead server", counts[resultCacheError],
			counts[resultFilled], share, pages)
	}
}

func TestServerThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cache := testenv.MemcachedServer(t)
	f := s.filler(func(c *Config) { c.Memcached = []string{cache.Addr()} })
	if err := cache.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is away", f.servers[cache.Addr()].away)
	if err := cache.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is used again", func() bool { return !f.servers[cache.Addr()].away() })
	s.want(page.User("ansel"), time.Time{})
	eventually(t, "and filled", func() bool { return f.metrics.counts[resultFilled].Load() == 1 })
}

// TestReplayWaitsForARenderer: a cluster that starts cold has its cachefills there before its renderers.
func TestReplayWaitsForARenderer(t *testing.T) {
	t.Parallel()
	s := &site{t: t, url: testenv.NATS(t), addr: testenv.Memcached(t)}
	s.nc = testenv.Connect(t, s.url)
	s.cache = memcache.New(s.addr)
	s.cache.Timeout = 10 * time.Second
	defer s.cache.Close()
	list := s.storeList(20)
	f, stop := s.begin(quick)
	defer stop()
	if f.Ready() == nil {
		t.Error("it is ready without a renderer")
	}
	s.answerWith(func(ref page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(), Body: []byte(ref.Subject())}
	})
	s.join()
	eventually(t, "it fills the popular pages", func() bool { return s.held(s.cache, list) == len(list) })
}

// TestNoteIsAnswered: a note with a reply subject is answered with how it ended, and so is each of many at once.
func TestNoteIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.filler()
	s.filler()
	const askers = 20
	words := make(chan string, askers)
	for range askers {
		go func() {
			answer, err := s.nc.RequestMsg(wire.Fill{Ref: page.User("ansel")}.Msg(), 20*time.Second)
			if err != nil {
				words <- err.Error()
				return
			}
			words <- string(answer.Data)
		}()
	}
	seen := map[string]int{}
	for range askers {
		seen[<-words]++
	}
	if seen[wire.FillFilled]+seen[wire.FillHeld] != askers || s.renders.Load() != 1 {
		t.Errorf("answers %v after %d renders", seen, s.renders.Load())
	}
	answer, err := s.nc.Request("fill.nonsense", nil, 20*time.Second)
	if err != nil || string(answer.Data) != resultRefused.String() {
		t.Errorf("nonsense: %v", err)
	}
}

// TestVersionsThatAreWanted: what lies there does if it shows them, however old it is.
func TestVersionsThatAreWanted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := s.filler()
	version := int64(18)
	s.answerWith(func(page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.UnixMicro(1),
			Depends: []wire.Dep{{Scope: "user.ansel", Version: version}}}
	})
	wants := func(version int64) *nats.Msg {
		return wire.Fill{Ref: page.User("ansel"), Wants: []wire.Dep{{Scope: "user.ansel", Version: version}},
			Waited: time.Millisecond}.Msg()
	}
	for i, c := range []struct {
		has, want int64
		end       result
	}{{18, 18, resultFilled}, {18, 18, resultHeld}, {19, 17, resultHeld}, {19, 19, resultFilled}, {20, 19, resultHeld},
		{20, 20, resultFilled}} {
		s.mu.Lock()
		version = c.has
		s.mu.Unlock()
		before := f.metrics.counts[c.end].Load()
		if err := s.nc.PublishMsg(wants(c.want)); err != nil {
			t.Fatal(err)
		}
		settled(t, int64(i)+1, f)
		if f.metrics.counts[c.end].Load() != before+1 {
			t.Errorf("note %d, of version %d while renderers have %d, did not end as %v", i, c.want, c.has, c.end)
		}
	}
	if n := f.metrics.refills.TotalCount(); n != 3 {
		t.Errorf("%d refills are timed, want 3", n)
	}
}

// TestSentinelOutlivesWhatMemcachedDrops: pages, many times what the server holds, do not push it out.
func TestSentinelOutlivesWhatMemcachedDrops(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	small, err := stack.StartMemcached(t.Context(), stack.MemcachedConfig{MemoryMiB: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := small.Stop(); err != nil {
			t.Error(err)
		}
	})
	f := s.filler(func(c *Config) { c.Memcached = []string{small.Addr()} })
	eventually(t, "the empty server was noticed", func() bool { return f.metrics.replays.Load() == 1 })
	cache := memcache.New(small.Addr())
	cache.Timeout = 10 * time.Second
	defer cache.Close()
	item, err := cache.Get(sentinelKey)
	if err != nil {
		t.Fatal(err)
	}
	looked, value := f.servers[small.Addr()].probes.Load(), make([]byte, 8000)
	n := 0
	for ; f.servers[small.Addr()].probes.Load() < looked+2 || n < 10_000; n++ {
		if err := cache.Set(&memcache.Item{Key: fmt.Sprintf("page.photo.%d", n+1), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cache.Get("page.photo.1"); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Fatalf("after %d pages the first is still there (%v): nothing was tested", n, err)
	}
	if kept, err := cache.Get(sentinelKey); err != nil || string(kept.Value) != string(item.Value) ||
		f.metrics.replays.Load() != 1 {
		t.Errorf("after %d pages: %v, %d replays", n, err, f.metrics.replays.Load())
	}
}
