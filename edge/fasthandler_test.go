package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/cachefill"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestExpressAnswersAsTheHandlerDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	etag := get(t, e, "/photos/ansel").header.Get("Etag")
	for _, c := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/photos/ansel", nil, 200},
		{"/photos/ansel", []string{"Accept-Encoding: gzip, deflate, br, zstd"}, 200},
		{"/photos/ansel", []string{"Accept-Encoding: gzip;q=0, *"}, 200},
		{"/photos/ansel", []string{"If-None-Match: " + etag}, 304},
		{"/photos/ansel", []string{"If-None-Match: " + strings.TrimPrefix(etag, "W/"), "Accept-Encoding: gzip"}, 304},
		{"/photos/ansel", []string{`If-None-Match: "other"`, "Cookie: theme=dark"}, 200},
		{"/photos/ansel/before/17", nil, 200},
		{"/", []string{"Connection: Keep-Alive"}, 200},
		{"/static/app.0123abcd.css", []string{"Accept-Encoding: br"}, 200},
		{"/static/app.0123abcd.css", nil, 200},
	} {
		get(t, e, c.path, "Accept-Encoding", "br, gzip")
		get(t, e, c.path) // assets: another copy
		client := dial(t, e)
		before := fastAnswers(t, e)
		client.send(rawGet(c.path, c.headers...))
		got := client.receive(http.MethodGet)
		if n := fastAnswers(t, e) - before; n != 1 {
			t.Errorf("%s %q: %d answers of the express", c.path, c.headers, n)
		}
		client.send(rawGet(c.path, append(c.headers, "X-Note: a\ttab")...)) // foreign to the express, nothing to a handler
		want := client.receive(http.MethodGet)
		if n := fastAnswers(t, e) - before; n != 1 {
			t.Errorf("%s %q: the express has answered what is for the handler", c.path, c.headers)
		}
		for _, h := range []http.Header{got.header, want.header} {
			for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing"} {
				if h.Get(changing) == "" {
					t.Errorf("%s: no %s", c.path, changing)
				}
				h.Del(changing)
			}
		}
		if got.status != c.status || want.status != c.status || got.body != want.body {
			t.Errorf("%s %q: status %d and %d bytes, the handler %d and %d", c.path, c.headers, got.status, len(got.body), want.status, len(want.body))
		}
		if diff := cmp.Diff(want.header, got.header); diff != "" {
			t.Errorf("%s %q: headers of the handler (-) and the express (+):\n%s", c.path, c.headers, diff)
		}
	}
}

// TestExpressAmongOthers mixes what the express answers with what it does not, on one connection.
func TestExpressAmongOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	client := dial(t, e)
	near, before := rawGet("/photos/ansel"), fastAnswers(t, e)
	for i, c := range []struct {
		say     string
		status  int
		express int // how many answers it has given by then
	}{
		{near, 200, 1},
		{rawGet("/photos/dora"), 200, 2},
		{near, 200, 3},
		{rawGet("/photos/Ansel"), 301, 3},
		{rawGet("/nowhere"), 404, 3},
		{rawGet("/photos/ansel?from=mail"), 200, 3},
		{rawGet("/photos/ansel", "X-Depends: ?"), 200, 3},
		{rawGet("/photos/ansel", "Cookie: fresh=x"), 200, 3},
		{near, 200, 4},
		{"HEAD /photos/ansel HTTP/1.1\r\nHost: killr\r\n\r\n", 200, 4},
		{near, 200, 5},
		{"POST /photos/ansel HTTP/1.1\r\nHost: killr\r\nContent-Length: 4\r\n\r\nGET ", 405, 5},
		{near, 200, 5}, // the connection is net/http's now
	} {
		client.send(c.say)
		method, _, _ := strings.Cut(c.say, " ")
		a := client.receive(method)
		if n := fastAnswers(t, e) - before; a.status != c.status || n != c.express {
			t.Errorf("%d: status %d, want %d; %d answers of the express, want %d", i, a.status, c.status, n, c.express)
		}
	}
}

