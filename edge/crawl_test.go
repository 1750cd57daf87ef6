package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// crawl walks through pages that nobody else asks for, while visitors go on with theirs, and counts the visitors' hits.
func crawl(t *testing.T, e *Server, rounds, crawled int) (hits, asked int) {
	t.Helper()
	const visited = 50
	walked := int64(1000)
	for round := range rounds {
		for i := range int64(visited) {
			tier := ask(t, e, "/photos/hot"+itoa(i+1))
			if round < 5 { // to get to know them
				continue
			}
			if asked++; tier == "near" {
				hits++
			}
		}
		for range crawled {
			walked++
			ask(t, e, "/photo/"+itoa(walked))
		}
	}
	return hits, asked
}

// ask asks without a network between.
func ask(t *testing.T, e *Server, path string) (tier string) {
	t.Helper()
	w := httptest.NewRecorder()
	e.http.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Header().Get("X-Cache")
}

// TestCrawlerPushesNothingOut: a walk through thirty times what the near cache holds.
func TestCrawlerPushesNothingOut(t *testing.T) {
	t.Parallel()
	const limit, rounds, crawled = 1 << 20, 40, 150
	h := newHotSite(t, 2, 1, func(c *Config) { c.NearBytes = limit })
	h.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := h.standard(ref)
		r.Body = []byte(strings.Repeat("x", 4000))
		return r
	})
	alone, asked := crawl(t, h.edges[0], rounds, 0)
	beside, _ := crawl(t, h.edges[1], rounds, crawled)
	t.Logf("near hits of %d: %d alone, %d beside a crawler who saw %.0f times what the near cache holds", asked, alone, beside, float64(rounds*crawled*4000)/limit)
	if alone < asked*9/10 || beside < alone*9/10 {
		t.Errorf("near hits of %d: %d alone, %d beside the crawler", asked, alone, beside)
	}
	for _, hot := range h.edges[1].hot.list() {
		if hot.Ref.Kind() != page.KindUser {
			t.Errorf("the crawler's %s is in demand %d times", hot.Ref, hot.Count)
		}
	}
	h.settle()
	for photo := int64(1001); photo < 1001+rounds*crawled; photo++ {
		if h.stored(page.Photo(photo)) != nil {
			t.Fatalf("the crawler had photo %d filled", photo)
		}
	}
}

// TestSoakIsBounded: whatever is asked for, what an edge remembers ends somewhere.
func TestSoakIsBounded(t *testing.T) {
	t.Parallel()
	const bytes = 4 << 20
	s := &Server{fresh: newFreshness(&wire.Clock{}), near: newNearCache(bytes)}
	limit := rate.NewLimiter(refillRate, refillBurst)
	defer s.near.close()
	hot, seen := newHot(), newHeat()
	now := time.Now()
	for i := range int64(200_000) {
		ref := page.User("u" + itoa(i*7919%3_000_017+1))
		c := s.hold(ref, &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: now, Depends: []wire.Dep{{Scope: "all", Version: 1}, {Scope: "user." + ref.Name(), Version: 1}}, Body: make([]byte, 100)})
		s.near.put(c, now)
		c.asked.Add(uint32(i % 5))
		seen.again(ref)
		hot.got(c, i%3 == 0)
		if i%10_000 == 0 {
			hot.gather(s.near, limit, now)
		}
		if n := len(hot.pages); n > hotPages {
			t.Fatalf("after %d: %d pages are counted", i, n)
		}
	}
	s.near.cache.CleanUp()
	if got := s.near.bytes(); got > bytes {
		t.Errorf("%v bytes in a near cache of %d", got, bytes)
	}
	if n := len(seen.young) + len(seen.old); n > 2*heatEntries {
		t.Errorf("%d pages are remembered as seen", n)
	}
	if n := s.fresh.scopes(); n > 2*maxScopes {
		t.Errorf("%d scopes", n)
	}
	if hot.size() < hotPages/2 {
		t.Errorf("only %d pages are counted", hot.size())
	}
}

// TestForgottenScopes: a copy whose scope had to be forgotten is not trusted any more, nor shown as a stale one.
func TestForgottenScopes(t *testing.T) {
	t.Parallel()
	clock := &wire.Clock{}
	s := &Server{fresh: newFreshness(clock)}
	s.fresh.goodUntil.Store(int64(time.Hour))
	s.fresh.rotated = time.Now().Add(-time.Second)
	old := s.hold(page.User("ansel"), &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now().Add(-time.Minute), Depends: []wire.Dep{{Scope: "user.ansel", Version: 1}}})
	if !s.fresh.check(old) || !s.fresh.presentable(old) {
		t.Fatal("a copy that depends on what is remembered is not trusted")
	}
	for i := int64(1); s.fresh.old["user.ansel"] != nil || s.fresh.young["user.ansel"] != nil; i++ {
		s.fresh.intern("user.u" + itoa(i))
		if i > 3*maxScopes {
			t.Fatal("nothing is ever forgotten")
		}
	}
	s.fresh.learn(wire.Change{Scope: "user.ansel", Version: 2, Gone: true})
	if s.fresh.check(old) || s.fresh.presentable(old) {
		t.Error("a copy of what is gone is trusted because its scope was forgotten")
	}
}

// BenchmarkGather is what counting costs a second, for a near cache of a usual size.
func BenchmarkGather(b *testing.B) {
	s := &Server{fresh: newFreshness(&wire.Clock{}), near: newNearCache(64 << 20)}
	defer s.near.close()
	h, now, limit := newHot(), time.Now(), rate.NewLimiter(refillRate, refillBurst)
	var copies []*held
	for i := range int64(5000) {
		c := s.hold(page.Photo(i+1), &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: now, Depends: []wire.Dep{{Scope: "all", Version: 1}, {Scope: "user.ansel", Version: 1}}, Body: make([]byte, 8000)})
		s.near.put(c, now)
		copies = append(copies, c)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range copies[:1000] {
			c.asked.Add(1)
		}
		h.gather(s.near, limit, now)
	}
}

// BenchmarkDue is what one look at all hot pages costs.
func BenchmarkDue(b *testing.B) {
	s := &Server{fresh: newFreshness(&wire.Clock{})}
	h, now := newHot(), time.Now()
	for i := range int64(hotPages) {
		c := s.hold(page.Photo(i+1), &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: now, Depends: []wire.Dep{{Scope: "all", Version: 1}, {Scope: "user.u" + itoa(i%1000+1), Version: 1}}})
		h.got(c, true)
		h.got(c, true)
	}
	limit := rate.NewLimiter(refillRate, refillBurst)
	b.ReportAllocs()
	for b.Loop() {
		if notes, _ := h.due(s.fresh, limit, now); len(notes) > 0 {
			b.Fatal("something is overtaken")
		}
	}
}
