package edge

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestRequestedEncoding: an edge requests a page compressed if the client accepts gzip, and error pages always plain.
func TestRequestedEncoding(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	requested := make(chan string, 1)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if accept := m.Header.Get(wire.HeaderAccept); ref.Kind() == page.KindUser {
			requested <- accept
		} else if accept != "" {
			t.Errorf("%s is requested in %s", ref, accept)
		}
		return s.standard(ref)
	})
	e := s.edge(func(c *Config) { c.MemoryBytes = -1 })
	for accept, want := range map[string]string{
		"gzip, deflate, br": "gzip", "*": "gzip", "br": "", "gzip;q=0, br": "", "identity": "", "": "",
	} {
		t.Run(accept, func(t *testing.T) {
			get(t, e, "/photos/ansel", "Accept-Encoding", accept)
			if got := <-requested; got != want {
				t.Errorf("the page is requested in %q, want %q", got, want)
			}
		})
	}
}

// TestSharedFetchServesEveryEncoding: clients that share a fetch get the encoding that they accept, whichever client
// began it.
func TestSharedFetchServesEveryEncoding(t *testing.T) {
	t.Parallel()
	for _, leader := range []string{"gzip", "identity"} {
		t.Run(leader, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.renderer()
			release := s.blockUsers()
			e := s.edge()
			e.pages.renderers.delays[page.KindUser].set(time.Minute) // no hedge
			want := string(s.standard(page.User("ansel")).Body)
			var all sync.WaitGroup
			request := func(accept, encoding string) {
				all.Go(func() {
					got := get(t, e, "/photos/ansel", "Accept-Encoding", accept)
					if got.status != 200 || got.tier() != "render" ||
						got.header.Get("Content-Encoding") != encoding || expand(t, got) != want {
						t.Errorf("Accept-Encoding %q: status %d from %s, %q, %d bytes", accept,
							got.status, got.tier(), got.header.Get("Content-Encoding"), len(got.body))
					}
				})
			}
			request(leader, map[string]string{"gzip": "gzip"}[leader])
			eventually(t, "the first request waits", func() bool { return waiting(e) == 1 })
			for range 4 {
				request("gzip, br", "gzip")
				request("identity", "")
			}
			eventually(t, "all requests wait", func() bool { return waiting(e) == 9 })
			close(release)
			all.Wait()
			if n := s.renders.Load(); n != 1 {
				t.Errorf("%d renders, want 1", n)
			}
		})
	}
}

// TestOldRenderer: a renderer of the previous release does not compress; then the edge does.
func TestOldRenderer(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		s.old.Store(true)
		e := s.edge(onPath)
		for i, encoding := range []string{"gzip", "br"} {
			got := get(t, e, "/photos/ansel", "Accept-Encoding", "gzip, br")
			want := string(s.standard(page.User("ansel")).Body)
			if got.header.Get("Content-Encoding") != encoding || expand(t, got) != want {
				t.Errorf("request %d: %q, %d bytes", i, got.header.Get("Content-Encoding"), len(got.body))
			}
		}
	})
}

// compressedSite is a site with a memcached that the test writes.
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

// fromMemcached requests a path until memcached has it. A slow look-up is a miss, so one request may not be enough.
func (p *compressedSite) fromMemcached(e *Server, path string, headers ...string) (got answer) {
	p.t.Helper()
	eventually(p.t, path+" comes from memcached", func() bool {
		got = get(p.t, e, path, headers...)
		return got.tier() == "memcached"
	})
	return got
}

// TestItemsInMemcached: an edge sends compressed items as they are, and can also read the plain items of the previous
// release.
func TestItemsInMemcached(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		p := newCompressedSite(t)
		e := p.edge(onPath, withMemcached(p.addr), func(c *Config) { c.MemoryBytes = -1 })
		old, compressed := page.User("ansel"), page.User("edward")
		plain := p.standard(compressed).Body
		r := p.standard(compressed)
		p.compress(r)
		p.store(compressed, r)
		p.store(old, p.standard(old))
		got := p.fromMemcached(e, compressed.Path(), "Accept-Encoding", "gzip, br")
		if got.body != string(r.Body) || got.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%d bytes, %q: not the item of %d bytes",
				len(got.body), got.header.Get("Content-Encoding"), len(r.Body))
		}
		for _, ref := range []page.Ref{old, compressed} {
			etag := p.standard(ref).ETag
			wantTag := `W/"` + etag + `"` // the same for all encodings
			for accept, encoding := range map[string]string{
				"gzip, br, zstd": "gzip", "gzip": "gzip", "br": "", "identity": "",
			} {
				t.Run(fmt.Sprint(ref, " ", accept), func(t *testing.T) {
					got := p.fromMemcached(e, ref.Path(), "Accept-Encoding", accept)
					h := got.header
					if h.Get("Content-Encoding") != encoding || h.Get("Etag") != wantTag ||
						h.Get("Vary") != "Accept-Encoding" || expand(t, got) != string(p.standard(ref).Body) {
						t.Errorf("header %v, %d bytes", h, len(got.body))
					}
					head := do(t, http.MethodHead, e, ref.Path(), "Accept-Encoding", accept)
					if head.status != 200 || head.header.Get("Content-Length") != itoa(int64(len(got.body))) ||
						head.header.Get("Etag") != wantTag || head.body != "" {
						t.Errorf("HEAD: status %d, header %v", head.status, head.header)
					}
					for _, known := range []string{`"` + etag + `"`, wantTag} {
						got := get(t, e, ref.Path(), "Accept-Encoding", accept, "If-None-Match", known)
						if got.status != http.StatusNotModified || got.body != "" || got.header.Get("Etag") != wantTag {
							t.Errorf("If-None-Match %s: status %d, header %v", known, got.status, got.header)
						}
					}
				})
			}
		}
		if len(plain) <= len(r.Body) {
			t.Fatal("the compressed item is no smaller than the plain one")
		}
	})
}

