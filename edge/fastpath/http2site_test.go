package fastpath

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Site is a server that answers /near/<n> and /far/<n> with n bytes: the first one from memory, the second one,
// and whatever is not answered so, by net/http. /far/reads/<n> reads the request's body before.
type http2Site struct {
	addr string
	near atomic.Int64
	echo bool // net/http's handler answers with the request

	refused atomic.Int64
	waiting chan struct{} // is sent to by each request for /far/waits/<n>, which is answered when goOn is closed
	goOn    chan struct{}

	mu   sync.Mutex
	saw  map[string]Request      // by path: what ServeNear got, copied
	gets map[string]http.Request // by path: what net/http's handler got
}

func (s *http2Site) ServeFast(Responder, *Request) (Reason, error) { return ReasonNoPage, nil }

func (s *http2Site) ServeNear(w Stream, r *Request) bool {
	s.mu.Lock()
	s.saw[string(r.Target)] = Request{Host: bytes.Clone(r.Host), AcceptEncoding: bytes.Clone(r.AcceptEncoding),
		IfNoneMatch: bytes.Clone(r.IfNoneMatch)}
	s.mu.Unlock()
	size, ok := strings.CutPrefix(string(r.Target), "/near/")
	n, err := strconv.Atoi(size)
	if !ok || err != nil || !w.Fits(n) {
		return false
	}
	var fields Fields
	fields.Add("Content-Type", "text/html")
	s.near.Add(1)
	w.Answer(append(AppendStatus(nil, 200), fields.Block()...), pattern(n))
	return true
}

func (s *http2Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.echo {
		_, _ = fmt.Fprintf(w, "%s %s %q %q %v", r.Method, r.RequestURI, r.Host, r.Header, r.Trailer)
		return
	}
	s.mu.Lock()
	s.gets[r.URL.Path] = *r
	s.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/far/waits/") {
		s.waiting <- struct{}{}
		<-s.goOn
	}
	if strings.HasPrefix(r.URL.Path, "/far/reads/") {
		_, _ = io.Copy(io.Discard, r.Body) // the client may leave
	}
	n, err := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write(pattern(n)) // the client may leave
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}

func startHTTP2(t testing.TB, encryption *tls.Config) *http2Site {
	t.Helper()
	return startHTTP2With(t, encryption, false)
}

// startHTTP2With is startHTTP2 with Config.Off.
func startHTTP2With(t testing.TB, encryption *tls.Config, off bool) *http2Site {
	t.Helper()
	return startHTTP2On(t, encryption, Config{Off: off}, func(lis net.Listener) net.Listener { return lis })
}

// startHTTP2Counted is startHTTP2 with connections that are Counted together.
func startHTTP2Counted(t testing.TB, most int) *http2Site {
	t.Helper()
	return startHTTP2On(t, nil, Config{AddressRequests: most},
		func(lis net.Listener) net.Listener { return &countedListener{Listener: lis} })
}

func startHTTP2On(
	t testing.TB, encryption *tls.Config, with Config, on func(net.Listener) net.Listener,
) *http2Site {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveHTTP2(t, on(lis), encryption, with)
}

func serveHTTP2(t testing.TB, lis net.Listener, encryption *tls.Config, with Config) *http2Site {
	t.Helper()
	s := &http2Site{saw: map[string]Request{}, gets: map[string]http.Request{}, waiting: make(chan struct{}),
		goOn: make(chan struct{})}
	fast := New(Config{
		AddressRequests: with.AddressRequests, Refused: func(net.Addr) { s.refused.Add(1) },
		Handler: s, Off: with.Off, IdleTimeout: time.Hour, HeaderTimeout: time.Minute, WriteTimeout: time.Minute,
		Delegated: func(Reason) {}, HalfClosed: func() {}, Paced: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	var open sync.WaitGroup
	server := &http.Server{
		Handler: fast.Wrap(s), ConnState: func(c net.Conn, state http.ConnState) {
			switch fast.ConnState(c, state); state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		}, ConnContext: fast.ConnContext, Protocols: protocols,
		HTTP2: &http.HTTP2Config{MaxReadFrameSize: LargestFrame}, ReadHeaderTimeout: time.Minute,
		MaxHeaderBytes: 12 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	s.addr = lis.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(fast.Listener(lis, encryption)) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		open.Wait()
	})
	return s
}

// http2Client writes frames itself.
type http2Client struct {
	*http2.Framer
	t     *testing.T
	conn  net.Conn
	block bytes.Buffer
	hpack *hpack.Encoder
}

// dialHTTP2 connects, and sends the preface and settings.
func dialHTTP2(t *testing.T, s *http2Site, settings ...http2.Setting) *http2Client {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return beginHTTP2(t, conn, settings...)
}

// beginHTTP2 is dialHTTP2 on a connection.
func beginHTTP2(t *testing.T, conn net.Conn, settings ...http2.Setting) *http2Client {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	c := &http2Client{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
	c.hpack = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err := io.WriteString(conn, http2.ClientPreface)
	c.must(errors.Join(err, c.WriteSettings(settings...)))
	return c
}

func (c *http2Client) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// fields encodes a request for a path.
func (c *http2Client) fields(path string, more ...string) []byte {
	c.block.Reset()
	all := append([]string{":method", "GET", ":scheme", "http", ":authority", "killr", ":path", path}, more...)
	for i := 0; i < len(all); i += 2 {
		c.must(c.hpack.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	return c.block.Bytes()
}

func (c *http2Client) get(stream uint32, path string) {
	c.t.Helper()
	c.must(c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: c.fields(path), EndStream: true, EndHeaders: true,
	}))
}

// received is what has come.
type received struct {
	status map[uint32]string
	bytes  map[uint32]int
	ended  map[uint32]bool
	total  int
	failed bool // the connection has ended, or the server has said that it ends
}

// until reads frames until a condition holds, or the connection ends.
func (c *http2Client) until(r *received, done func(http2.Frame) bool) {
	c.t.Helper()
	if r.status == nil {
		r.status, r.bytes, r.ended = map[uint32]string{}, map[uint32]int{}, map[uint32]bool{}
	}
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				c.t.Fatalf("still waiting: %+v", r)
			}
			r.failed = true
			return
		}
		id := frame.Header().StreamID
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			r.status[id], r.ended[id] = f.PseudoValue("status"), f.StreamEnded()
		case *http2.DataFrame:
			r.bytes[id] += len(f.Data())
			r.total += len(f.Data())
			r.ended[id] = f.StreamEnded()
		case *http2.RSTStreamFrame:
			r.status[id], r.ended[id] = "reset", true
		case *http2.GoAwayFrame:
			r.failed = f.ErrCode != http2.ErrCodeNo
		}
		if done(frame) {
			return
		}
	}
}

// allEnded reports whether n streams have ended.
func (r *received) allEnded(n int) bool {
	ended := 0
	for _, e := range r.ended {
		if e {
			ended++
		}
	}
	return ended == n
}

// alive reports whether the connection still answers.
func (c *http2Client) alive(r *received) bool {
	c.t.Helper()
	data := [8]byte{byte(rand.IntN(256)), 1}
	if c.WritePing(false, data) != nil {
		return false
	}
	c.until(r, func(f http2.Frame) bool {
		p, ok := f.(*http2.PingFrame)
		return ok && p.IsAck() && p.Data == data
	})
	return !r.failed
}
