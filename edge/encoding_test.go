package edge

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAskedForAsTheVisitorCanUseIt: packed for who takes gzip, so that nobody packs what is then unpacked. An edge asks for its error pages
// plain.
func TestAskedForAsTheVisitorCanUseIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	asked := make(chan string, 1)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if accept := m.Header.Get(wire.HeaderAccept); ref.Kind() == page.KindUser {
			asked <- accept
		} else if accept != "" {
			t.Errorf("%s is asked for in %s", ref, accept)
		}
		return s.standard(ref)
	})
	e := s.edge(func(c *Config) { c.MemoryBytes = -1 })
	for accept, want := range map[string]string{"gzip, deflate, br": "gzip", "*": "gzip", "br": "", "gzip;q=0, br": "", "identity": "", "": ""} {
		get(t, e, "/photos/ansel", "Accept-Encoding", accept)
		if got := <-asked; got != want {
			t.Errorf("Accept-Encoding %q becomes %q on the bus, want %q", accept, got, want)
		}
	}
}

// TestSharedFetchServesEveryForm: whoever leads it.
func TestSharedFetchServesEveryForm(t *testing.T) {
	t.Parallel()
	for _, leader := range []string{"gzip", "identity"} {
		t.Run(leader, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.renderer()
			release := s.blockUsers()
			e := s.edge()
			e.renderers.delays[page.KindUser].set(time.Minute) // no hedge
			want := string(s.standard(page.User("ansel")).Body)
			var all sync.WaitGroup
			ask := func(accept, encoding string) {
				all.Go(func() {
					got := get(t, e, "/photos/ansel", "Accept-Encoding", accept)
					if got.status != 200 || got.tier() != "render" || got.header.Get("Content-Encoding") != encoding || expand(t, got) != want {
						t.Errorf("%s: %d from %s, %q, %d bytes", accept, got.status, got.tier(), got.header.Get("Content-Encoding"), len(got.body))
					}
				})
			}
			ask(leader, map[string]string{"gzip": "gzip"}[leader])
			eventually(t, "the first waits", func() bool { return waiting(e) == 1 })
			for range 4 {
				ask("gzip, br", "gzip")
				ask("identity", "")
			}
			eventually(t, "all wait", func() bool { return waiting(e) == 9 })
			close(release)
			all.Wait()
			if n := s.renders.Load(); n != 1 {
				t.Errorf("%d renders", n)
			}
		})
	}
}

// TestOldRenderer: one that does not know the header sends what it always did, and the edge packs it.
func TestOldRenderer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.old.Store(true)
	e := s.edge()
	for i, encoding := range []string{"gzip", "br"} {
		got := get(t, e, "/photos/ansel", "Accept-Encoding", "gzip, br")
		if got.header.Get("Content-Encoding") != encoding || expand(t, got) != string(s.standard(page.User("ansel")).Body) {
			t.Errorf("%d: %q, %d bytes", i, got.header.Get("Content-Encoding"), len(got.body))
		}
	}
}

// compressedSite has a memcached that a test writes.
type compressedSite struct {
	*site
	addr  string
	cache *memcache.Client
}

func newCompressedSite(t *testing.T) *compressedSite {
	p := &compressedSite{site: newSite(t), addr: testenv.Memcached(t)}
	p.renderer()
	p.cache = memcache.New(p.addr)
	p.cache.Timeout = 10 * time.Second
	t.Cleanup(func() { _ = p.cache.Close() })
	return p
}

func (p *compressedSite) store(ref page.Ref, r *wire.Reply) {
	p.t.Helper()
	if err := p.cache.Set(&memcache.Item{Key: ref.Key(), Value: r.Encode()}); err != nil {
		p.t.Fatal(err)
	}
}

// fromMemcached asks until the answer comes from there: a memcached that takes its time is a miss.
func (p *compressedSite) fromMemcached(e *Server, path string, headers ...string) (got answer) {
	p.t.Helper()
	eventually(p.t, path+" comes from memcached", func() bool {
		got = get(p.t, e, path, headers...)
		return got.tier() == "memcached"
	})
	return got
}