// TestFastPathAnswersOthersThan200: pages with another status, error pages and stale pages too.
func TestFastPathAnswersOthersThan200(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.renderer()
	e := s.edge()
	ids := make(chan string, 16)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		ids <- m.Header.Get(wire.HeaderRequest)
		r := s.standard(ref)
		switch ref.Name() {
		case "nobody":
			r.Status = http.StatusNotFound
		case "gone":
			r.Status = http.StatusGone
		case "broken":
			_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrInternal))
			return nil
		}
		return r
	})
	before := fastAnswers(t, e)
	client := dial(t, e)
	check := func(path string, status int, tier, text string) answer {
		t.Helper()
		client.send(rawGet(path))
		a := client.receive(http.MethodGet)
		if a.status != status || a.tier() != tier || !strings.Contains(a.body, text) {
			t.Errorf("%s: %d, from %s, want %d from %s: %.60q", path, a.status, a.tier(), status, tier, a.body)
		}
		return a
	}
	for _, tier := range []string{"render", "near"} {
		check("/photos/nobody", http.StatusNotFound, tier, "<h1>nobody")
	}
	<-ids
	if a, id := check("/photos/gone", http.StatusGone, "render", "<h1>gone"), <-ids; a.header.Get("X-Request-Id") != id {
		t.Errorf("id %s, on the bus %s", a.header.Get("X-Request-Id"), id)
	}
	check("/photos/broken", http.StatusInternalServerError, "none", "<h1>error 500")
	check("/photos/ansel", http.StatusOK, "render", "version 0<")
	stop()
	s.change("user.ansel", 2, false)
	eventually(t, "the edge knows of the change", func() bool { return e.tracker.Scope("user.ansel").Newest() == 2 })
	if a := check("/photos/ansel", http.StatusOK, "stale", "version 0<"); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a stale page: Cache-Control is %q", a.header.Get("Cache-Control"))
	}
	a := check("/photos/edward", http.StatusServiceUnavailable, "none", "<h1>error 503")
	if a.header.Get("Retry-After") == "" || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("503: %v", a.header)
	}
	if n := fastAnswers(t, e) - before; n != 7 {
		t.Errorf("%d answers of the fast path, want all 7", n)
	}
}

// TestExpressLooksInMemcached, and the handler does not look again.
func TestExpressLooksInMemcached(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	addr := testenv.Memcached(t)
	s.fill(cachefill.Config{Memcached: []string{addr}})
	e := s.edge(withMemcached(addr), func(c *Config) { c.MemoryBytes = -1 })
	client := dial(t, e)
	ask := func(path string) answer {
		client.send(rawGet(path, "Accept-Encoding: gzip"))
		return client.receive(http.MethodGet)
	}
	looks := func() (n int) { // one that takes too long counts when its answer comes
		for _, result := range []string{"hit", "miss", "error"} {
			n += int(count(t, e.metrics.lookups.WithLabelValues(addr, result)))
		}
		return n
	}
	before := looks() // for error pages
	if a := ask("/photos/ansel"); a.tier() != "render" || looks() > before+1 {
		t.Errorf("the first: %s after %d looks", a.tier(), looks()-before)
	}
	ask("/photos/ansel") // twice in a while
	eventually(t, "the express answers from memcached", func() bool {
		before, beforeLooks := fastAnswers(t, e), looks()
		a := ask("/photos/ansel")
		if a.tier() != "memcached" || fastAnswers(t, e) != before+1 {
			return false
		}
		if looks() > beforeLooks+1 {
			t.Errorf("%d looks", looks()-beforeLooks)
		}
		if a.header.Get("Content-Encoding") != "gzip" || !strings.Contains(a.header.Get("Server-Timing"), "cache-look-up;dur=") || expand(t, a) != string(s.standard(page.User("ansel")).Body) {
			t.Errorf("%v", a.header)
		}
		return true
	})
	s.change("user.ansel", 2, false)
	eventually(t, "the edge knows of the change", func() bool { return e.tracker.Scope("user.ansel").Newest() == 2 })
	before = looks()
	if a := ask("/photos/ansel"); !strings.Contains(expand(t, a), "version 2") || looks() > before+1 { // the copy there, overtaken, is looked at once
		t.Errorf("%s, %d looks", a.tier(), looks()-before)
	}
}

func TestExpressPipelined(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	client := dial(t, e)
	client.send(rawGet("/photos/ansel") + rawGet("/photos/dora") + rawGet("/photos/ansel"))
	for _, name := range []string{"ansel", "dora", "ansel"} {
		if a := client.receive(http.MethodGet); !strings.Contains(a.body, "<h1>"+name) {
			t.Errorf("want the page of %s, got %.40q", name, a.body)
		}
	}
}

