package edge

import (
	"strings"
	"testing"

	"flickrkillr/edge/fastpath"
)

const fastPath, noFastPath = "fast path", "no fast path"

// bothPaths starts an edge with the fast path and one without it.
func (s *site) bothPaths() map[string]*Server {
	s.t.Helper()
	return map[string]*Server{
		fastPath:   s.edge(),
		noFastPath: s.edge(func(c *Config) { c.NoFastPath = true }),
	}
}

// eachPath runs a test of HTTP answers twice at the same time, for edges with the fast path and for edges without it:
// the answers are the same. onPath is an option for every edge of the test.
func eachPath(t *testing.T, test func(t *testing.T, onPath func(*Config))) {
	for name, off := range map[string]bool{fastPath: false, noFastPath: true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(c *Config) { c.NoFastPath = off })
		})
	}
}

// TestBothPathsGiveTheSameAnswers compares an edge with the fast path and one without it.
func TestBothPathsGiveTheSameAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	edges := s.bothPaths()
	etag := get(t, edges[fastPath], "/photos/ansel").header.Get("Etag")
	for name, c := range map[string]struct {
		send string
		fast bool // the fast path answers, where there is one
	}{
		"page":         {rawGet("/photos/ansel"), true},
		"gzip":         {rawGet("/photos/ansel", "Accept-Encoding: gzip"), true},
		"not modified": {rawGet("/photos/ansel", "If-None-Match: "+etag), true},
		"asset":        {rawGet("/static/app.0123abcd.css", "Accept-Encoding: br"), true},
		"redirect":     {rawGet("/photos/Ansel"), false},
		"not found":    {rawGet("/nowhere"), false},
		"HEAD":         {"HEAD /photos/ansel HTTP/1.1\r\nHost: killr\r\n\r\n", false},
		"POST":         {"POST /photos/ansel HTTP/1.1\r\nHost: killr\r\nContent-Length: 0\r\n\r\n", false},
		"two hosts":    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false},
		"version":      {"GET / HTTP/3.0\r\nHost: killr\r\n\r\n", false},
		"close":        {rawGet("/photos/ansel", "Connection: close"), false},
	} {
		t.Run(name, func(t *testing.T) {
			method, _, _ := strings.Cut(c.send, " ")
			request := func(path string) (a answer) {
				var before int
				for range 3 { // by the last request both edges have the page in the same encoding
					before = fastAnswers(t, edges[path])
					client := dial(t, edges[path])
					client.send(c.send)
					a = client.receive(method)
				}
				if fast := fastAnswers(t, edges[path]) > before; fast != (c.fast && path == fastPath) {
					t.Errorf("%s: answered by the fast path: %t", path, fast)
				}
				for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing"} {
					a.header.Del(changing)
				}
				return a
			}
			a, b := request(fastPath), request(noFastPath)
			if a.status != b.status || a.body != b.body {
				t.Errorf("status %d and %d bytes, without the fast path %d and %d", a.status, len(a.body), b.status,
					len(b.body))
			}
			for field := range b.header {
				if got, want := a.header.Get(field), b.header.Get(field); got != want {
					t.Errorf("%s: %q, without the fast path %q", field, got, want)
				}
			}
			if len(a.header) != len(b.header) {
				t.Errorf("header %v, without the fast path %v", a.header, b.header)
			}
		})
	}
	slow := edges[noFastPath]
	if n := fastAnswers(t, slow); n != 0 {
		t.Errorf("%d answers of the fast path, which is off", n)
	}
	if got := delegated(t, slow); got[fastpath.ReasonOff] == 0 || len(got) != 1 {
		t.Errorf("%v delegated requests, want all because the fast path is off", got)
	}
}
