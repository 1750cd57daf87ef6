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
	h := &fillSite{site: newSite(t), addr: testenv.Memcached(t)}
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

// popularRequests make a page popular: it is requested more than 100 times a second, so each change refills it.
const popularRequests = 2000

// popular makes pages popular on every edge, and returns when memcached has them.
func (h *fillSite) popular(paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		for _, e := range h.edges {
			for range popularRequests / len(paths) {
				tierOf(h.t, e, path)
			}
		}
	}
	for _, path := range paths {
		ref, err := page.ParsePath(path)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range h.edges {
			eventually(h.t, path+" is counted", func() bool {
				p := e.memory.Get(ref)
				return p != nil && p.Hits.Load() == 0 && p.InMemcached.Load()
			})
		}
	}
	h.settle()
}

// settle waits until the cachefills have handled every note that the edges sent.
func (h *fillSite) settle() {
	h.t.Helper()
	eventually(h.t, "every note is handled", func() bool {
		sent, handled := 0.0, 0.0
		for _, e := range h.edges {
			sent += count(h.t, e.metrics.fills)
		}
		for _, r := range h.fillers {
			handled += sum(h.t, r, "killr_cachefill_fills_total")
		}
		return handled >= sent
	})
}

// refills is the number of notes for changed pages that all edges sent.
func (h *fillSite) refills() (n int) {
	for _, e := range h.edges {
		n += int(count(h.t, e.metrics.refills))
	}
	return n
}

// stored is the page that memcached has, decompressed, nil if it has none.
func (h *fillSite) stored(ref page.Ref) *wire.Reply {
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

// shows waits until the page in memcached contains a text.
func (h *fillSite) shows(ref page.Ref, text string) {
	h.t.Helper()
	eventually(h.t, ref.String()+" in memcached shows "+text, func() bool {
		r := h.stored(ref)
		return r != nil && strings.Contains(string(r.Body), text)
	})
}

// TestChangeIsFilledOnce: after a change of a popular page memcached gets the new page, without a request for it and by
// one render, however many edges and cachefills there are.
func TestChangeIsFilledOnce(t *testing.T) {
	t.Parallel()
	h := newFillSite(t, 4, 3)
	h.popular("/photos/ansel")
	ansel := page.User("ansel")
	renders, before := h.renders.Load(), h.refills()
	for version := int64(1); version <= 10; version++ {
		h.change("user.ansel", version, false)
		eventually(t, "every edge has sent its note", func() bool { return h.refills() == before+4*int(version) })
		h.settle()
		h.shows(ansel, "version "+itoa(version)+"<")
		if got := h.renders.Load() - renders; got != version {
			t.Fatalf("%d renders for %d changes, want one each", got, version)
		}
	}
	other := h.edge(withMemcached(h.addr), func(c *Config) { c.MemoryBytes = -1 })
	eventually(t, "another edge has the new page from memcached", func() bool { // a slow look-up is a miss
		got := get(t, other, "/photos/ansel")
		return got.tier() == "memcached" && strings.Contains(got.body, "version 10<")
	})
}

// TestUnpopularPagesAreNotRefilled: a change of a page that was requested once, or never, causes no render.
func TestUnpopularPagesAreNotRefilled(t *testing.T) {
	t.Parallel()
	h := newFillSite(t, 1, 1)
	h.popular("/photos/ansel")
	get(t, h.edges[0], "/photos/edward")
	renders := h.renders.Load()
	h.change("user.edward", 1, false)
	h.change("user.nobody", 1, false)
	h.change("user.ansel", 1, false) // the edge learns it after the others
	h.shows(page.User("ansel"), "version 1<")
	h.settle()
	if got := h.renders.Load() - renders; got != 1 {
		t.Errorf("%d renders, want 1", got)
	}
}

// TestDeletedPageIsFilledToo: after a popular page was deleted memcached gets its 404, and the page leaves the list.
func TestDeletedPageIsFilledToo(t *testing.T) {
	t.Parallel()
	h := newFillSite(t, 2, 1)
	h.popular("/photos/ansel")
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
	eventually(t, "a page that is not found leaves the list", func() bool {
		get(t, h.edges[0], "/photos/ansel")
		return !onList(h.storedList(), page.User("ansel"))
	})
}

// TestListingIsNotRefilledForEachChange: a page that depends on all users is refilled after changes, but seldom.
func TestListingIsNotRefilledForEachChange(t *testing.T) {
	t.Parallel()
	h := newFillSite(t, 1, 1)
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
	const changes, gap = 40, 200 * time.Millisecond // see popularity.minGapList
	began := time.Now()
	h.popular("/")
	before := h.refills()
	for version := int64(1); version <= changes; version++ {
		h.change("user.ansel", version, false)
		knows(t, h.edges[0], "user.ansel", version)
	}
	if time.Since(began) > wire.ListingAge/2 {
		h.popular("/") // on a slow machine: only a page that was requested lately is refilled
	}
	h.shows(page.Home(), "version "+itoa(changes)+"<")
	sent, most := h.refills()-before, int(time.Since(began)/gap)+2
	if sent < 1 || sent > most {
		t.Errorf("%d refills in %v, want 1 to %d", sent, time.Since(began), most)
	}
}
