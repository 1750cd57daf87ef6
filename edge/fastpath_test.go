package edge

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/schema/page"
)

// TestBothPathsGiveTheSameAnswers compares an edge with the fast path and one without it.
func TestBothPathsGiveTheSameAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	fast, slow := s.edge(), s.edge(func(c *Config) { c.NoFastPath = true })
	etag := get(t, fast, "/photos/ansel").header.Get("Etag")
	for name, text := range map[string]string{
		"page":         plainly("/photos/ansel"),
		"gzip":         plainly("/photos/ansel", "Accept-Encoding: gzip"),
		"not modified": plainly("/photos/ansel", "If-None-Match: "+etag),
		"asset":        plainly("/static/app.0123abcd.css", "Accept-Encoding: br"),
		"redirect":     plainly("/photos/Ansel"),
		"not found":    plainly("/nowhere"),
		"HEAD":         "HEAD /photos/ansel HTTP/1.1\r\nHost: killr\r\n\r\n",
		"POST":         "POST /photos/ansel HTTP/1.1\r\nHost: killr\r\nContent-Length: 0\r\n\r\n",
		"two hosts":    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"version":      "GET / HTTP/3.0\r\nHost: killr\r\n\r\n",
		"close":        plainly("/photos/ansel", "Connection: close"),
	} {
		t.Run(name, func(t *testing.T) {
			method, _, _ := strings.Cut(text, " ")
			ask := func(e *Server) answer {
				for range 2 { // so that both edges have the page, in the same form
					visitor := dial(t, e)
					visitor.say(text)
					visitor.hear(method)
				}
				visitor := dial(t, e)
				visitor.say(text)
				a := visitor.hear(method)
				for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing"} {
					a.header.Del(changing)
				}
				return a
			}
			a, b := ask(fast), ask(slow)
			if a.status != b.status || a.body != b.body {
				t.Errorf("status %d and %d bytes, without the fast path %d and %d", a.status, len(a.body), b.status, len(b.body))
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
	if n := expressed(t, slow); n != 0 {
		t.Errorf("%d answers of the fast path, which is off", n)
	}
}

// TestHalfClosedWithoutFastPath: a client that half-closes gets its answer, also if the page must be rendered.
func TestHalfClosedWithoutFastPath(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge(func(c *Config) { c.NoFastPath = true })
	release, before := s.holdUsers(), halfClosed(t, e)
	visitor := dial(t, e)
	visitor.say(plainly("/photos/ansel"))
	visitor.halfClose()
	eventually(t, "the edge has seen the FIN", func() bool { return halfClosed(t, e) > before })
	close(release)
	if a, err := visitor.listen(http.MethodGet); err != nil || a.status != 200 || !strings.Contains(a.body, "<h1>ansel") {
		t.Errorf("status %d, %d bytes, %v", a.status, len(a.body), err)
	}
}

// TestLastAnswerSaysClose: an answer that is begun while the edge stops says that the connection closes.
func TestLastAnswerSaysClose(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		ref := page.User("ansel")
		body := e.near.get(ref)
		for _, stopping := range []bool{false, true} {
			here, there := net.Pipe()
			c := &expressConn{Conn: there, express: e.express, woken: make(chan struct{}, 1)}
			e.express.stopping.Store(stopping)
			got := make(chan string)
			go func() {
				b, _ := io.ReadAll(here)
				got <- string(b)
			}()
			x := exchange{start: time.Now().Add(-time.Hour)}
			if err := e.express.write(c, &plainRequest{}, &x, body, body.plain.Load()); err != nil {
				t.Error(err)
			}
			_ = there.Close()
			head, _, _ := strings.Cut(<-got, "\r\n\r\n")
			if strings.Contains(head, "\r\nConnection: close") != stopping {
				t.Errorf("stopping %t: %q", stopping, head)
			}
			if date := "\r\nDate: " + time.Now().UTC().Format(http.TimeFormat); !strings.Contains(head, date) {
				t.Errorf("%q has not the time of the answer, %s", head, date)
			}
		}
		e.express.stopping.Store(false)
		synctest.Wait()
	})
}

// TestFINBeforeTheWait: after a 431 the client sees the end at once, and not when net/http has waited for the rest of the head.
func TestFINBeforeTheWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.start()
	conn, err := e.accepted(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Errorf("net/http cannot send a FIN: %v", err)
	}
}

// accepted returns the edge's end of a new connection, as net/http has it.
func (s *Server) accepted(t *testing.T) (*expressConn, error) {
	t.Helper()
	dial(t, s)
	var found *expressConn
	eventually(t, "the connection is accepted", func() bool {
		s.express.each(func(c *expressConn) { found = c })
		return found != nil
	})
	return found, nil
}

// TestNewClosesTheCache: an edge that cannot listen leaves no goroutine of its in-process cache; TestMain looks for such.
func TestNewClosesTheCache(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if _, err := New(Config{Addr: lis.Addr().String(), NATS: s.nc, Logger: s.log()}); err == nil {
		t.Fatal("two edges listen at the same address")
	}
	e, err := New(Config{Addr: "127.0.0.1:0", NATS: s.nc, Logger: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
