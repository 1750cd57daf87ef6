package edge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// TestEncodings: a client gets the encoding that it prefers, of those that the edge has. A page from memory has brotli.
func TestEncodings(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		want := string(s.standard(page.User("ansel")).Body)
		for i, c := range []struct{ accept, encoding string }{
			{"gzip, deflate, br, zstd", "gzip"}, // just rendered: as the renderer sent it
			{"gzip, deflate, br, zstd", "br"},   // from memory: worth brotli
			{"gzip, zstd", "gzip"},
			{"zstd", ""},
			{"gzip", "gzip"},
			{"br;q=0, gzip;q=0.5", "gzip"},
			{"identity", ""},
			{"*", "br"},
			{"gzip;q=0", ""},
			{"", ""},
		} {
			got := get(t, e, "/photos/ansel", "Accept-Encoding", c.accept)
			if got.header.Get("Content-Encoding") != c.encoding || got.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("request %d: Accept-Encoding %q: %q, want %q",
					i, c.accept, got.header.Get("Content-Encoding"), c.encoding)
			}
			if plain := expand(t, got); plain != want {
				t.Errorf("request %d: Accept-Encoding %q: the body has %d bytes, want %d",
					i, c.accept, len(plain), len(want))
			}
			if c.encoding != "" && len(got.body) >= len(want) {
				t.Errorf("request %d: %d bytes of %d are not compressed", i, len(got.body), len(want))
			}
		}
	})
}

// TestAssetsAreCompressedByRenderers: an edge requests the compressed file of an asset and does not compress it.
func TestAssetsAreCompressedByRenderers(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		for accept, want := range map[string]struct{ encoding, file string }{
			"gzip, br": {"br", "br"}, "gzip": {"gzip", "gz"}, "identity": {"", ""},
		} {
			t.Run(accept, func(t *testing.T) {
				got := get(t, e, "/static/app.0123abcd.css", "Accept-Encoding", accept)
				body := got.body
				if want.encoding == "gzip" {
					body = expand(t, got)
				}
				if got.header.Get("Content-Encoding") != want.encoding || body != "body{} /* "+want.file+" */" {
					t.Errorf("%q, body %q", got.header.Get("Content-Encoding"), got.body)
				}
				if got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
					t.Errorf("Cache-Control %q", got.header.Get("Cache-Control"))
				}
			})
		}
	})
}

// TestConditionalAndHead: If-None-Match spares a client a body that it has, until the page changes; HEAD sends none.
func TestConditionalAndHead(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		first := get(t, e, "/photos/ansel", "Accept-Encoding", "gzip")
		etag := first.header.Get("Etag")
		if first.header.Get("Cache-Control") != "max-age=0, must-revalidate" || etag == "" {
			t.Fatalf("headers %v", first.header)
		}
		for _, match := range []string{etag, strings.TrimPrefix(etag, "W/"), `"other", ` + etag, "*"} {
			t.Run("If-None-Match "+match, func(t *testing.T) {
				got := get(t, e, "/photos/ansel", "If-None-Match", match)
				if got.status != http.StatusNotModified || got.body != "" || got.header.Get("Etag") == "" {
					t.Errorf("status %d, %d bytes", got.status, len(got.body))
				}
			})
		}
		if got := get(t, e, "/photos/ansel", "If-None-Match", `"other"`); got.status != 200 {
			t.Errorf("status %d", got.status)
		}
		s.change("user.ansel", 2, false)
		knows(t, e, "user.ansel", 2)
		if got := get(t, e, "/photos/ansel", "If-None-Match", etag); got.status != 200 {
			t.Errorf("a changed page: status %d", got.status)
		}
		head := do(t, http.MethodHead, e, "/photos/ansel")
		length := itoa(int64(len(s.standard(page.User("ansel")).Body)))
		if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != length {
			t.Errorf("HEAD: status %d, %d bytes, %v", head.status, len(head.body), head.header)
		}
	})
}

