package edge

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/cachefill"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/time/rate"
)

// hotSite is a site whose memcached is looked into, and whose notes are counted from edge to cachefill.
type hotSite struct {
	*site
	addr    string
	cache   *memcache.Client
	edges   []*Server
	fillers []*prometheus.Registry
}

// newHotSite starts a renderer and so many edges and cachefills.
func newHotSite(t testing.TB, edges, fillers int, change ...func(*Config)) *hotSite {
	h := &hotSite{site: newSite(t), addr: testenv.Memcached(t)}
	h.renderer()
	h.cache = memcache.New(h.addr)
	h.cache.Timeout = 10 * time.Second
	t.Cleanup(func() { _ = h.cache.Close() })
	for range fillers {
		registry := prometheus.NewRegistry()
		h.fill(cachefill.Config{Memcached: []string{h.addr}, Registry: registry})
		h.fillers = append(h.fillers, registry)
	}
	for range edges {
		h.edges = append(h.edges, h.edge(append([]func(*Config){withMemcached(h.addr)}, change...)...))
	}
	return h
}

// heat has every edge asked for a path often enough, and returns when what they wanted to be filled is.
func (h *hotSite) heat(paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		for _, e := range h.edges {
			for range hotFill + 1 {
				get(h.t, e, path)
			}
		}
	}
	for _, e := range h.edges {
		e.hot.mu.Lock()
		for _, p := range e.hot.pages {
			p.looks, p.looked = 1000, time.Now() // as if that had gone on for a while: what changes is refilled each time
		}
		e.hot.mu.Unlock()
		for _, c := range e.hot.gather(e.near, rate.NewLimiter(rate.Inf, 0), time.Now()) {
			e.fill(c)
		}
	}
	h.settle()
}

// settle waits until the cachefills have dealt with every note that the edges sent.
func (h *hotSite) settle() {
	h.t.Helper()
	eventually(h.t, "every note is dealt with", func() bool {
		sent, dealt := 0.0, 0.0
		for _, e := range h.edges {
			sent += count(h.t, e.meters.fills)
		}
		for _, r := range h.fillers {
			dealt += sum(h.t, r, "killr_cachefill_fills_total")
		}
		return dealt >= sent
	})
}

// refills counts the notes of all edges about changes.
func (h *hotSite) refills() (n int) {
	for _, e := range h.edges {
		n += int(count(h.t, e.meters.refills))
	}
	return n
}

