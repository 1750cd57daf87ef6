package bench

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// browserConns is how many connections browsers open to a site that speaks HTTP/1.1.
const browserConns = 6

// client fetches for one visitor. Its slots may be used concurrently, each by one goroutine.
type client interface {
	slots() int
	url() string // of the edge that it requests from
	// get fetches a path. The answer's body is in buf, or in what buf had to grow to, which is returned whatever
	// happens.
	get(ctx context.Context, slot int, path string, buf []byte) (answer, []byte, error)
	close()
}

// answer is an unchecked response.
type answer struct {
	status    int
	tier      string // X-Cache
	encoding  string // Content-Encoding
	mediaType string // Content-Type
	immutable bool   // by Cache-Control: browsers do not request it again
	refused   bool   // a 503 that says when to retry
	body      []byte // as received
}

func newAnswer(status int, h http.Header, body []byte) answer {
	return answer{status: status, tier: h.Get("X-Cache"), encoding: h.Get("Content-Encoding"),
		mediaType: h.Get("Content-Type"),
		immutable: cacheable(h.Get("Cache-Control")),
		refused:   status == http.StatusServiceUnavailable && h.Get("Retry-After") != "", body: body}
}

// http1 speaks HTTP/1.1 over connections that are opened when first needed and kept. Net/http's Transport would hand
// every request to two other goroutines and back. Responses are parsed by net/http.
type http1 struct {
	cfg      *Config
	edges    []edge       // where to connect: to the first one, or to the next that can be reached
	at       atomic.Int32 // the one at hand, an index
	conns    [browserConns]*http1Conn
	opened   *atomic.Int64 // connections, of all visitors
	tries    *tries        // that failed before another edge was asked, of all visitors
	cookie   string        // header field Cookie; "": none
	repeated *atomic.Int64 // requests repeated because the server had closed a kept connection
}

type http1Conn struct {
	net.Conn
	at      int32  // which of the edges
	host    string // as in the Host header
	reader  *bufio.Reader
	accept  string // encodings of bodies
	cookie  string // header field Cookie; "": none
	request []byte
	forget  func() bool // ends the watch on the context
}

// getRequest tells http.ReadResponse that the answer has a body, as GET's have.
var getRequest = &http.Request{Method: http.MethodGet}

func (c *http1) slots() int { return browserConns }

func (c *http1) url() string { return c.edges[c.at.Load()].url }

// get asks the edge at hand; with patience then the next ones.
func (c *http1) get(ctx context.Context, slot int, path string, buf []byte) (answer, []byte, error) {
	for try := 1; ; try++ {
		patience := c.cfg.Timeout
		last := c.cfg.Patience == 0 || try >= len(c.edges)
		if !last {
			patience = min(patience, c.cfg.Patience)
		}
		a, at, grown, err := c.try(ctx, slot, path, buf, patience)
		buf = grown
		unreachable := (*failure)(nil)
		if err == nil || last || ctx.Err() != nil || errors.As(err, &unreachable) { // none of the edges
			return a, buf, err
		}
		c.tries.add(c.edges[at].url+path, err)
		c.leave(at)
	}
}

// leave makes the next edge the one at hand, unless another slot has done so.
func (c *http1) leave(at int32) { c.at.CompareAndSwap(at, (at+1)%int32(len(c.edges))) }

// try asks an edge for a path. patience bounds the time until the first byte of the answer.
func (c *http1) try(ctx context.Context, slot int, path string, buf []byte, patience time.Duration) (
	a answer, at int32, grown []byte, err error,
) {
	for {
		conn := c.conns[slot]
		kept := conn != nil
		if !kept {
			var err error
			if conn, err = c.open(ctx); err != nil {
				return answer{}, 0, buf, err
			}
			c.conns[slot] = conn
		}
		a, reuse, grown, err := conn.get(ctx, path, buf, patience, c.cfg.Timeout)
		buf = grown
		if err != nil || !reuse {
			c.drop(slot)
		}
		if silent := (*silentError)(nil); kept && errors.As(err, &silent) && kindOf(err) == kindLost &&
			ctx.Err() == nil {
			c.repeated.Add(1) // as browsers do: the server closed it between two requests (RFC 9112, 9.3.1)
			continue
		}
		return a, conn.at, buf, err
	}
}

// open connects to the edge at hand, or to the next one that can be reached.
func (c *http1) open(ctx context.Context) (conn *http1Conn, err error) {
	if c.cfg.Patience > 0 {
		return c.race(ctx)
	}
	for range c.edges {
		at := c.at.Load()
		if conn, err = c.openTo(ctx, at); err == nil || ctx.Err() != nil {
			break
		}
		c.leave(at)
	}
	return conn, err
}

