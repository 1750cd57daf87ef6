package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/cachefill"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// fillSite is a site with cachefills, whose memcached the test reads and whose fill notes it counts.
type fillSite struct {
	*site
	addr    string
	cache   *memcache.Client
	edges   []*Server
	fillers []*prometheus.Registry
}

// newFillSite starts a renderer and some edges and cachefills.
func newFillSite(t testing.TB, edges, fillers int, change ...func(*Config)) *fillSite {
	s := &fillSite{site: newSite(t), addr: testenv.Memcached(t)}
	s.renderer()
	s.cache = memcache.New(s.addr)
	s.cache.Timeout = 10 * time.Second
	t.Cleanup(func() { _ = s.cache.Close() })
	for range fillers {
		registry := prometheus.NewRegistry()
		s.fill(cachefill.Config{Memcached: []string{s.addr}, Registry: registry})
		s.fillers = append(s.fillers, registry)
	}
	for range edges {
		s.edges = append(s.edges, s.edge(append([]func(*Config){withMemcached(s.addr)}, change...)...))
	}
	return s
}

// popularRequests make a page popular: it is requested more than 100 times a second, so each change refills it.
const popularRequests = 2000

// popular makes pages popular on every edge, and returns when memcached has them.
func (s *fillSite) popular(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		for _, e := range s.edges {
			for range popularRequests / len(paths) {
				tierOf(s.t, e, path)
			}
		}
	}
	for _, path := range paths {
		ref, err := page.ParsePath(path)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range s.edges {
			eventually(s.t, path+" is counted", func() bool {
				p := e.pages.memory.Get(ref)
				return p != nil && p.Usage.Hits.Load() == 0 && p.Usage.InMemcached.Load()
			})
		}
	}
	s.settle()
}

// settle waits until the cachefills have handled every note that the edges sent.
func (s *fillSite) settle() {
	s.t.Helper()
	eventually(s.t, "every note is handled", func() bool {
		sent, handled := 0.0, 0.0
		for _, e := range s.edges {
			sent += count(s.t, e.metrics.fills)
		}
		for _, r := range s.fillers {
			handled += sum(s.t, r, "killr_cachefill_fills_total")
		}
		return handled >= sent
	})
}

// refills is the number of notes for changed pages that all edges sent.
func (s *fillSite) refills() (n int) {
	for _, e := range s.edges {
		n += int(count(s.t, e.metrics.refills))
	}
	return n
}

// stored is the page that memcached has, decompressed, nil if it has none.
func (s *fillSite) stored(ref page.Ref) *wire.Reply {
	s.t.Helper()
	item, err := s.cache.Get(ref.Key())
	if err != nil {
		return nil
	}
	reply, err := wire.DecodeReply(ref.Key(), item.Value)
	if err == nil && reply.Encoding == wire.EncodingGzip {
		reply.Encoding = ""
		reply.Body, err = s.gzip.Unpack(reply.Body)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// shows waits until the page in memcached contains a text.
func (s *fillSite) shows(ref page.Ref, text string) {
	s.t.Helper()
	eventually(s.t, ref.String()+" in memcached shows "+text, func() bool {
		r := s.stored(ref)
		return r != nil && strings.Contains(string(r.Body), text)
	})
}

// TestChangeIsFilledOnce: after a change of a popular page memcached gets the new page, without a request for it and by
// one render, however many edges and cachefills there are.
func TestChangeIsFilledOnce(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 4, 3)
	s.popular("/photos/ansel")
	ansel := page.User("ansel")
	renders, before := s.renders.Load(), s.refills()
	for version := int64(1); version <= 10; version++ {
		s.change("user.ansel", version, false)
		eventually(t, "every edge has sent its note", func() bool { return s.refills() == before+4*int(version) })
		s.settle()
		s.shows(ansel, "version "+itoa(version)+"<")
		if got := s.renders.Load() - renders; got != version {
			t.Fatalf("%d renders for %d changes, want one each", got, version)
		}
	}
	other := s.edge(withMemcached(s.addr), func(c *Config) { c.MemoryBytes = -1 })
	eventually(t, "another edge has the new page from memcached", func() bool { // a slow look-up is a miss
		got := get(t, other, "/photos/ansel")
		return got.tier() == "memcached" && strings.Contains(got.body, "version 10<")
	})
}

// TestUnpopularPagesAreNotRefilled: a change of a page that was requested once, or never, causes no render.
func TestUnpopularPagesAreNotRefilled(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 1, 1)
	s.popular("/photos/ansel")
	get(t, s.edges[0], "/photos/edward")
	renders := s.renders.Load()
	s.change("user.edward", 1, false)
	s.change("user.nobody", 1, false)
	s.change("user.ansel", 1, false) // the edge learns it after the others
	s.shows(page.User("ansel"), "version 1<")
	s.settle()
	if got := s.renders.Load() - renders; got != 1 {
		t.Errorf("%d renders, want 1", got)
	}
}

// TestDeletedPageIsFilledToo: after a popular page was deleted memcached gets its 404, and the page leaves the list.
func TestDeletedPageIsFilledToo(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 2, 1, storeListOften)
	s.popular("/photos/ansel")
	eventually(t, "the page is on the list", func() bool { return onList(s.storedList(), page.User("ansel")) })
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		r.Status, r.Body = http.StatusNotFound, []byte("<h1>gone</h1>")
		return r
	})
	s.change("user.ansel", 7, true)
	s.shows(page.User("ansel"), "gone")
	if r := s.stored(page.User("ansel")); r.Status != http.StatusNotFound {
		t.Errorf("status %d", r.Status)
	}
	eventually(t, "a page that is not found leaves the list", func() bool {
		for _, e := range s.edges {
			get(t, e, "/photos/ansel")
		}
		return !onList(s.storedList(), page.User("ansel"))
	})
}

// TestListingIsNotRefilledForEachChange: a page that depends on all users is refilled after changes, but seldom.
func TestListingIsNotRefilledForEachChange(t *testing.T) {
	t.Parallel()
	s := newFillSite(t, 1, 1)
	s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if ref.Kind() == page.KindHome {
			r.MaxAge = wire.ListingAge
			s.mu.Lock()
			defer s.mu.Unlock()
			r.Depends = append(r.Depends, wire.Dep{Scope: "user.ansel", Version: s.versions["user.ansel"]})
			r.Body = []byte("<p>version " + itoa(s.versions["user.ansel"]) + "<")
		}
		return r
	})
	const changes, gap = 40, 200 * time.Millisecond // see popularity.minGapList
	began := time.Now()
	s.popular("/")
	before := s.refills()
	for version := int64(1); version <= changes; version++ {
		s.change("user.ansel", version, false)
		knows(t, s.edges[0], "user.ansel", version)
	}
	if time.Since(began) > wire.ListingAge/2 {
		s.popular("/") // on a slow machine: only a page that was requested lately is refilled
	}
	s.shows(page.Home(), "version "+itoa(changes)+"<")
	sent, most := s.refills()-before, int(time.Since(began)/gap)+2
	if sent < 1 || sent > most {
		t.Errorf("%d refills in %v, want 1 to %d", sent, time.Since(began), most)
	}
}