// stored gives the copy that memcached holds, unpacked, nil for none.
func (h *hotSite) stored(ref page.Ref) *wire.Reply {
	h.t.Helper()
	item, err := h.cache.Get(ref.Key())
	if err != nil {
		return nil
	}
	reply, err := wire.DecodeReply(item.Value)
	if err == nil && reply.Encoding == wire.EncodingGzip {
		reply.Encoding = ""
		reply.Body, err = h.gzip.Unpack(reply.Body)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return reply
}

// shows waits until memcached's copy has a text in it.
func (h *hotSite) shows(ref page.Ref, text string) {
	h.t.Helper()
	eventually(h.t, ref.String()+" in memcached shows "+text, func() bool {
		r := h.stored(ref)
		return r != nil && strings.Contains(string(r.Body), text)
	})
}

func count(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func sum(t testing.TB, r *prometheus.Registry, name string) (total float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

// TestChangeIsFilledOnce: however many edges hear of it and however many cachefills there are, and without a visitor.
func TestChangeIsFilledOnce(t *testing.T) {
	t.Parallel()
	h := newHotSite(t, 4, 3)
	h.heat("/photos/ansel")
	ansel := page.User("ansel")
	renders, before := h.renders.Load(), h.refills()
	for version := int64(1); version <= 10; version++ {
		h.change("user.ansel", version, false)
		eventually(t, "every edge has sent its note", func() bool { return h.refills() == before+4*int(version) })
		h.settle()
		h.shows(ansel, "version "+itoa(version)+"<")
		if got := h.renders.Load() - renders; got != version {
			t.Fatalf("%d renders for %d changes", got, version)
		}
	}
	// Whoever comes now finds it there. A memcached that takes its time is a miss, hence another try.
	looker := h.edge(withMemcached(h.addr), func(c *Config) { c.NearBytes = -1 })
	eventually(t, "a visitor finds the new page in memcached", func() bool {
		got := get(t, looker, "/photos/ansel")
		return got.tier() == "memcached" && strings.Contains(got.body, "version 10<")
	})
}

func TestWhatNobodyAsksForIsNotRefilled(t *testing.T) {
	t.Parallel()
	h := newHotSite(t, 1, 1)
	h.heat("/photos/ansel")
	get(t, h.edges[0], "/photos/edward")
	renders := h.renders.Load()
	h.change("user.edward", 1, false)
	h.change("user.nobody", 1, false)
	h.change("user.ansel", 1, false) // heard of after the others
	h.shows(page.User("ansel"), "version 1<")
	h.settle()
	if got := h.renders.Load() - renders; got != 1 {
		t.Errorf("%d renders, want 1", got)
	}
}

// TestGoneIsFilledToo: the page that says so is there before anybody asks.
func TestGoneIsFilledToo(t *testing.T) {
	t.Parallel()
	h := newHotSite(t, 2, 1)
	h.heat("/photos/ansel")
	h.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := h.standard(ref)
		r.Status, r.Body = http.StatusNotFound, []byte("<h1>gone</h1>")
		return r
	})
	h.change("user.ansel", 7, true)
	h.shows(page.User("ansel"), "gone")
	if r := h.stored(page.User("ansel")); r.Status != http.StatusNotFound {
		t.Errorf("status %d", r.Status)
	}
	eventually(t, "a page that is not there leaves the list", func() bool {
		get(t, h.edges[0], "/photos/ansel")
		return len(h.edges[0].hot.list()) == 0
	})
}

// TestListingIsRefilledNowAndThen: what depends on everybody follows, but not at the pace at which everybody changes something.
func TestListingIsRefilledNowAndThen(t *testing.T) {
	t.Parallel()
	h := newHotSite(t, 1, 1)
	h.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := h.standard(ref)
		if ref.Kind() == page.KindHome {
			r.MaxAge = wire.ListingAge
			h.mu.Lock()
			defer h.mu.Unlock()
			r.Depends = append(r.Depends, wire.Dep{Scope: "user.ansel", Version: h.versions["user.ansel"]})
			r.Body = []byte("<p>version " + itoa(h.versions["user.ansel"]) + "<")
		}
		return r
	})
	const changes = 40
	began := time.Now()
	h.heat("/")
	before := h.refills()
	for version := int64(1); version <= changes; version++ {
		h.change("user.ansel", version, false)
		time.Sleep(5 * time.Millisecond) // the pace of the changes, not a wait for something
	}
	if time.Since(began) > wire.ListingAge/2 {
		h.heat("/") // a slow machine: the copy must be one that somebody has seen lately
	}
	h.shows(page.Home(), "version "+itoa(changes)+"<")
	sent, most := h.refills()-before, int(time.Since(began)/refillListing)+2
	if sent < 1 || sent > most {
		t.Errorf("%d refills in %v, want 1 to %d", sent, time.Since(began), most)
	}
}

// TestChangeOfEverythingIsPaced: the hottest first, no more at once than the burst, and at the rate from there.
func TestChangeOfEverythingIsPaced(t *testing.T) {
	t.Parallel()
	f := newFreshness(&wire.Clock{})
	h := newHot()
	s := &Server{fresh: f}
	const pages = 3 * refillBurst
	for i := range int64(pages) {
		ref := page.Photo(i + 1)
		c := s.hold(ref, &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(), Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: 1}}})
		h.got(c, true)
		h.pages[ref].count = hotEnough + i
	}
	limit := rate.NewLimiter(refillRate, refillBurst)
	now := time.Now()
	if notes, _ := h.due(f, limit, now); len(notes) != 0 {
		t.Fatalf("%d notes before any change", len(notes))
	}
	f.learn(wire.Change{Scope: wire.ScopeAll, Version: 2})
	notes, next := h.due(f, limit, now)
	if len(notes) != refillBurst || next > refillPause {
		t.Fatalf("%d notes at once, and a look again in %v", len(notes), next)
	}
	for i, note := range notes {
		if want := page.Photo(int64(pages - i)); note.Ref != want || len(note.Wants) != 1 || note.Wants[0] != (wire.Dep{Scope: wire.ScopeAll, Version: 2}) {
			t.Fatalf("note %d is %+v, want %s", i, note, want)
		}
	}
	if notes, _ := h.due(f, limit, now); len(notes) != 0 {
		t.Errorf("%d more at the same moment", len(notes))
	}
	if notes, _ := h.due(f, limit, now.Add(time.Second)); len(notes) != refillRate {
		t.Errorf("%d in the next second, want %d", len(notes), refillRate)
	}
	if notes, next := h.due(f, limit, now.Add(time.Minute)); len(notes) != pages-refillBurst-refillRate || next != gatherEvery {
		t.Errorf("%d after a minute, and a look again in %v", len(notes), next)
	}
}

