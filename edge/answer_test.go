package edge

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
)

func TestEncodings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	want := string(s.standard(page.User("ansel")).Body)
	for i, c := range []struct{ accept, encoding string }{
		{"gzip, deflate, br, zstd", "gzip"}, // just rendered: as it came
		{"gzip, deflate, br, zstd", "br"},   // asked for again: well
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
			t.Errorf("%d: %q gives %q, want %q", i, c.accept, got.header.Get("Content-Encoding"), c.encoding)
		}
		if plain := expand(t, got); plain != want {
			t.Errorf("%d: %q: %d bytes became %d", i, c.accept, len(want), len(plain))
		}
		if c.encoding != "" && len(got.body) >= len(want) {
			t.Errorf("%d: compressed to %d of %d bytes", i, len(got.body), len(want))
		}
	}
}

func TestAssetsAreCompressedWhereTheyAreMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	for accept, want := range map[string][2]string{"gzip, br": {"br", "br"}, "gzip": {"gzip", "gz"}, "identity": {"", ""}} {
		got := get(t, e, "/static/app.0123abcd.css", "Accept-Encoding", accept)
		body := got.body
		if want[0] == "gzip" {
			body = expand(t, got)
		}
		if got.header.Get("Content-Encoding") != want[0] || body != "body{} /* "+want[1]+" */" {
			t.Errorf("%s: %q %q", accept, got.header.Get("Content-Encoding"), got.body)
		}
		if got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("Cache-Control %q", got.header.Get("Cache-Control"))
		}
	}
}

func TestConditionalAndHead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	first := get(t, e, "/photos/ansel", "Accept-Encoding", "gzip")
	etag := first.header.Get("Etag")
	if first.header.Get("Cache-Control") != "max-age=0, must-revalidate" || etag == "" {
		t.Fatalf("headers %v", first.header)
	}
	for _, match := range []string{etag, strings.TrimPrefix(etag, "W/"), `"other", ` + etag, "*"} {
		if got := get(t, e, "/photos/ansel", "If-None-Match", match); got.status != http.StatusNotModified || got.body != "" || got.header.Get("Etag") == "" {
			t.Errorf("If-None-Match %s: %d, %d bytes", match, got.status, len(got.body))
		}
	}
	if got := get(t, e, "/photos/ansel", "If-None-Match", `"other"`); got.status != 200 {
		t.Errorf("status %d", got.status)
	}
	s.change("user.ansel", 2, false)
	eventually(t, "the edge knows", func() bool { return e.tracker.Scope("user.ansel").Newest() == 2 })
	if got := get(t, e, "/photos/ansel", "If-None-Match", etag); got.status != 200 {
		t.Errorf("a changed page: %d", got.status)
	}
	head := do(t, http.MethodHead, e, "/photos/ansel")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != itoa(int64(len(s.standard(page.User("ansel")).Body))) {
		t.Errorf("HEAD: %d, %d bytes, %v", head.status, len(head.body), head.header)
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	ref := page.Image("abcdefghijklmnopqrstuvwxyz", 1280)
	if got := get(t, e, ref.Path(), "Accept-Encoding", "gzip, br"); got.body != string(s.standard(ref).Body) || got.header.Get("Content-Encoding") != "" {
		t.Errorf("%d bytes, want %d", len(got.body), len(s.standard(ref).Body))
	}
}

// TestETags: a page has one ETag, a weak one since it goes by several forms, and whoever knows it in one form need not be sent another. What
// has but one form, such as a picture, has a strong one, and so has each form of an asset.
func TestETags(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	client := dial(t, e)
	ask := func(path string, headers ...string) answer {
		client.send(rawGet(path, headers...))
		return client.receive(http.MethodGet)
	}
	tags := map[string]bool{}
	for _, accept := range []string{"identity", "gzip", "br", "br"} {
		a := ask("/photos/ansel", "Accept-Encoding: "+accept)
		tags[a.header.Get("Etag")] = true
	}
	if len(tags) != 1 {
		t.Errorf("several: %v", tags)
	}
	for tag := range tags {
		if !strings.HasPrefix(tag, `W/"`) {
			t.Errorf("%s is strong", tag)
		}
		for _, known := range []string{tag, `"other", ` + tag, "*"} {
			for _, accept := range []string{"identity", "gzip", "br"} {
				for _, more := range []string{"X-Note: none", "X-Note: a\ttab"} {
					a := ask("/photos/ansel", "Accept-Encoding: "+accept, "If-None-Match: "+known, more)
					if a.status != http.StatusNotModified || a.header.Get("Etag") != tag || a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Content-Encoding") != "" {
						t.Errorf("%s for %s: %d %v", known, accept, a.status, a.header)
					}
				}
			}
		}
		for _, other := range []string{strings.Replace(tag, `"`, `"x`, 1), strings.TrimSuffix(tag, `"`) + `-br"`} {
			if a := ask("/photos/ansel", "If-None-Match: "+other); a.status != 200 {
				t.Errorf("%s: %d", other, a.status)
			}
		}
	}
	for _, path := range []string{page.Image("abcdefghijklmnopqrstuvwxyz", 320).Path(), "/static/app.0123abcd.css"} {
		if tag := ask(path, "Accept-Encoding: br").header.Get("Etag"); !strings.HasPrefix(tag, `"`) {
			t.Errorf("%s: %s is not strong", path, tag)
		}
	}
}

