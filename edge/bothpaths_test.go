package edge

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/edge/encryption"
	"flickrkillr/edge/fastpath"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Paths of a request through an edge, as tests name them.
const fastPath, encrypted, noFastPath = "fast path", "fast path within TLS", "no fast path"

// byHTTP2 is the path of HTTP/2 without TLS, which clients speak by prior knowledge (h2c). Within TLS they agree on
// HTTP/2 too. Edges of that path have a version of their own, by which do knows them; clients that write bytes
// themselves speak HTTP/1.1 to all.
const byHTTP2, byHTTP2Version = "fast path by HTTP/2 without TLS", "0.0.0+h2c"

// pathOption returns the option for an edge with that path.
func pathOption(t testing.TB, path string) func(*Config) {
	return func(c *Config) {
		c.NoFastPath = path == noFastPath
		if path == byHTTP2 {
			c.Version = byHTTP2Version
		}
		if path == encrypted {
			cert, key := testenv.CertificateFiles(t)
			c.Certificates = []encryption.KeyPair{{Certificate: cert, Key: key}}
		}
	}
}

// bothPaths starts edges with the fast path, with encryption and without, and one without the fast path.
func (s *site) bothPaths() map[string]*Server {
	s.t.Helper()
	edges := map[string]*Server{}
	for _, path := range [...]string{fastPath, encrypted, noFastPath} {
		edges[path] = s.edge(pathOption(s.t, path))
	}
	return edges
}

// eachPath runs a test of HTTP answers for each path at the same time: the answers are the same. onPath is an option
// for every edge of the test.
func eachPath(t *testing.T, test func(t *testing.T, onPath func(*Config))) {
	t.Helper()
	onPaths(t, test, fastPath, encrypted, byHTTP2, noFastPath)
}

// onPaths is eachPath for some paths.
func onPaths(t *testing.T, test func(t *testing.T, onPath func(*Config)), paths ...string) {
	t.Helper()
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			test(t, pathOption(t, path))
		})
	}
}

// TestBothPathsGiveTheSameAnswers compares an edge with the fast path and one without it.
func TestBothPathsGiveTheSameAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	edges := s.bothPaths()
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		r := s.standard(ref)
		switch ref.Name() {
		case "nobody":
			r.Status = http.StatusNotFound
		case "broken":
			_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrInternal))
			return nil
		}
		return r
	})
	etag := get(t, edges[fastPath], "/photos/ansel").header.Get("Etag")
	overtaken := get(t, edges[fastPath], "/photos/dora").header.Get("Etag")
	get(t, edges[noFastPath], "/photos/dora")
	type request struct {
		send string
		fast bool // the fast path answers, where there is one
	}
	compare := func(name string, c request) {
		t.Run(name, func(t *testing.T) { sameAnswers(t, edges, c.send, c.fast) })
	}
	for name, c := range map[string]request{
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
		"a page's 404": {rawGet("/photos/nobody"), true},
		"a 500":        {rawGet("/photos/broken"), true},
		"no asset":     {rawGet("/static/app.99999999.css"), true},
	} {
		compare(name, c)
	}
	stop()
	s.change("user.dora", 2, false)
	for _, e := range edges {
		knows(t, e, "user.dora", 2)
	}
	for name, c := range map[string]request{
		"a 503":               {rawGet("/photos/edward"), true},
		"stale":               {rawGet("/photos/dora"), true},
		"stale, not modified": {rawGet("/photos/dora", "If-None-Match: "+overtaken), true},
	} {
		compare(name, c)
	}
	slow := edges[noFastPath]
	if n := fastAnswers(t, slow); n != 0 {
		t.Errorf("%d answers of the fast path, which is off", n)
	}
	if got := delegated(t, slow); got[fastpath.ReasonOff] == 0 || len(got) != 1 {
		t.Errorf("%v delegated requests, want all because the fast path is off", got)
	}
}

// sameAnswers compares the answers of two edges to a request, and checks that the fast path answers if it should.
func sameAnswers(t *testing.T, edges map[string]*Server, send string, fast bool) {
	t.Helper()
	method, _, _ := strings.Cut(send, " ")
	request := func(path string) (a answer) {
		var before int
		for range 3 { // by the last request both edges have the page in the same encoding
			before = fastAnswers(t, edges[path])
			client := dial(t, edges[path])
			client.send(send)
			a = client.receive(method)
		}
		if got := fastAnswers(t, edges[path]) > before; got != (fast && path == fastPath) {
			t.Errorf("%s: answered by the fast path: %t", path, got)
		}
		if timing := a.header.Get("Server-Timing"); timing != "" { // names only: times differ
			a.header.Set("Server-Timing", numbers.ReplaceAllString(timing, "N"))
			id := a.header.Get("X-Request-Id")
			if strings.Contains(timing, "id;desc=") != strings.Contains(timing, id) {
				t.Errorf("%s: Server-Timing %q does not have the id %s", path, timing, id)
			}
		}
		for _, changing := range []string{"Date", "X-Request-Id"} {
			a.header.Del(changing)
		}
		return a
	}
	a, b := request(fastPath), request(noFastPath)
	if a.status != b.status || a.body != b.body {
		t.Errorf("status %d and %d bytes, without the fast path %d and %d",
			a.status, len(a.body), b.status, len(b.body))
	}
	if diff := cmp.Diff(b.header, a.header); diff != "" {
		t.Errorf("header fields without the fast path (-) and with it (+):\n%s", diff)
	}
}

// numbers matches what differs between two values of Server-Timing: times and request ids.
var numbers = regexp.MustCompile(`dur=[0-9.]+|id;desc=\w+`)