// TestExpressAhead: what a visitor asks for before they have been answered, by the express or by the handler, is answered next, by the
// express if it can.
func TestExpressAhead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	for first, express := range map[string]int{"/photos/dora": 2, "/photos/edna?from=mail": 1} {
		release := s.blockUsers()
		client, before := dial(t, e), fastAnswers(t, e)
		client.send(rawGet(first))
		eventually(t, "the first is asked for", func() bool { return fetching(e) == 1 })
		client.send(rawGet("/photos/ansel"))
		close(release)
		for _, name := range []string{first[len("/photos/"):][:4], "ansel"} {
			if a := client.receive(http.MethodGet); !strings.Contains(a.body, "<h1>"+name) {
				t.Errorf("want the page of %s, got %.40q", name, a.body)
			}
		}
		if n := fastAnswers(t, e) - before; n != express {
			t.Errorf("after %s: %d answers of the express, want %d", first, n, express)
		}
	}
	for _, first := range []string{"/photos/fred", "/photos/gail?from=mail"} { // much more than a head
		release := s.blockUsers()
		client := dial(t, e)
		client.send(rawGet(first))
		eventually(t, "that is asked for", func() bool { return fetching(e) == 1 })
		const many = 200
		client.send(strings.Repeat(rawGet("/photos/ansel"), many))
		close(release)
		if a := client.receive(http.MethodGet); a.status != 200 {
			t.Errorf("status %d", a.status)
		}
		for range many {
			if a := client.receive(http.MethodGet); !strings.Contains(a.body, "<h1>ansel") {
				t.Fatalf("got %.40q", a.body)
			}
		}
	}
}

func TestExpressDeadlines(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(14 * time.Second):
			fmt.Fprint(w, "slowly")
		case <-r.Context().Done():
			fmt.Fprint(w, context.Cause(r.Context()))
		}
	}
	t.Run("a connection serves as long as it is used", func(t *testing.T) {
		t.Parallel()
		onPipes(t, slow, func(e *Server, p *pipes) {
			client := p.dial(t)
			for range 10 {
				client.send(rawGet("/photos/ansel"))
				if a := client.receive(http.MethodGet); a.status != 200 {
					t.Errorf("status %d", a.status)
				}
				time.Sleep(idleTimeout - time.Second)
			}
			for range 2 { // net/http's first: it has waited for it for ten minutes
				client.send(rawGet("/slow"))
				if a := client.receive(http.MethodGet); a.body != "slowly" {
					t.Errorf("%q", a.body)
				}
			}
			client.send(rawGet("/photos/ansel"))
			client.receive(http.MethodGet)
			client.send("POST /slow HTTP/1.1\r\nHost: killr\r\nContent-Length: 3\r\n\r\n")
			time.Sleep(time.Second)
			client.send("a=b")
			if a := client.receive(http.MethodGet); a.body != "slowly" {
				t.Errorf("%q", a.body)
			}
			if n := fastAnswers(t, e); n != 11 {
				t.Errorf("%d answers of the express", n)
			}
		})
	})
	t.Run("what net/http gets later has the time it would have had", func(t *testing.T) {
		t.Parallel()
		onPipes(t, slow, func(e *Server, p *pipes) {
			for text, limit := range map[string]time.Duration{
				"POST /slow HTTP/1.1\r\nHo":                                       headerTimeout,
				"POST /slow HTTP/1.1\r\nHost: killr\r\nContent-Length: 3\r\n\r\n": 30 * time.Second,
			} {
				client := p.dial(t)
				for range 3 {
					client.send(rawGet("/photos/ansel"))
					client.receive(http.MethodGet)
					time.Sleep(idleTimeout - time.Second)
				}
				client.send(text)
				begin := time.Now()
				_, err := io.Copy(io.Discard, client.r)
				if took := time.Since(begin); took > limit+time.Second || err != nil {
					t.Errorf("%q: cut after %v, %v", text, took, err)
				}
			}
		})
	})
	t.Run("a request in parts", func(t *testing.T) {
		t.Parallel()
		onPipes(t, http.NotFound, func(e *Server, p *pipes) {
			client := p.dial(t)
			for range 2 { // the connection is net/http's with the first
				for _, part := range []string{"GE", "T /other HTT", "P/1.1\r\nHost: killr\r", "\n\r\n"} {
					client.send(part)
					time.Sleep(time.Second)
				}
				if a := client.receive(http.MethodGet); a.status != 404 {
					t.Errorf("status %d", a.status)
				}
			}
		})
	})
	t.Run("and no longer", func(t *testing.T) {
		t.Parallel()
		onPipes(t, slow, func(e *Server, p *pipes) {
			client := p.dial(t)
			client.send(rawGet("/photos/ansel"))
			client.receive(http.MethodGet)
			begin := time.Now()
			if _, err := client.r.ReadByte(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if took := time.Since(begin); took < idleTimeout || took > idleTimeout+2*time.Second {
				t.Errorf("an idle connection was closed after %v", took)
			}
		})
	})
	t.Run("a visitor who reads nothing is cut", func(t *testing.T) {
		t.Parallel()
		onPipes(t, slow, func(e *Server, p *pipes) {
			client := p.dial(t)
			begin := time.Now()
			client.send(rawGet("/photos/ansel"))
			time.Sleep(2 * writeTimeoutOf(pipesBody))
			if _, err := io.Copy(io.Discard, client.r); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 2*writeTimeoutOf(pipesBody) {
				t.Errorf("%v", took)
			}
		})
	})
}