// TestLargeBodies: a picture, which is written in several chunks, arrives complete and uncompressed.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		ref := page.Image("abcdefghijklmnopqrstuvwxyz", 1280)
		got := get(t, e, ref.Path(), "Accept-Encoding", "gzip, br")
		if got.body != string(s.standard(ref).Body) || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%d bytes, want %d; Content-Encoding %q",
				len(got.body), len(s.standard(ref).Body), got.header.Get("Content-Encoding"))
		}
	})
}

// TestETags: all encodings of a page have the same weak ETag, so a client that has one of them gets a 304 for any. A
// picture, and each compressed file of an asset, has a strong ETag.
func TestETags(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		client := dial(t, e)
		request := func(path string, fields ...string) answer {
			client.send(rawGet(path, fields...))
			return client.receive(http.MethodGet)
		}
		tags := map[string]bool{}
		for _, accept := range []string{"identity", "gzip", "br", "br"} {
			a := request("/photos/ansel", "Accept-Encoding: "+accept)
			tags[a.header.Get("Etag")] = true
		}
		if len(tags) != 1 {
			t.Errorf("several ETags: %v", tags)
		}
		for tag := range tags {
			if !strings.HasPrefix(tag, `W/"`) {
				t.Errorf("ETag %s is strong", tag)
			}
			for _, known := range []string{tag, `"other", ` + tag, "*"} {
				for _, accept := range []string{"identity", "gzip", "br"} {
					for _, more := range []string{"X-Note: none", "X-Note: a\ttab"} {
						a := request("/photos/ansel", "Accept-Encoding: "+accept, "If-None-Match: "+known, more)
						if a.status != http.StatusNotModified || a.header.Get("Etag") != tag ||
							a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Content-Encoding") != "" {
							t.Errorf("If-None-Match %s, Accept-Encoding %s: %d %v", known, accept, a.status, a.header)
						}
					}
				}
			}
			for _, other := range []string{strings.Replace(tag, `"`, `"x`, 1), strings.TrimSuffix(tag, `"`) + `-br"`} {
				if a := request("/photos/ansel", "If-None-Match: "+other); a.status != 200 {
					t.Errorf("If-None-Match %s: status %d", other, a.status)
				}
			}
		}
		picture := page.Image("abcdefghijklmnopqrstuvwxyz", 320)
		for _, path := range []string{picture.Path(), "/static/app.0123abcd.css"} {
			if tag := request(path, "Accept-Encoding: br").header.Get("Etag"); !strings.HasPrefix(tag, `"`) {
				t.Errorf("%s: ETag %s is not strong", path, tag)
			}
		}
	})
}

