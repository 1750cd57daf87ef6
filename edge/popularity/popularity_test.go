package popularity

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/freshness"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newTracker() *freshness.Tracker { return freshness.New(&wire.Clock{}) }

// user is the page of the n-th user.
func user(n int64) page.Ref { return page.User(fmt.Sprint("u", n)) }

// pageOf returns a page, read at a time, that depends on scopes in version 1.
func pageOf(t *freshness.Tracker, ref page.Ref, readAt time.Time, maxAge time.Duration, scopes ...string) *cache.Page {
	r := &wire.Reply{Status: 200, MaxAge: maxAge, ReadAt: readAt}
	for _, scope := range scopes {
		r.Depends = append(r.Depends, wire.Dep{Scope: scope, Version: 1})
	}
	return cache.New(t, ref, r)
}

// TestChangeOfEverythingIsPaced: a change of all pages refills the most popular pages first, at most refillBurst at
// once, and the rest at refillRate.
func TestChangeOfEverythingIsPaced(t *testing.T) {
	t.Parallel()
	tracker, counts, now := newTracker(), newCounter(), time.Now()
	const pages = 3 * refillBurst
	for i := range int64(pages) {
		ref := page.Photo(i + 1)
		counts.add(pageOf(tracker, ref, now, wire.PageAge, wire.ScopeAll), true)
		counts.pages[ref].count = refillFrom + i
	}
	limit := rate.NewLimiter(refillRate, refillBurst)
	if notes, _ := counts.due(tracker, limit, now); len(notes) != 0 {
		t.Fatalf("%d notes before any change", len(notes))
	}
	tracker.Learn(wire.Change{Scope: wire.ScopeAll, Version: 2})
	notes, next := counts.due(tracker, limit, now)
	if len(notes) != refillBurst || next > limitPause {
		t.Fatalf("%d notes at once, next scan in %v", len(notes), next)
	}
	wants := []wire.Dep{{Scope: wire.ScopeAll, Version: 2}}
	for i, note := range notes {
		if want := page.Photo(int64(pages - i)); note.Ref != want || !slices.Equal(note.Wants, wants) {
			t.Fatalf("note %d is %+v, want %s", i, note, want)
		}
	}
	if notes, _ := counts.due(tracker, limit, now); len(notes) != 0 {
		t.Errorf("%d more notes at the same moment", len(notes))
	}
	if notes, _ := counts.due(tracker, limit, now.Add(time.Second)); len(notes) != refillRate {
		t.Errorf("%d notes in the next second, want %d", len(notes), refillRate)
	}
	notes, next = counts.due(tracker, limit, now.Add(time.Minute))
	if len(notes) != pages-refillBurst-refillRate || next != collectEvery {
		t.Errorf("%d notes after a minute, next scan in %v", len(notes), next)
	}
}

// TestRefillsAreNoMoreThanRequests: a page that changes more often than it is requested is refilled about as often as
// it was requested lately, however often that was before.
func TestRefillsAreNoMoreThanRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, lately float64 // requests a second, for an hour and then for half a minute
		maxAge         time.Duration
		least, most    int // refills in the ten seconds from then on, in which the page changes every ten milliseconds
	}{
		"always often":     {100, 100, wire.PageAge, 450, 550},
		"often lately":     {.01, 100, wire.PageAge, 400, 550},
		"no more":          {100, 0, wire.PageAge, 1, 60},
		"twice a second":   {2, 2, wire.PageAge, 15, 25},
		"seldom":           {.01, .01, wire.PageAge, 2, 3},
		"often, a listing": {100, 100, wire.ListingAge, 45, 55},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracker, counts, now := newTracker(), newCounter(), time.Now()
			ref := page.User("ansel")
			counts.add(pageOf(tracker, ref, now, c.maxAge, "user.ansel"), true)
			p, owed := counts.pages[ref], 0.
			request := func(perSecond float64) { // counts are collected once a second
				owed += perSecond
				if n := int64(owed); n > 0 {
					counts.count(p, n, now)
					owed -= float64(n)
				}
				now = now.Add(time.Second)
			}
			for range 3600 {
				request(c.before)
			}
			for range 30 {
				request(c.lately)
			}
			if list := counts.list(); len(list) != 1 {
				t.Fatalf("the list is %v", list)
			}
			refills := 0
			for second := range 10 {
				for hundredth := range 100 {
					tracker.Learn(wire.Change{Scope: "user.ansel", Version: int64(2 + second*100 + hundredth)})
					at := now.Add(time.Duration(hundredth) * 10 * time.Millisecond)
					notes, _ := counts.due(tracker, rate.NewLimiter(rate.Inf, 0), at)
					refills += len(notes)
				}
				request(c.lately)
			}
			if refills < c.least || refills > c.most {
				t.Errorf("%d refills, want %d to %d", refills, c.least, c.most)
			}
		})
	}
}

