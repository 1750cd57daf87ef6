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

// TestFastPathAnswersAsTheHandler: the fast path and the handler send the same header fields and body.
func TestFastPathAnswersAsTheHandler(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	etag := get(t, e, "/photos/ansel").header.Get("Etag")
	strong := strings.TrimPrefix(etag, "W/")
	for name, c := range map[string]struct {
		path   string
		fields []string
		status int
	}{
		"plain":                {"/photos/ansel", nil, 200},
		"brotli":               {"/photos/ansel", []string{"Accept-Encoding: gzip, deflate, br, zstd"}, 200},
		"any but gzip":         {"/photos/ansel", []string{"Accept-Encoding: gzip;q=0, *"}, 200},
		"not modified":         {"/photos/ansel", []string{"If-None-Match: " + etag}, 304},
		"not modified, strong": {"/photos/ansel", []string{"If-None-Match: " + strong, "Accept-Encoding: gzip"}, 304},
		"modified":             {"/photos/ansel", []string{`If-None-Match: "other"`, "Cookie: theme=dark"}, 200},
		"older photos":         {"/photos/ansel/before/17", nil, 200},
		"home page":            {"/", []string{"Connection: Keep-Alive"}, 200},
		"asset in brotli":      {"/static/app.0123abcd.css", []string{"Accept-Encoding: br"}, 200},
		"plain asset":          {"/static/app.0123abcd.css", nil, 200},
	} {
		t.Run(name, func(t *testing.T) { // not parallel: answers are counted
			get(t, e, c.path, "Accept-Encoding", "br, gzip")
			get(t, e, c.path) // a plain asset is another page than a compressed one
			client := dial(t, e)
			before := fastAnswers(t, e)
			client.send(rawGet(c.path, c.fields...))
			got := client.receive(http.MethodGet)
			if n := fastAnswers(t, e) - before; n != 1 {
				t.Errorf("%d answers of the fast path, want 1", n)
			}
			// The fast path cannot parse the tab; the handler ignores the field.
			client.send(rawGet(c.path, append(c.fields, "X-Note: a\ttab")...))
			want := client.receive(http.MethodGet)
			if n := fastAnswers(t, e) - before; n != 1 {
				t.Errorf("%d answers of the fast path, want only the first", n)
			}
			for _, h := range []http.Header{got.header, want.header} {
				for _, changing := range []string{"Date", "X-Request-Id", "Server-Timing"} {
					if h.Get(changing) == "" {
						t.Errorf("the answer has no %s", changing)
					}
					h.Del(changing)
				}
			}
			if got.status != c.status || want.status != c.status || got.body != want.body {
				t.Errorf("the fast path: status %d, %d bytes; the handler: status %d, %d bytes; want status %d",
					got.status, len(got.body), want.status, len(want.body), c.status)
			}
			if diff := cmp.Diff(want.header, got.header); diff != "" {
				t.Errorf("header fields of the handler (-) and the fast path (+):\n%s", diff)
			}
		})
	}
}

// TestFastPathAmongOthers mixes fast, delegated and unparsed requests on one connection.
func TestFastPathAmongOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	client := dial(t, e)
	fast, before := rawGet("/photos/ansel"), fastAnswers(t, e)
	for i, c := range []struct {
		send   string
		status int
		fast   int // answers of the fast path by then
	}{
		{fast, 200, 1},
		{rawGet("/photos/dora"), 200, 2},
		{fast, 200, 3},
		{rawGet("/photos/Ansel"), 301, 3},
		{rawGet("/nowhere"), 404, 3},
		{rawGet("/photos/ansel?from=mail"), 200, 3},
		{rawGet("/photos/ansel", "X-Depends: ?"), 200, 3},
		{rawGet("/photos/ansel", "Cookie: fresh=x"), 200, 3},
		{fast, 200, 4},
		{"HEAD /photos/ansel HTTP/1.1\r\nHost: killr\r\n\r\n", 200, 4},
		{fast, 200, 5},
		{"POST /photos/ansel HTTP/1.1\r\nHost: killr\r\nContent-Length: 0\r\n\r\n", 405, 5},
		{fast, 200, 5}, // after the POST the connection belongs to net/http
		{"POST /photos/ansel HTTP/1.1\r\nHost: killr\r\nContent-Length: 4\r\n\r\nGET ", 405, 5}, // a body ends it
	} {
		client.send(c.send)
		method, _, _ := strings.Cut(c.send, " ")
		a := client.receive(method)
		if n := fastAnswers(t, e) - before; a.status != c.status || n != c.fast {
			t.Errorf("request %d: status %d, want %d; %d answers of the fast path, want %d",
				i, a.status, c.status, n, c.fast)
		}
	}
}