// TestItemsInMemcached: those that a cachefill stores now go out as they lie there, and those of before it asked for packed ones still do.
func TestItemsInMemcached(t *testing.T) {
	t.Parallel()
	p := newCompressedSite(t)
	e := p.edge(withMemcached(p.addr), func(c *Config) { c.MemoryBytes = -1 })
	old, packed := page.User("ansel"), page.User("edward")
	plain := p.standard(packed).Body
	r := p.standard(packed)
	p.compress(r)
	p.store(packed, r)
	p.store(old, p.standard(old))
	if got := p.fromMemcached(e, packed.Path(), "Accept-Encoding", "gzip, br"); got.body != string(r.Body) || got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %q: not as they lie there", len(got.body), got.header.Get("Content-Encoding"))
	}
	for _, ref := range []page.Ref{old, packed} {
		etag := p.standard(ref).ETag
		for accept, encoding := range map[string]string{"gzip, br, zstd": "gzip", "gzip": "gzip", "br": "", "identity": ""} {
			got := p.fromMemcached(e, ref.Path(), "Accept-Encoding", accept)
			h, wantTag := got.header, `W/"`+etag+`"` // the same for all forms
			if h.Get("Content-Encoding") != encoding || h.Get("Etag") != wantTag || h.Get("Vary") != "Accept-Encoding" || expand(t, got) != string(p.standard(ref).Body) {
				t.Errorf("%s for %q: %v", ref, accept, h)
			}
			head := do(t, http.MethodHead, e, ref.Path(), "Accept-Encoding", accept)
			if head.status != 200 || head.header.Get("Content-Length") != itoa(int64(len(got.body))) || head.header.Get("Etag") != wantTag || head.body != "" {
				t.Errorf("HEAD %s for %q: %d %v", ref, accept, head.status, head.header)
			}
			for _, known := range []string{`"` + etag + `"`, wantTag} {
				if got := get(t, e, ref.Path(), "Accept-Encoding", accept, "If-None-Match", known); got.status != http.StatusNotModified || got.body != "" || got.header.Get("Etag") != wantTag {
					t.Errorf("%s for %q with %s: %d %v", ref, accept, known, got.status, got.header)
				}
			}
		}
	}
	if len(plain) <= len(r.Body) {
		t.Fatal("nothing was packed")
	}
}

// TestItemsThatCannotBeUnpacked are misses: at once for who needs them unpacked and when either end tells, else from when somebody near has
// found out. A note says that memcached needs another.
func TestItemsThatCannotBeUnpacked(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func([]byte){
		"inside":     func(b []byte) { b[len(b)/2] ^= 0xff },
		"its sum":    func(b []byte) { b[len(b)-8] ^= 1 },
		"its length": func(b []byte) { b[len(b)-3]++ },
		"too large":  func(b []byte) { copy(b[len(b)-4:], []byte{0, 0, 0, 1}) }, // 16 MiB
		"its head":   func(b []byte) { b[0] = '<' },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newCompressedSite(t)
			e := p.edge(withMemcached(p.addr))
			notes := make(chan *nats.Msg, 64)
			sub, err := p.nc.ChanSubscribe(wire.SubjectFills, notes)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Unsubscribe()
			if err := p.nc.Flush(); err != nil {
				t.Fatal(err)
			}
			read := time.Now()
			spoilt := func(ref page.Ref) {
				r := p.standard(ref)
				r.ReadAt = read
				p.compress(r)
				spoil(r.Body)
				p.store(ref, r)
			}
			right := func(ref page.Ref, accept, tier string) {
				t.Helper()
				got := get(t, e, ref.Path(), "Accept-Encoding", accept)
				if got.status != 200 || got.tier() != tier || expand(t, got) != string(p.standard(ref).Body) {
					t.Errorf("%s for %q: %d from %s, %q, %d bytes", ref, accept, got.status, got.tier(), got.header.Get("Content-Encoding"), len(got.body))
				}
			}
			users := int64(0)
			another := func() page.Ref { users++; return page.User("user" + itoa(users)) }
			var ansel, edward page.Ref
			ends := name == "too large" || name == "its head" // told by an end: the item is no envelope
			eventually(t, "a note says so", func() bool {     // a memcached that takes its time is a miss too
				ansel = another()
				spoilt(ansel)
				right(ansel, "identity", "render")
				right(ansel, "gzip, br", "near")
				return len(notes) > 0 || ends
			})
			if !ends {
				note := <-notes
				if at, ok := wire.ParseTime(note.Header.Get(wire.HeaderReadAt)); note.Subject != wire.FillSubject(ansel) || !ok || !at.After(read.Truncate(time.Microsecond)) {
					t.Errorf("note %s %v", note.Subject, note.Header)
				}
			}

			// Who takes it as it is keeps it near, for the next, who wants another form and asks for one that is whole.
			edward = another()
			spoilt(edward)
			if ends {
				right(edward, "gzip", "render")
				right(edward, "gzip, br", "near")
				return
			}
			eventually(t, "it comes from memcached", func() bool {
				edward = another()
				spoilt(edward)
				return get(t, e, edward.Path(), "Accept-Encoding", "gzip").tier() == "memcached"
			})
			right(edward, "gzip, br", "render")
			for _, accept := range []string{"gzip, br", "gzip", "identity"} {
				right(edward, accept, "near")
			}
		})
	}
}