// TestGapIsNoDelay: a refill that waits for the gap since the last one is timed from the end of the gap.
func TestGapIsNoDelay(t *testing.T) {
	t.Parallel()
	tracker, counts, now := newTracker(), newCounter(), time.Now()
	ref := page.User("ansel")
	counts.add(pageOf(tracker, ref, now, wire.PageAge, "user.ansel"), true)
	counts.count(counts.pages[ref], refillFrom, now.Add(-time.Hour))
	limit := rate.NewLimiter(rate.Inf, 0)
	for version, c := range []struct {
		at    time.Duration
		notes int
		next  time.Duration
	}{
		{0, 1, collectEvery}, {10 * time.Millisecond, 0, collectEvery},
		{maxGap - 50*time.Millisecond, 0, 50 * time.Millisecond}, {maxGap, 1, collectEvery},
	} {
		tracker.Learn(wire.Change{Scope: "user.ansel", Version: int64(2 + version)})
		notes, next := counts.due(tracker, limit, now.Add(c.at))
		if len(notes) != c.notes {
			t.Fatalf("after %v: %d notes, want %d", c.at, len(notes), c.notes)
		}
		for _, note := range notes {
			if note.Waited > time.Millisecond {
				t.Errorf("after %v: the note says that it waited %v", c.at, note.Waited)
			}
		}
		if next != c.next {
			t.Errorf("after %v: next scan in %v, want %v", c.at, next, c.next)
		}
	}
}

// newPopularity returns a Popularity and the fill notes that it has sent since the last call.
func newPopularity(t *testing.T) (*Popularity, *freshness.Tracker, func() []*nats.Msg) {
	t.Helper()
	nc := testenv.Connect(t, testenv.NATSServer(t).URL())
	sub, err := nc.SubscribeSync(wire.SubjectFills)
	if err != nil {
		t.Fatal(err)
	}
	memory := cache.NewMemory(0)
	t.Cleanup(memory.Close)
	tracker := newTracker()
	p := New(Config{
		NATS: nc, Tracker: tracker, Memory: memory, Fill: true, ListKey: "k", Log: slog.New(slog.DiscardHandler),
		Fills:   prometheus.NewCounter(prometheus.CounterOpts{Name: "fills"}),
		Refills: prometheus.NewCounter(prometheus.CounterOpts{Name: "refills"}),
	})
	return p, tracker, func() (notes []*nats.Msg) {
		t.Helper()
		if err := nc.Publish(wire.SubjectFills[:len(wire.SubjectFills)-1]+"end", nil); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := sub.NextMsg(10 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Header) == 0 {
				return notes
			}
			notes = append(notes, m)
		}
	}
}

// TestObserve: a page that is rendered for the second time goes to memcached, and hits are counted.
func TestObserve(t *testing.T) {
	t.Parallel()
	p, tracker, notes := newPopularity(t)
	now, ref := time.Now(), page.User("ansel")
	for render, want := range []int{0, 1} {
		c := pageOf(tracker, ref, now.Add(time.Duration(render)*time.Microsecond), wire.PageAge, "user.ansel")
		p.Observe(c, FromRenderer, now)
		for range 3 {
			p.Observe(c, FromMemory, now)
		}
		if got := notes(); len(got) != want {
			t.Errorf("render %d: %d notes, want %d", render+1, len(got), want)
		}
		if hits := c.Usage.Hits.Load(); hits != 3 {
			t.Errorf("render %d: %d hits, want 3", render+1, hits)
		}
	}
	for _, ignored := range []*cache.Page{
		pageOf(tracker, page.User("dora"), now, 0, "user.dora"),
		pageOf(tracker, page.Error(404), now, wire.PageAge, wire.ScopeAll),
	} {
		for range 3 {
			p.Observe(ignored, FromRenderer, now)
		}
		if got := notes(); len(got) != 0 || p.Pages() != 1 {
			t.Errorf("%s: %d notes, and %d pages are counted; want none and 1", ignored.Ref, len(got), p.Pages())
		}
	}
}

