package edge

import (
	"bytes"
	"fmt"
	"log/slog"
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
	r.Key = ref.Key()
	p.set(ref, r.Encode())
}

// set makes memcached hold any bytes as the item of ref.
func (p *compressedSite) set(ref page.Ref, value []byte) {
	p.t.Helper()
	if err := p.cache.Set(&memcache.Item{Key: ref.Key(), Value: value}); err != nil {
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

// TestCorruptItems: an item with a flipped byte anywhere, or with another page, is a miss, counted and logged, for
// every visitor, whatever they accept. It is replaced when the page is rendered again.
func TestCorruptItems(t *testing.T) {
	t.Parallel()
	p := newCompressedSite(t)
	said := testenv.NewOutput()
	e := p.edge(withMemcached(p.addr), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(said, nil)) })
	packed := func(ref page.Ref) *wire.Reply {
		r := p.standard(ref)
		p.compress(r)
		return r
	}
	flip := func(at func(n int) int) func(page.Ref) []byte {
		return func(ref page.Ref) []byte {
			r := packed(ref)
			r.Key = ref.Key()
			b := r.Encode()
			b[at(len(b))] ^= 1
			return b
		}
	}
	users := 0
	for name, item := range map[string]func(page.Ref) []byte{
		"a byte of the header":     flip(func(int) int { return 9 }),
		"a byte of the body":       flip(func(n int) int { return n - 40 }),
		"a byte of gzip's own sum": flip(func(n int) int { return n - 8 }),
		"cut short": func(ref page.Ref) []byte {
			b := flip(func(int) int { return 0 })(ref)
			return b[:len(b)/2]
		},
		"another page's": func(page.Ref) []byte {
			r := packed(page.User("dorothea"))
			r.Key = page.User("dorothea").Key()
			return r.Encode()
		},
	} {
		for _, accept := range []string{"identity", "gzip", "gzip, br"} {
			corrupt := e.metrics.lookups.WithLabelValues(p.addr, "corrupt")
			before := count(t, corrupt)
			var ref page.Ref
			eventually(t, name+" is counted", func() bool { // a slow look-up is a miss too
				users++
				ref = page.User("user" + itoa(int64(users)))
				p.set(ref, item(ref))
				got := get(t, e, ref.Path(), "Accept-Encoding", accept)
				if got.status != 200 || got.tier() != "render" || expand(t, got) != string(p.standard(ref).Body) {
					t.Errorf("%s, Accept-Encoding %q: status %d from %s, %q, %d bytes", name, accept,
						got.status, got.tier(), got.header.Get("Content-Encoding"), len(got.body))
				}
				return count(t, corrupt) > before
			})
			if _, ok := said.Line("level=WARN", "corrupt item", "key="+ref.Key()+" err="); !ok {
				t.Errorf("%s, Accept-Encoding %q: no line of the log names %s", name, accept, ref.Key())
			}
		}
	}
}

// TestReplyThatCannotBeUnpacked: the checksum of a renderer's reply is right, but its gzip body is broken. A client
// that takes no gzip gets an error.
func TestReplyThatCannotBeUnpacked(t *testing.T) {
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
	get(t, e, "/photos/ansel", "Accept-Encoding", "gzip")
	for _, accept := range []string{"identity", "br"} {
		if got := get(t, e, "/photos/ansel", "Accept-Encoding", accept); got.status != 500 {
			t.Errorf("Accept-Encoding %s: status %d", accept, got.status)
		}
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
			reply.Key = ref.Key()
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
				e.ServeHTTP(w, r)
			}
			b.ReportMetric((count(b, hits)-before)/float64(b.N), "hits/op")
		})
	}
}