// TestCorruptItems: a corrupt item is a miss as soon as the edge notices. It notices a corrupt gzip header or an
// impossible length when it reads the item, anything else when it decompresses the body for a client that needs that.
// Then it sends a fill note, which has memcached store another item.
func TestCorruptItems(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func([]byte){
		"inside":       func(b []byte) { b[len(b)/2] ^= 0xff },
		"its checksum": func(b []byte) { b[len(b)-8] ^= 1 },
		"its length":   func(b []byte) { b[len(b)-3]++ },
		"too large":    func(b []byte) { copy(b[len(b)-4:], []byte{0, 0, 0, 1}) }, // 16 MiB
		"its header":   func(b []byte) { b[0] = '<' },
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
			storeCorrupt := func(ref page.Ref) {
				r := p.standard(ref)
				r.ReadAt = read
				p.compress(r)
				corrupt(r.Body)
				p.store(ref, r)
			}
			expect := func(ref page.Ref, accept, tier string) {
				t.Helper()
				got := get(t, e, ref.Path(), "Accept-Encoding", accept)
				if got.status != 200 || got.tier() != tier || expand(t, got) != string(p.standard(ref).Body) {
					t.Errorf("%s, Accept-Encoding %q: status %d from %s, %q, %d bytes", ref, accept,
						got.status, got.tier(), got.header.Get("Content-Encoding"), len(got.body))
				}
			}
			users := int64(0)
			another := func() page.Ref { users++; return page.User("user" + itoa(users)) }
			var ansel, edward page.Ref
			atOnce := name == "too large" || name == "its header"
			eventually(t, "the edge sends a fill note", func() bool { // a slow look-up is a miss too, and sends none
				ansel = another()
				storeCorrupt(ansel)
				expect(ansel, "identity", "render")
				expect(ansel, "gzip, br", "near")
				return len(notes) > 0 || atOnce
			})
			if !atOnce {
				note := <-notes
				at, ok := wire.ParseTime(note.Header.Get(wire.HeaderReadAt))
				if note.Subject != wire.FillSubject(ansel) || !ok || !at.After(read.Truncate(time.Microsecond)) {
					t.Errorf("note %s %v, want one for a page read after %v", note.Subject, note.Header, read)
				}
			}

			// A client that accepts gzip gets the corrupt body, and the edge keeps the page in memory. The first client
			// that needs another encoding has it replaced.
			edward = another()
			storeCorrupt(edward)
			if atOnce {
				expect(edward, "gzip", "render")
				expect(edward, "gzip, br", "near")
				return
			}
			eventually(t, "the page comes from memcached", func() bool {
				edward = another()
				storeCorrupt(edward)
				return get(t, e, edward.Path(), "Accept-Encoding", "gzip").tier() == "memcached"
			})
			expect(edward, "gzip, br", "render")
			for _, accept := range []string{"gzip, br", "gzip", "identity"} {
				expect(edward, accept, "near")
			}
		})
	}
}

// TestCorruptReplyIsRequestedAgain: when a renderer's compressed reply is corrupt, the edge requests the page again,
// plain.
func TestCorruptReplyIsRequestedAgain(t *testing.T) {
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
		t.Run(accept, func(t *testing.T) {
			ref := page.User(accept[:2])
			want := string(s.standard(ref).Body)
			get(t, e, ref.Path(), "Accept-Encoding", "gzip")
			for i, tier := range []string{"render", "near"} {
				got := get(t, e, ref.Path(), "Accept-Encoding", accept)
				if got.status != 200 || got.tier() != tier || expand(t, got) != want {
					t.Errorf("request %d: status %d from %s, want 200 from %s", i, got.status, got.tier(), tier)
				}
			}
		})
	}
}

// BenchmarkMemcachedHit answers a page from memcached by the handler, without net/http's own work. The item is
// compressed, or plain as one of the previous release.
func BenchmarkMemcachedHit(b *testing.B) {
	for name, compress := range map[string]bool{"compressed": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b)
			s.renderer()
			addr := testenv.Memcached(b)
			cache := memcache.New(addr)
			defer cache.Close()
			e := s.edge(withMemcached(addr), func(c *Config) { c.MemoryBytes = -1 })
			ref := page.User("ansel")
			reply := s.standard(ref)
			const photo = `<a class="r150" href="/photo/123"><img src="/img/abc/320.jpg" alt="Low tide"></a>`
			reply.Body = bytes.Repeat([]byte(photo), 300)
			if compress {
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