func (c *http1) openTo(ctx context.Context, at int32) (*http1Conn, error) {
	nc, err := c.connect(ctx, c.edges[at])
	if err != nil {
		return nil, err
	}
	return c.newConn(ctx, at, nc), nil
}

// newConn is for requests to one of the edges, by a connection to it.
func (c *http1) newConn(ctx context.Context, at int32, nc net.Conn) *http1Conn {
	conn := &http1Conn{Conn: nc, at: at, host: c.edges[at].host, reader: bufio.NewReaderSize(nc, 4096),
		accept: c.cfg.accepted(), cookie: c.cookie}
	conn.forget = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends what waits
	return conn
}

// connect connects to an edge. An error is of the kind kindConnect.
func (c *http1) connect(ctx context.Context, to edge) (net.Conn, error) {
	c.opened.Add(1)
	within, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	nc, err := c.cfg.Dial(within, "tcp", to.addr)
	if err != nil {
		return nil, &failure{kindConnect, err}
	}
	if to.secure {
		secure := tls.Client(nc, tlsConfig(to))
		if err := secure.HandshakeContext(within); err != nil {
			_ = nc.Close() // the handshake's failure is the one to tell
			return nil, &failure{kindConnect, err}
		}
		nc = secure
	}
	return nc, nil
}

// tlsConfig does not check certificates: the benchmark measures speed, not identity.
func tlsConfig(e edge) *tls.Config {
	host, _, _ := net.SplitHostPort(e.addr) // parseEdge made it
	return &tls.Config{ServerName: host, InsecureSkipVerify: true}
}

func (c *http1) drop(slot int) {
	if conn := c.conns[slot]; conn != nil {
		conn.forget()
		_ = conn.Close() // nothing more is wanted of it
		c.conns[slot] = nil
	}
}

func (c *http1) close() {
	for slot := range c.conns {
		c.drop(slot)
	}
	c.at.Store(0)
}

// silentError says that a connection ended before the first byte of an answer.
type silentError struct{ err error }

func (e *silentError) Error() string { return e.err.Error() }
func (e *silentError) Unwrap() error { return e.err }

// get makes one exchange. patience bounds the time until the answer's first byte, timeout the time from there. reuse
// reports whether the connection can be used again.
func (c *http1Conn) get(
	ctx context.Context, path string, buf []byte, patience, timeout time.Duration,
) (a answer, reuse bool, grown []byte, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return a, false, buf, &silentError{err}
	}
	if ctx.Err() != nil { // after the deadline is set, because the end of ctx sets it too
		return a, false, buf, ctx.Err()
	}
	c.request = append(c.request[:0], "GET "...)
	c.request = append(c.request, path...)
	c.request = append(c.request, " HTTP/1.1\r\nHost: "...)
	c.request = append(c.request, c.host...)
	c.request = append(c.request, "\r\nUser-Agent: killr-bench\r\nAccept: */*\r\nAccept-Encoding: "...)
	c.request = append(c.request, c.accept...)
	if c.cookie != "" {
		c.request = append(c.request, "\r\nCookie: "...)
		c.request = append(c.request, c.cookie...)
	}
	c.request = append(c.request, "\r\n\r\n"...)
	if _, err := c.Write(c.request); err != nil {
		return a, false, buf, &silentError{err}
	}
	if _, err := c.reader.Peek(1); err != nil {
		return a, false, buf, &silentError{err}
	}
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil || ctx.Err() != nil {
		return a, false, buf, cmp.Or(ctx.Err(), err)
	}
	resp, err := http.ReadResponse(c.reader, getRequest)
	if err != nil {
		return a, false, buf, fmt.Errorf("read the answer's head: %w", err)
	}
	body, err := readBody(buf, resp.Body, resp.ContentLength)
	if err != nil {
		return a, false, body, fmt.Errorf("read the answer's body, %d bytes so far: %w", len(body), err)
	}
	return newAnswer(resp.StatusCode, resp.Header, body), !resp.Close && c.reader.Buffered() == 0, body, nil
}

// maxBody bounds an answer, in bytes. No answer of the site is a tenth as large.
const maxBody = 64 << 20

// readBody reads r to its end into buf, or into a larger buffer. length is the announced length, or -1.
func readBody(buf []byte, r io.Reader, length int64) ([]byte, error) {
	buf = buf[:0]
	if length > maxBody {
		return buf, fmt.Errorf("%d bytes announced, more than %d", length, maxBody)
	}
	if int64(cap(buf)) <= length { // one more, to see the end without growing
		buf = make([]byte, 0, length+1)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		case len(buf) > maxBody:
			return buf, fmt.Errorf("more than %d bytes", maxBody)
		}
	}
}