// TestStoredCopyIsRenewed: that memcached has a copy does not keep its successor from being asked for.
func TestStoredCopyIsRenewed(t *testing.T) {
	t.Parallel()
	h := newHotSite(t, 1, 1)
	e := h.edges[0]
	old := time.Now().Add(-wire.PageAge * 4 / 5).Truncate(time.Microsecond)
	var once sync.Once
	h.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := h.standard(ref)
		once.Do(func() { r.ReadAt = old })
		return r
	})
	e.fresh.trustFrom.Store(0) // the stream is younger than the copy; this test is not about that
	get(t, e, "/photos/ansel")
	e.near.get(page.User("ansel")).stored.Store(true)
	get(t, e, "/photos/ansel")
	eventually(t, "a newer one is in memcached", func() bool {
		r := h.stored(page.User("ansel"))
		return r != nil && r.ReadAt.After(old)
	})
}

// TestRefillsAreNoMoreThanLooks: a page that changes more often than it is asked for is refilled about as often as it is asked for lately,
// however often that was before.
func TestRefillsAreNoMoreThanLooks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, lately float64 // looks a second, for an hour and then for half a minute
		maxAge         time.Duration
		least, most    int // refills in the ten seconds from then on, in which it changes every ten milliseconds
	}{
		"ever often":       {100, 100, wire.PageAge, 450, 550},
		"often of late":    {.01, 100, wire.PageAge, 400, 550},
		"no more":          {100, 0, wire.PageAge, 1, 60},
		"twice a second":   {2, 2, wire.PageAge, 15, 25},
		"seldom":           {.01, .01, wire.PageAge, 2, 3},
		"often, a listing": {100, 100, wire.ListingAge, 45, 55},
	} {
		f, h := newFreshness(&wire.Clock{}), newHot()
		now := time.Now()
		ref := page.User("ansel")
		h.got((&Server{fresh: f}).hold(ref, &wire.Reply{Status: 200, MaxAge: c.maxAge, ReadAt: now, Depends: []wire.Dep{{Scope: "user.ansel", Version: 1}}}), true)
		p, owed := h.pages[ref], 0.
		look := func(perSecond float64) { // as edges count: once a second
			owed += perSecond
			if n := int64(owed); n > 0 {
				h.count(p, n, now)
				owed -= float64(n)
			}
			now = now.Add(time.Second)
		}
		for range 3600 {
			look(c.before)
		}
		for range 30 {
			look(c.lately)
		}
		if list := h.list(); len(list) != 1 {
			t.Fatalf("%s: the list is %v", name, list)
		}
		refills := 0
		for second := range 10 {
			for tenth := range 100 {
				f.learn(wire.Change{Scope: "user.ansel", Version: int64(2 + second*100 + tenth)})
				notes, _ := h.due(f, rate.NewLimiter(rate.Inf, 0), now.Add(time.Duration(tenth)*10*time.Millisecond))
				refills += len(notes)
			}
			look(c.lately)
		}
		if refills < c.least || refills > c.most {
			t.Errorf("asked for %s: %d refills, want %d to %d", name, refills, c.least, c.most)
		}
	}
}

// TestWaitingForDemandIsNoDelay: a refill that waits until the page is in demand again is timed from then on.
func TestWaitingForDemandIsNoDelay(t *testing.T) {
	t.Parallel()
	f, h, now := newFreshness(&wire.Clock{}), newHot(), time.Now()
	h.got((&Server{fresh: f}).hold(page.User("ansel"), &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: now, Depends: []wire.Dep{{Scope: "user.ansel", Version: 1}}}), true)
	h.count(h.pages[page.User("ansel")], hotEnough, now.Add(-time.Hour))
	limit := rate.NewLimiter(rate.Inf, 0)
	for version, c := range []struct {
		at    time.Duration
		notes int
		next  time.Duration
	}{{0, 1, gatherEvery}, {10 * time.Millisecond, 0, gatherEvery}, {refillSeldom - 50*time.Millisecond, 0, 50 * time.Millisecond}, {refillSeldom, 1, gatherEvery}} {
		f.learn(wire.Change{Scope: "user.ansel", Version: int64(2 + version)})
		notes, next := h.due(f, limit, now.Add(c.at))
		if len(notes) != c.notes {
			t.Fatalf("after %v: %d notes, want %d", c.at, len(notes), c.notes)
		}
		for _, note := range notes {
			if note.Waited > time.Millisecond {
				t.Errorf("after %v: it has waited %v", c.at, note.Waited)
			}
		}
		if next != c.next {
			t.Errorf("after %v: a look again in %v, want %v", c.at, next, c.next)
		}
	}
}