// TestBrokenReplyIsAskedForAgain: what a renderer packed wrongly is had plain by who cannot use it.
func TestBrokenReplyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		if m.Header.Get(wire.HeaderAccept) != "" && ref.Kind() == page.KindUser {
			s.compress(r)
			r.Body[len(r.Body)/2] ^= 0xff
		}
		return r
	})
	e := s.edge()
	for _, accept := range []string{"identity", "br, gzip"} {
		path := "/photos/" + accept[:2]
		want := string(s.standard(page.User(accept[:2])).Body)
		get(t, e, path, "Accept-Encoding", "gzip")
		for i, tier := range []string{"render", "near"} {
			if got := get(t, e, path, "Accept-Encoding", accept); got.status != 200 || got.tier() != tier || expand(t, got) != want {
				t.Errorf("%s, %d: %d from %s", accept, i, got.status, got.tier())
			}
		}
	}
}

// TestErrorPagesOutOfMemcached: they are sent plain, in whatever form they lie there.
func TestErrorPagesOutOfMemcached(t *testing.T) {
	t.Parallel()
	p := newCompressedSite(t)
	body := []byte("<h1>error 404</h1>" + strings.Repeat("<p>nothing here</p>", 100))
	first := p.edge(withMemcached(p.addr))
	r := p.standard(page.Error(http.StatusNotFound))
	r.Body = bytes.Clone(body)
	p.compress(r)
	p.store(page.Error(http.StatusNotFound), r)
	eventually(t, "the page comes from memcached", func() bool { // which may take its time
		first.errs.renew(t.Context())
		return get(t, first, "/nowhere").body == string(body)
	})
	if got := get(t, first, "/nowhere", "Accept-Encoding", "gzip, br"); got.status != 404 || got.body != string(body) || got.header.Get("Content-Encoding") != "" {
		t.Errorf("%d, %q, %d bytes", got.status, got.header.Get("Content-Encoding"), len(got.body))
	}
}

// BenchmarkMemcachedHit is a hit in memcached without net/http's own work, of a page that a cachefill of now stored, and of one of before
// they were packed.
func BenchmarkMemcachedHit(b *testing.B) {
	for name, pack := range map[string]bool{"packed": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b)
			s.renderer()
			addr := testenv.Memcached(b)
			cache := memcache.New(addr)
			defer cache.Close()
			e := s.edge(withMemcached(addr), func(c *Config) { c.MemoryBytes = -1 })
			ref := page.User("ansel")
			reply := s.standard(ref)
			reply.Body = bytes.Repeat([]byte(`<a class="r150" href="/photo/123"><img src="/img/abc/320.jpg" alt="Low tide"></a>`), 300)
			if pack {
				s.compress(reply)
			}
			if err := cache.Set(&memcache.Item{Key: ref.Key(), Value: reply.Encode()}); err != nil {
				b.Fatal(err)
			}
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, ref.Path(), nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
			w := &discard{header: http.Header{}}
			hits := e.metrics.lookups.WithLabelValues(addr, "hit")
			before := count(b, hits)
			b.ReportAllocs()
			for b.Loop() {
				e.http.Handler.ServeHTTP(w, r)
			}
			b.ReportMetric((count(b, hits)-before)/float64(b.N), "hits/op")
		})
	}
}
