package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
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

// TestLastAnswerSaysClose: an answer that is written while the edge stops says that the connection closes.
func TestLastAnswerSaysClose(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e, stop := s.stoppable()
	release := s.blockUsers()
	client := dial(t, e)
	client.send(rawGet("/photos/ansel"))
	eventually(t, "the page is requested", func() bool { return fetching(e) == 1 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	eventually(t, "no further client is accepted", func() bool {
		conn, err := net.Dial("tcp", e.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	resp, err := http.ReadResponse(client.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("status %d, Connection: close: %t", resp.StatusCode, resp.Close)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	<-stopped
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

// TestMaxConns: a client beyond the limit is accepted when another one leaves.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off %t", off), func(t *testing.T) {
			t.Parallel()
			onLimitedPipes(t, off, 2, http.NotFound, func(_ *Server, p *pipes) {
				request := func(client *rawClient) {
					client.send(rawGet("/other"))
					client.receive(http.MethodGet)
				}
				first, second := p.dial(t), p.dial(t)
				request(first)
				request(second)
				accepted := make(chan *rawClient, 1)
				go func() { accepted <- p.dial(t) }()
				synctest.Wait()
				select {
				case third := <-accepted:
					t.Error("a third client was accepted")
					accepted <- third
				default:
				}
				_ = first.conn.Close()
				request(<-accepted)
				request(second)
			}) // the edge stops while its listener waits for a client to leave
		})
	}
}

// TestNewClosesTheCache: an edge that cannot listen ends the goroutines of its in-process cache. TestMain finds leaked
// goroutines.
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