// TestFastPathStatuses: the fast path also answers with pages of another status than 200, error pages and stale pages.
func TestFastPathStatuses(t *testing.T) {
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
			t.Errorf("%s: status %d from %s, want %d from %s: %.60q", path, a.status, a.tier(), status, tier, a.body)
		}
		return a
	}
	for _, tier := range []string{"render", "near"} {
		check("/photos/nobody", http.StatusNotFound, tier, "<h1>nobody")
	}
	<-ids
	gone := check("/photos/gone", http.StatusGone, "render", "<h1>gone")
	if id := <-ids; gone.header.Get("X-Request-Id") != id {
		t.Errorf("request id %s in the answer, %s on the bus", gone.header.Get("X-Request-Id"), id)
	}
	check("/photos/broken", http.StatusInternalServerError, "none", "<h1>error 500")
	check("/photos/ansel", http.StatusOK, "render", "version 0<")
	stop()
	s.change("user.ansel", 2, false)
	knows(t, e, "user.ansel", 2)
	if a := check("/photos/ansel", http.StatusOK, "stale", "version 0<"); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a stale page: Cache-Control is %q", a.header.Get("Cache-Control"))
	}
	a := check("/photos/edward", http.StatusServiceUnavailable, "none", "<h1>error 503")
	if a.header.Get("Retry-After") == "" || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("header of a 503: %v", a.header)
	}
	if n := fastAnswers(t, e) - before; n != 7 {
		t.Errorf("%d answers of the fast path, want all 7", n)
	}
}

// TestFastPathLooksUpOnce: a request looks up its page in memcached once, whether it is a hit, a miss or overtaken.
func TestFastPathLooksUpOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	addr := testenv.Memcached(t)
	s.fill(cachefill.Config{Memcached: []string{addr}})
	e := s.edge(withMemcached(addr), func(c *Config) { c.MemoryBytes = -1 })
	client := dial(t, e)
	request := func(path string) answer {
		client.send(rawGet(path, "Accept-Encoding: gzip"))
		return client.receive(http.MethodGet)
	}
	lookups := func() (n int) { // a look-up that takes too long counts when memcached answers it
		for _, result := range []string{"hit", "miss", "error"} {
			n += int(count(t, e.metrics.lookups.WithLabelValues(addr, result)))
		}
		return n
	}
	before := lookups()
	if a := request("/photos/ansel"); a.tier() != "render" || lookups() > before+1 {
		t.Errorf("the first answer: from %s after %d look-ups", a.tier(), lookups()-before)
	}
	request("/photos/ansel") // the second render of a page fills memcached
	eventually(t, "the fast path answers from memcached", func() bool {
		before, beforeLookups := fastAnswers(t, e), lookups()
		a := request("/photos/ansel")
		if a.tier() != "memcached" || fastAnswers(t, e) != before+1 {
			return false
		}
		if lookups() > beforeLookups+1 {
			t.Errorf("a hit takes %d look-ups", lookups()-beforeLookups)
		}
		if a.header.Get("Content-Encoding") != "gzip" ||
			!strings.Contains(a.header.Get("Server-Timing"), "cache-look-up;dur=") ||
			expand(t, a) != string(s.standard(page.User("ansel")).Body) {
			t.Errorf("header %v, %d bytes", a.header, len(a.body))
		}
		return true
	})
	s.change("user.ansel", 2, false)
	knows(t, e, "user.ansel", 2)
	before = lookups()
	if a := request("/photos/ansel"); !strings.Contains(expand(t, a), "version 2") || lookups() > before+1 {
		t.Errorf("after a change: from %s after %d look-ups", a.tier(), lookups()-before)
	}
}