// TestCountsAreHalved: after many requests, once a minute; a quiet night changes nothing.
func TestCountsAreHalved(t *testing.T) {
	t.Parallel()
	memory := cache.NewMemory(-1)
	tracker, h, now := newTracker(), newCounter(), time.Now()
	limit := rate.NewLimiter(refillRate, refillBurst)
	ref, seldom := page.User("ansel"), page.User("dora")
	for _, r := range []page.Ref{ref, seldom} {
		h.add(pageOf(tracker, r, now, wire.PageAge), true)
	}
	h.collect(memory, limit, now.Add(time.Hour))
	if n := h.pages[ref].count; n != 1 {
		t.Errorf("few requests: the count is %d, want 1", n)
	}
	h.count(h.pages[ref], halveFrom, now)
	h.collect(memory, limit, now.Add(2*time.Hour))
	if n := h.pages[ref].count; n != (halveFrom+1)/2 || h.pages[seldom] != nil {
		t.Errorf("many requests: the count is %d, want %d, and a page with a count of 1 is forgotten: %t", n,
			(halveFrom+1)/2, h.pages[seldom] == nil)
	}
}

// TestRefreshEarly: a page that is near its maximum age is requested anew, once, whether memcached has it or not.
func TestRefreshEarly(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]bool{"in memcached": true, "not in memcached": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, tracker, notes := newPopularity(t)
			now := time.Now()
			old := now.Add(-wire.PageAge * 4 / 5).Truncate(time.Microsecond)
			c := pageOf(tracker, page.User("ansel"), old, wire.PageAge, "user.ansel")
			c.Usage.InMemcached.Store(stored)
			for range 3 {
				p.Observe(c, FromMemory, now)
			}
			got := notes()
			if len(got) != 1 {
				t.Fatalf("%d notes, want 1", len(got))
			}
			readAt, ok := wire.ParseTime(got[0].Header.Get(wire.HeaderReadAt))
			if got[0].Subject != wire.FillSubject(page.User("ansel")) || !ok || !readAt.After(old) {
				t.Errorf("note %s %v, want one for a page read after %v", got[0].Subject, got[0].Header, old)
			}
		})
	}
}

// TestRecentIsBounded: recent forgets the oldest pages when there are too many.
func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	r := newRecent()
	if r.again(page.Photo(1)) || !r.again(page.Photo(1)) {
		t.Error("again is true for the first render or false for the second")
	}
	for i := range int64(3 * recentPages) {
		r.again(page.Photo(i + 2))
	}
	if n := len(r.young) + len(r.old); n > 2*recentPages {
		t.Errorf("%d pages are remembered", n)
	}
}

// TestCounterIsBounded: the number of counted pages and the size of the cache are bounded, whatever is requested.
func TestCounterIsBounded(t *testing.T) {
	t.Parallel()
	const bytes = 4 << 20
	memory := cache.NewMemory(bytes)
	defer memory.Close()
	tracker, counts, now := newTracker(), newCounter(), time.Now()
	limit := rate.NewLimiter(refillRate, refillBurst)
	for i := range int64(60_000) {
		ref := user(i*7919%3_000_017 + 1)
		c := pageOf(tracker, ref, now, wire.PageAge, wire.ScopeAll, "user."+ref.Name())
		memory.Put(c, now)
		c.Usage.Hits.Add(uint32(i % 5))
		counts.add(c, i%3 == 0)
		if i%10_000 == 0 {
			counts.collect(memory, limit, now)
		}
		if n := len(counts.pages); n > maxPages {
			t.Fatalf("after %d: %d pages are counted", i, n)
		}
	}
	testenv.Eventually(t, "the cache is within its limit", func() bool { return memory.Bytes() <= bytes })
	if counts.size() < maxPages/2 {
		t.Errorf("only %d pages are counted", counts.size())
	}
}