// TestSecurityHeaders: errors and redirects have those that pages have, whoever writes them.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	etag := get(t, e, "/photos/ansel").header.Get("Etag")
	names := []string{"Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Content-Type-Options"}
	want := get(t, e, "/photos/ansel").header
	for _, c := range []struct {
		say    string
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
		client := dial(t, e)
		client.send(c.say)
		method, _, _ := strings.Cut(c.say, " ")
		a, err := client.tryReceive(method)
		if err == nil && a.status == 200 && c.status != 200 { // the second
			a, err = client.tryReceive(method)
		}
		if a.status != c.status { // what comes after the header may be lost: it was not waited for
			t.Errorf("%.60q: %d, want %d, %v", c.say, a.status, c.status, err)
		}
		for _, name := range names {
			if got := a.header.Values(name); len(got) != 1 || got[0] != want.Get(name) {
				t.Errorf("%.60q: %s is %q", c.say, name, got)
			}
		}
		if a.status >= 400 && a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%.60q: Cache-Control is %q", c.say, a.header.Get("Cache-Control"))
		}
	}
	sorry := get(t, newSite(t).start(), "/nowhere") // no renderer has ever answered that edge
	for _, name := range names {
		if !strings.Contains(sorry.body, "Not Found") || sorry.header.Get(name) != want.Get(name) {
			t.Errorf("the apology %.40q: %s is %q", sorry.body, name, sorry.header.Get(name))
		}
	}
	if policy := want.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

// TestSlashes: a slash at the end is another spelling.
func TestSlashes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	client := dial(t, e)
	for path, to := range map[string]string{"/photos/ansel/": "/photos/ansel", "/album/1/": "/album/1", "/search/?q=a+b": "/search?q=a+b", "/search/?q=": "/search", "/about/": "/about"} {
		client.send(rawGet(path))
		if a := client.receive(http.MethodGet); a.status != 301 || a.header.Get("Location") != to || a.header.Get("Cache-Control") != "public, max-age=86400" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	client.send(rawGet("/photos//ansel"))
	if a := client.receive(http.MethodGet); a.status != 404 {
		t.Errorf("two slashes: %d", a.status)
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + e.Addr() + "/photos/ansel")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
	if got := delegated(t, e); got[fastpath.ReasonHTTP2] != 1 || len(got) != 1 {
		t.Errorf("%v delegated requests, want one by HTTP/2", got)
	}
}

func TestTakenAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lis, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if _, err := New(Config{Addr: lis.Addr().String(), NATS: s.nc}); err == nil || !strings.Contains(err.Error(), lis.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// discard is a ResponseWriter that keeps only headers.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }
func (d *discard) WriteHeader(int)             { clear(d.header) }

// BenchmarkNearHit is the hot path without net/http's own work.
func BenchmarkNearHit(b *testing.B) {
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
		e.http.Handler.ServeHTTP(w, r)
	}
	if w.n == 0 {
		b.Fatal("nothing was answered")
	}
}

// TestEncodingOfAnswers: an asset, a rendered page and one of the in-process cache have the encoding that was asked for, by
// the fast path and by net/http.
func TestEncodingOfAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	client := dial(t, e)
	for i, path := range []string{"/static/app.0123abcd.css", "/photos/ansel", "/photos/ansel"} {
		for accept, want := range map[string]string{"gzip;q=0.9, br;q=0.1": "gzip", "identity, *;q=0.5": "", "identity;q=0, gzip": "gzip"} {
			for _, more := range []string{"DNT: 1", "X-Note: a\ttab"} {
				client.send(rawGet(path, "Accept-Encoding: "+accept, more))
				a := client.receive(http.MethodGet)
				if got := a.header.Get("Content-Encoding"); got != want {
					t.Errorf("%d: %s for %q: %q, want %q", i, path, accept, got, want)
				}
			}
		}
	}
}