// TestExpressFinishes: what the express has begun when the edge is told to stop, it ends.
func TestExpressFinishes(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		var begun []*rawClient
		for _, first := range []string{"", rawGet("/other")} { // net/http believes that the connection is new, or that it is idle
			client := p.dial(t)
			if first != "" {
				client.send(first)
				client.receive(http.MethodGet)
			}
			client.send(rawGet("/photos/ansel"))
			if _, err := client.r.Peek(1); err != nil {
				t.Error(err)
			}
			begun = append(begun, client)
		}
		waiting := p.dial(t)
		waiting.send(rawGet("/photos/ansel"))
		waiting.receive(http.MethodGet)
		stopped := make(chan error)
		go func() { stopped <- e.shutdown(context.Background()) }()
		synctest.Wait()
		if _, err := waiting.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("a connection on which nothing is asked for: %v", err)
		}
		select {
		case err := <-stopped:
			t.Errorf("stopped with answers begun: %v", err)
		default:
		}
		for i, client := range begun {
			a, err := client.tryReceive(http.MethodGet)
			if err != nil || len(a.body) != pipesBody {
				t.Errorf("visitor %d: %d bytes, %v", i, len(a.body), err)
			}
			if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
				t.Errorf("visitor %d: %q after the answer, %v", i, rest, err)
			}
		}
		begin := time.Now()
		if err := <-stopped; err != nil || time.Since(begin) > time.Second {
			t.Errorf("stopped after %v: %v", time.Since(begin), err)
		}
	})
}

// TestExpressIsCut: it does so for a while.
func TestExpressIsCut(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		e.cfg.StopTimeout = 3 * time.Second
		client := p.dial(t)
		client.send(rawGet("/photos/ansel"))
		if _, err := client.r.Peek(1); err != nil {
			t.Error(err)
		}
		begin := time.Now()
		if err := e.shutdown(context.Background()); err == nil || time.Since(begin) != e.cfg.StopTimeout {
			t.Errorf("stopped after %v: %v", time.Since(begin), err)
		}
		if _, err := client.tryReceive(http.MethodGet); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

// TestExpressPanics: that costs a connection and nothing more.
func TestExpressPanics(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		client, other := p.dial(t), p.dial(t)
		memory := e.memory
		e.memory = nil
		client.send(rawGet("/photos/ansel"))
		if _, err := client.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		synctest.Wait()
		e.memory = memory
		other.send(rawGet("/photos/ansel"))
		if a := other.receive(http.MethodGet); a.status != 200 {
			t.Errorf("status %d", a.status)
		}
	})
}

// endless is a connection over which the same request comes again and again.
type endless struct {
	net.Conn
	request string
	left    int
}

func (c *endless) Read(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.EOF
	}
	return copy(p, c.request), nil
}

func (c *endless) Close() error                     { return nil }
func (c *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (c *endless) SetReadDeadline(time.Time) error  { return nil }
func (c *endless) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkExpress is the hot path without the kernel's part.
func BenchmarkExpress(b *testing.B) {
	s := newSite(b)
	s.renderer()
	e := s.edge()
	for range 3 {
		get(b, e, "/photos/ansel", "Accept-Encoding", "gzip, br")
	}
	request := rawGet("/photos/ansel", "Connection: keep-alive", "Accept-Encoding: gzip, deflate, br, zstd",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
		"Accept-Language: en", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")
	lis := newPipes()
	defer lis.Close()
	go func() { lis.conns <- &endless{left: b.N, request: request} }()
	c, err := e.fast.Listener(lis).Accept()
	if err != nil {
		b.Fatal(err)
	}
	before := fastAnswers(b, e)
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := c.Read(nil); !errors.Is(err, io.EOF) {
		b.Error(err)
	}
	b.StopTimer()
	_ = c.Close()
	if n := fastAnswers(b, e) - before; n != b.N {
		b.Errorf("%d answers to %d requests", n, b.N)
	}
}