// TestListSurvives: an edge stores its list when it stops, and reads it back when it starts, before it stores one.
func TestListSurvives(t *testing.T) {
	t.Parallel()
	first, tracker, _ := newPopularity(t)
	run := func(p *Popularity) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		return sync.OnceFunc(func() { cancel(); running.Wait() })
	}
	stop := run(first)
	defer stop()
	testenv.Eventually(t, "the stored list was read", first.lister.restored.Load)
	for n := range int64(3) {
		c := pageOf(tracker, user(n+1), time.Now(), wire.PageAge)
		c.Usage.InMemcached.Store(true)
		for range n + 1 {
			first.Observe(c, FromMemcached, time.Now())
		}
	}
	stop()
	second := New(first.cfg)
	stop = run(second)
	defer stop()
	testenv.Eventually(t, "the stored list was read by the second", second.lister.restored.Load)
	list := second.counter.list()
	if len(list) != 3 || list[0].Ref != user(3) ||
		!slices.IsSortedFunc(list, func(a, b wire.Popular) int { return cmp.Compare(b.Count, a.Count) }) {
		t.Errorf("the list is %v", list)
	}
}

// BenchmarkCollect is what the counter does once a second, for an in-process cache of the usual size.
func BenchmarkCollect(b *testing.B) {
	memory := cache.NewMemory(64 << 20)
	defer memory.Close()
	tracker, counts, now, limit := newTracker(), newCounter(), time.Now(), rate.NewLimiter(refillRate, refillBurst)
	var pages []*cache.Page
	for i := range int64(5000) {
		c := cache.New(tracker, page.Photo(i+1), &wire.Reply{
			Status: 200, MaxAge: wire.PageAge, ReadAt: now, Body: make([]byte, 8000),
			Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: 1}, {Scope: "user.ansel", Version: 1}},
		})
		memory.Put(c, now)
		pages = append(pages, c)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range pages[:1000] {
			c.Usage.Hits.Add(1)
		}
		counts.collect(memory, limit, now)
	}
}

// BenchmarkDue is one scan of all counted pages.
func BenchmarkDue(b *testing.B) {
	tracker, counts, now := newTracker(), newCounter(), time.Now()
	for i := range int64(maxPages) {
		c := pageOf(tracker, page.Photo(i+1), now, wire.PageAge, wire.ScopeAll, fmt.Sprint("user.u", i%1000+1))
		counts.add(c, true)
		counts.add(c, true)
	}
	limit := rate.NewLimiter(refillRate, refillBurst)
	b.ReportAllocs()
	for b.Loop() {
		if notes, _ := counts.due(tracker, limit, now); len(notes) > 0 {
			b.Fatal("a page is due without any change")
		}
	}
}

// TestPictureIsRefilledWhenSomethingIsGone: an edit of a photo's title has no picture of its owner made anew.
func TestPictureIsRefilledWhenSomethingIsGone(t *testing.T) {
	t.Parallel()
	tracker, counts, now := newTracker(), newCounter(), time.Now()
	ref := page.Image("abcdefghijklmnopqrstuvwxyz", 320)
	counts.add(cache.New(tracker, ref, &wire.Reply{Status: 200, MaxAge: wire.PageAge, ReadAt: now, Immutable: true,
		Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: 1}, {Scope: "user.ansel", Version: 1}}}), true)
	counts.pages[ref].count = refillFrom
	limit := rate.NewLimiter(rate.Inf, 1)
	tracker.Learn(wire.Change{Scope: "user.ansel", Version: 2})
	if notes, _ := counts.due(tracker, limit, now); len(notes) != 0 {
		t.Errorf("%d notes after an edit", len(notes))
	}
	tracker.Learn(wire.Change{Scope: "user.ansel", Version: 3, Gone: true})
	notes, _ := counts.due(tracker, limit, now.Add(time.Minute))
	want := []wire.Dep{{Scope: "user.ansel", Version: 3}}
	if len(notes) != 1 || notes[0].Ref != ref || !slices.Equal(notes[0].Wants, want) {
		t.Errorf("the notes after a deletion are %+v, want one for %v", notes, want)
	}
	if notes, _ := counts.due(tracker, limit, now.Add(2*time.Minute)); len(notes) != 0 {
		t.Errorf("%d more notes", len(notes))
	}
}