// TestSecurityHeaders: errors and redirects have the security headers of pages, also those that net/http answers by
// itself.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		etag := get(t, e, "/photos/ansel").header.Get("Etag")
		names := []string{
			"Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Content-Type-Options",
		}
		want := get(t, e, "/photos/ansel").header
		for _, c := range []struct {
			send   string
			status int
		}{
			{rawGet("/photos/ansel"), 200},
			{rawGet("/photos/ansel/feed"), 200},
			{rawGet("/photos/ansel", "If-None-Match: "+etag), 304},
			{rawGet("/photos/Ansel"), 301},
			{rawGet("/photos/ansel/"), 301},
			{rawGet("/nowhere"), 404},
			{"HEAD /nowhere HTTP/1.1\r\nHost: killr\r\n\r\n", 404},
			{rawGet("/tag/%ff"), 400},
			{rawGet("/" + strings.Repeat("a", page.MaxTarget)), 414},
			{"POST / HTTP/1.1\r\nHost: killr\r\nContent-Length: 0\r\n\r\n", 405},
			{"OPTIONS * HTTP/1.1\r\nHost: killr\r\n\r\n", 405},
			{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
			{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
			{"GET / HTTP/1.1\r\n\r\n", 400},
			{"GET / HTTP/3.0\r\nHost: killr\r\n\r\n", 505},
			{rawGet("/", "Transfer-Encoding: x"), 501},
			{rawGet("/", "Expect: x"), 417},
			{rawGet("/", "X-Note: "+strings.Repeat("a", 20<<10)), 431},
			{rawGet("/photos/ansel") + "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		} {
			t.Run(fmt.Sprintf("%.30q %d", c.send, c.status), func(t *testing.T) {
				client := dial(t, e)
				client.send(c.send)
				method, _, _ := strings.Cut(c.send, " ")
				a, err := client.tryReceive(method)
				if err == nil && a.status == 200 && c.status != 200 { // the second answer of a pipelined request
					a, err = client.tryReceive(method)
				}
				if a.status != c.status { // err is no failure: the edge may close the connection before all is sent
					t.Errorf("status %d, want %d, %v", a.status, c.status, err)
				}
				for _, name := range names {
					if got := a.header.Values(name); len(got) != 1 || got[0] != want.Get(name) {
						t.Errorf("%s is %q", name, got)
					}
				}
				if a.status >= 400 && a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("Cache-Control is %q", a.header.Get("Cache-Control"))
				}
			})
		}
		apology := get(t, newSite(t).start(onPath), "/nowhere") // no renderer has ever replied to that edge
		for _, name := range names {
			if !strings.Contains(apology.body, "Not Found") || apology.header.Get(name) != want.Get(name) {
				t.Errorf("the apology %.40q: %s is %q", apology.body, name, apology.header.Get(name))
			}
		}
		for name, value := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; " +
				"connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "strict-origin-when-cross-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := want.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
	})
}

// TestSlashes: a path with a slash at its end is redirected to the path without it.
func TestSlashes(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		client := dial(t, e)
		for path, to := range map[string]string{
			"/photos/ansel/": "/photos/ansel", "/album/1/": "/album/1", "/search/?q=a+b": "/search?q=a+b",
			"/search/?q=": "/search", "/about/": "/about",
		} {
			t.Run(path, func(t *testing.T) {
				client.send(rawGet(path))
				a := client.receive(http.MethodGet)
				if a.status != 301 || a.header.Get("Location") != to ||
					a.header.Get("Cache-Control") != "public, max-age=86400" {
					t.Errorf("status %d, header %v", a.status, a.header)
				}
			})
		}
		client.send(rawGet("/photos//ansel"))
		if a := client.receive(http.MethodGet); a.status != 404 {
			t.Errorf("two slashes in the middle: status %d", a.status)
		}
	})
}

// discard is a ResponseWriter that counts the bytes of bodies and drops them.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }
func (d *discard) WriteHeader(int)             { clear(d.header) }

// BenchmarkMemoryHit answers a page from the in-process cache by the handler, without net/http's own work.
func BenchmarkMemoryHit(b *testing.B) {
	s := newSite(b)
	s.renderer()
	e := s.edge()
	for range 3 {
		get(b, e, "/photos/ansel", "Accept-Encoding", "gzip, br")
	}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/photos/ansel", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		e.ServeHTTP(w, r)
	}
	if w.n == 0 {
		b.Fatal("nothing was answered")
	}
}

// TestEncodingOfAnswers: an asset, a rendered page and a page from memory have the encoding with the highest weight, of
// fast requests and of others.
func TestEncodingOfAnswers(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		e := s.edge(onPath)
		client := dial(t, e)
		for i, path := range []string{"/static/app.0123abcd.css", "/photos/ansel", "/photos/ansel"} {
			for accept, want := range map[string]string{
				"gzip;q=0.9, br;q=0.1": "gzip", "identity, *;q=0.5": "", "identity;q=0, gzip": "gzip",
			} {
				for _, more := range []string{"DNT: 1", "X-Note: a\ttab"} {
					client.send(rawGet(path, "Accept-Encoding: "+accept, more))
					a := client.receive(http.MethodGet)
					if got := a.header.Get("Content-Encoding"); got != want {
						t.Errorf("request %d: %s, Accept-Encoding %q: %q, want %q", i, path, accept, got, want)
					}
				}
			}
		}
	})
}