// TestFastPathPipelined: three requests in one packet get their answers in order.
func TestFastPathPipelined(t *testing.T) {
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

// TestPipelinedDuringAnAnswer: a request that arrives while the first one is answered gets the next answer, from the
// fast path if it can give it.
func TestPipelinedDuringAnAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	get(t, e, "/photos/ansel")
	for first, fast := range map[string]int{"/photos/dora": 2, "/photos/edna?from=mail": 1} {
		t.Run(first, func(t *testing.T) {
			release := s.blockUsers()
			client, before := dial(t, e), fastAnswers(t, e)
			client.send(rawGet(first))
			eventually(t, "the first page is requested", func() bool { return fetching(e) == 1 })
			client.send(rawGet("/photos/ansel"))
			close(release)
			for _, name := range []string{first[len("/photos/"):][:4], "ansel"} {
				if a := client.receive(http.MethodGet); !strings.Contains(a.body, "<h1>"+name) {
					t.Errorf("want the page of %s, got %.40q", name, a.body)
				}
			}
			if n := fastAnswers(t, e) - before; n != fast {
				t.Errorf("%d answers of the fast path, want %d", n, fast)
			}
		})
	}
	for _, first := range []string{"/photos/fred", "/photos/gail?from=mail"} {
		t.Run("many after "+first, func(t *testing.T) {
			release := s.blockUsers()
			client := dial(t, e)
			client.send(rawGet(first))
			eventually(t, "the first page is requested", func() bool { return fetching(e) == 1 })
			const many = 200 // more bytes than a connection reads ahead
			client.send(strings.Repeat(rawGet("/photos/ansel"), many))
			close(release)
			if a := client.receive(http.MethodGet); a.status != 200 {
				t.Errorf("status %d", a.status)
			}
			for range many {
				if a := client.receive(http.MethodGet); !strings.Contains(a.body, "<h1>ansel") {
					t.Fatalf("want the page of ansel, got %.40q", a.body)
				}
			}
		})
	}
}

// TestFastPathDeadlines: the fast path keeps to the same time limits as net/http.
func TestFastPathDeadlines(t *testing.T) {
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
			for range 2 { // the first is also net/http's first request, ten minutes after it accepted the connection
				client.send(rawGet("/slow"))
				if a := client.receive(http.MethodGet); a.body != "slowly" {
					t.Errorf("body %q", a.body)
				}
			}
			client.send(rawGet("/photos/ansel"))
			client.receive(http.MethodGet)
			client.send("POST /slow HTTP/1.1\r\nHost: killr\r\nContent-Length: 3\r\n\r\n")
			time.Sleep(time.Second)
			client.send("a=b")
			if a := client.receive(http.MethodGet); a.body != "slowly" {
				t.Errorf("body %q", a.body)
			}
			if n := fastAnswers(t, e); n != 11 {
				t.Errorf("%d answers of the fast path, want 11", n)
			}
		})
	})
	t.Run("net/http gives a later request its usual time", func(t *testing.T) {
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
	t.Run("a request arrives in parts", func(t *testing.T) {
		t.Parallel()
		onPipes(t, http.NotFound, func(e *Server, p *pipes) {
			client := p.dial(t)
			for range 2 { // after the first part the connection belongs to net/http
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
	t.Run("an idle connection is closed", func(t *testing.T) {
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
	t.Run("a client that reads nothing is cut", func(t *testing.T) {
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
				t.Errorf("cut after %v", took)
			}
		})
	})
}

// TestSlowReaders: a client that reads less than 1,600 bytes a second is cut, and one that reads more gets the page.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("fast path off %t", off), func(t *testing.T) {
			t.Parallel()
			onLimitedPipes(t, off, 0, nil, func(_ *Server, p *pipes) {
				for rate, whole := range map[int]bool{500: false, 4000: true} { // bytes a second
					client := p.dial(t)
					client.send(rawGet("/photos/ansel"))
					read, part := 0, make([]byte, rate)
					var err error
					for err == nil && read < pipesBody {
						var n int
						n, err = io.ReadFull(client.r, part)
						read += n
						time.Sleep(time.Second)
					}
					if got := read >= pipesBody; got != whole {
						t.Errorf("%d bytes a second: read %d bytes, %v", rate, read, err)
					}
					_ = client.conn.Close()
				}
			})
		})
	}
}

// TestFastPathFinishesWhenStopped: the fast path finishes the answers that it had begun when the edge stopped.
func TestFastPathFinishesWhenStopped(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		var begun []*rawClient
		// net/http believes that the first connection is new, and that the second one is idle.
		for _, first := range []string{"", rawGet("/other")} {
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
		idle := p.dial(t)
		idle.send(rawGet("/photos/ansel"))
		idle.receive(http.MethodGet)
		stopped := make(chan error)
		go func() { stopped <- e.shutdown(context.Background()) }()
		synctest.Wait()
		if _, err := idle.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("an idle connection: %v, want EOF", err)
		}
		select {
		case err := <-stopped:
			t.Errorf("the edge stopped before its answers ended: %v", err)
		default:
		}
		for i, client := range begun {
			a, err := client.tryReceive(http.MethodGet)
			if err != nil || len(a.body) != pipesBody {
				t.Errorf("client %d: %d bytes, %v", i, len(a.body), err)
			}
			if rest, err := io.ReadAll(client.r); len(rest) > 0 || err != nil {
				t.Errorf("client %d: %q after the answer, %v", i, rest, err)
			}
		}
		begin := time.Now()
		if err := <-stopped; err != nil || time.Since(begin) > time.Second {
			t.Errorf("stopped after %v: %v", time.Since(begin), err)
		}
	})
}

// TestFastPathIsCutWhenStopped: an answer that takes longer than StopTimeout is cut.
func TestFastPathIsCutWhenStopped(t *testing.T) {
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

// TestFastPathPanics: a panic before the answer is a 500, as with net/http, and the connection goes on.
func TestFastPathPanics(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(e *Server, p *pipes) {
		client := p.dial(t)
		memory := e.pages.memory
		e.pages.memory = nil
		client.send(rawGet("/photos/ansel"))
		if a := client.receive(http.MethodGet); a.status != http.StatusInternalServerError {
			t.Errorf("status %d, want 500", a.status)
		}
		e.pages.memory = memory
		client.send(rawGet("/photos/ansel"))
		if a := client.receive(http.MethodGet); a.status != http.StatusOK {
			t.Errorf("then status %d, want 200", a.status)
		}
		if n := count(t, e.metrics.status[http.StatusInternalServerError]); n != 1 {
			t.Errorf("%v answers with status 500 are counted, want 1", n)
		}
	})
}

// TestDateIsThatOfTheAnswer: the field Date is neither of the page nor of the connection.
func TestDateIsThatOfTheAnswer(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(_ *Server, p *pipes) {
		client := p.dial(t)
		for range 3 {
			client.send(rawGet("/photos/ansel"))
			got, want := client.receive(http.MethodGet), time.Now().UTC().Format(http.TimeFormat)
			if date := got.header.Get("Date"); date != want {
				t.Errorf("Date is %s, want %s", date, want)
			}
			time.Sleep(idleTimeout / 2) // fake time
		}
	})
}

// duplex is the server's end of a connection that can be closed in one direction, like one of TCP.
type duplex struct {
	net.Conn          // what the client sends
	out      net.Conn // what the client receives
}

func (d *duplex) Write(p []byte) (int, error)         { return d.out.Write(p) }
func (d *duplex) SetWriteDeadline(at time.Time) error { return d.out.SetWriteDeadline(at) }
func (d *duplex) CloseWrite() error                   { return d.out.Close() }
func (d *duplex) Close() error                        { return errors.Join(d.out.Close(), d.Conn.Close()) }

// TestFINBeforeTheWait: after a 431 net/http waits before it closes the connection, for the client may still send its
// header. The client receives the end of the answer before that wait.
func TestFINBeforeTheWait(t *testing.T) {
	t.Parallel()
	onPipes(t, http.NotFound, func(_ *Server, p *pipes) {
		send, in := net.Pipe()
		receive, out := net.Pipe()
		p.conns <- &duplex{in, out}
		closed := make(chan error, 1)
		go func() { // until the server closes the connection
			_, err := io.WriteString(send, rawGet("/", "X-Long: "+strings.Repeat("x", 32<<10)))
			closed <- err
		}()
		got, err := io.ReadAll(receive)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 431 ") {
			t.Errorf("%q, %v", got, err)
		}
		synctest.Wait() // fake time stands still: net/http's wait does not end here
		select {
		case err := <-closed:
			t.Errorf("the answer ended only when the connection was closed: %v", err)
		default:
			if err := <-closed; !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("the header was sent in full: %v", err)
			}
		}
	})
}

// endless is a connection that delivers the same request, left times.
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

// BenchmarkFastPath answers a page from memory by the fast path, without the work of the kernel: to a visitor without
// cookies, and to one who is signed in.
func BenchmarkFastPath(b *testing.B) {
	b.Run("anonymous", func(b *testing.B) { measureFastPath(b) })
	b.Run("signed-in", func(b *testing.B) {
		measureFastPath(b, "Cookie: session="+strings.Repeat("aBc-", 11)+"; me=ansel")
	})
}

func measureFastPath(b *testing.B, fields ...string) {
	s := newSite(b)
	s.renderer()
	e := s.edge()
	for range 3 {
		get(b, e, "/photos/ansel", "Accept-Encoding", "gzip, br")
	}
	request := rawGet("/photos/ansel", append(fields, "Connection: keep-alive",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 "+
			"Safari/537.36",
		"Accept-Language: en", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")...)
	lis := newPipes()
	defer lis.Close()
	go func() { lis.conns <- &endless{left: b.N, request: request} }()
	c, err := e.fast.Listener(lis, nil).Accept()
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
