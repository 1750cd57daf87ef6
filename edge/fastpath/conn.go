package fastpath

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// States of a conn.
const (
	connNew       int32 = iota // nothing was read
	connWaiting                // waits for a request; the fast path has answered at least one
	connAnswering              // the fast path answers a request
	connDelegated              // net/http answers a request
	connUnparsed               // the connection belongs to net/http
	connHTTP2                  // a connection of HTTP/2
	connClosed
)

// conn is a connection as net/http sees it. One goroutine at a time calls Read: the one that serves the connection or,
// while net/http answers a request, the one in which net/http waits for a disconnect.
type conn struct {
	net.Conn
	server   *Server
	state    atomic.Int32
	deadline time.Time    // when the fast path last moved the deadlines
	ahead    []byte       // read, and not passed to net/http yet
	owed     int          // bytes at the beginning of ahead that belong to the request that net/http has
	request  Request      // the current request; part of the connection so that none is allocated
	reason   Reason       // why net/http has the request
	http2    *http2Filter // nil: the connection is not known to be one of HTTP/2
	address  *Address     // its own, or shared
	counted  bool         // address is shared
	held     held
	encrypts bool // Conn is a *tls.Conn that has not shaken hands yet

	begun       atomic.Bool   // its first request, or its HTTP/2, is in a handler or beyond it
	busy        atomic.Bool   // net/http has a request
	handled     atomic.Bool   // net/http's handler has, or had, the request
	interrupted atomic.Bool   // the deadline for reading is in the past
	woken       chan struct{} // capacity 1: interrupted has become true
}

const (
	headRoom     = 4 << 10     // bytes read ahead, at most: a fast request has a few hundred
	deadlineStep = time.Second // how often deadlines move, at most: moving one costs as much as reading a request
)

// past is a deadline that ends a Read.
var past = time.Unix(1, 0)

// Read answers fast requests and returns the bytes of others. It returns io.EOF at the end of a connection, on which
// net/http writes nothing more.
func (c *conn) Read(p []byte) (int, error) {
	if c.encrypts {
		if err := c.shakeHands(); err != nil {
			return 0, err
		}
	}
	switch state := c.state.Load(); {
	case state == connClosed:
		return 0, io.EOF
	case c.owed > 0:
		return c.give(p), nil
	case state == connHTTP2:
		return c.readHTTP2(p)
	case state == connUnparsed:
		n, err := c.Conn.Read(p)
		if errors.Is(err, io.EOF) && c.busy.Load() {
			err = c.delayEOF()
		}
		return n, err
	case state == connDelegated:
		return c.watchClient(p)
	}
	for {
		if len(c.ahead) == 0 {
			if err := c.readAhead(); err != nil {
				return 0, err
			}
		}
		if c.state.Load() == connNew {
			switch begins, whole := beginsHTTP2(c.ahead); {
			case begins && whole:
				return c.filter(p)
			case begins:
				if err := c.readAhead(); err != nil {
					return 0, err
				}
				continue
			case c.agreedOnHTTP2():
				return 0, io.EOF
			}
		}
		size := len(c.ahead)
		var k kind
		c.request, k = parse(c.ahead)
		switch {
		case k == kindUnparsed:
			c.reason = ReasonUnparsed
			return c.delegate(p, size, connUnparsed)
		case k == kindDelegated:
			c.reason = c.request.reason
			return c.delegate(p, size, connDelegated)
		case !c.enter():
			c.reason = ReasonStopping
			return c.delegate(p, size, connDelegated)
		}
		c.begun.Store(true)
		reason, err := c.serve()
		if reason != ReasonNone {
			c.reason = reason
			return c.delegate(p, size, connDelegated)
		}
		// The order of these three matters, see Stop.
		if err != nil || !c.state.CompareAndSwap(connAnswering, connWaiting) || c.server.stopping.Load() {
			c.state.Store(connClosed) // net/http may call Read again whatever this one returns
			return 0, io.EOF
		}
		c.ahead = c.ahead[:copy(c.ahead, c.ahead[size:])]
	}
}

var errPanic = errors.New("panic")

// filter begins a connection of HTTP/2.
func (c *conn) filter(p []byte) (int, error) {
	c.http2 = newHTTP2Filter(c)
	c.http2.begin(c.ahead)
	c.ahead = nil
	if !c.state.CompareAndSwap(connNew, connHTTP2) {
		return 0, io.EOF
	}
	return c.readHTTP2(p)
}

// readHTTP2 is Read of a connection of HTTP/2. A panic ends the connection and harms nothing else.
func (c *conn) readHTTP2(p []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.cfg.Log.Error("panic", "from", c.RemoteAddr(), "panic", p, "stack", string(debug.Stack()))
			n, err = 0, errPanic
		}
	}()
	return c.http2.read(p)
}

// serve calls the handler. A panic closes the connection and harms nothing else.
func (c *conn) serve() (reason Reason, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.cfg.Log.Error("panic", "path", string(c.request.Target), "panic", p,
				"stack", string(debug.Stack()))
			reason, err = ReasonNone, errPanic
		}
	}()
	return c.server.cfg.Handler.ServeFast(Responder{c}, &c.request)
}

// readAhead waits for bytes, and reads as many as it has room for.
func (c *conn) readAhead() error {
	if c.ahead == nil {
		c.ahead = make([]byte, 0, headRoom)
	}
	n, err := c.Conn.Read(c.ahead[len(c.ahead):headRoom])
	c.ahead = c.ahead[:len(c.ahead)+n]
	return err
}

// give moves owed bytes to p.
func (c *conn) give(p []byte) int {
	n := copy(p, c.ahead[:c.owed])
	c.owed -= n
	c.ahead = c.ahead[:copy(c.ahead, c.ahead[n:])]
	if len(c.ahead) == 0 && c.state.Load() == connUnparsed {
		c.ahead, c.request = nil, Request{} // nothing needs the buffer any more
	}
	return n
}

// enter begins an answer, unless the connection is closed or the server drains or stops.
func (c *conn) enter() bool {
	state := c.state.Load()
	return state != connClosed && !c.server.draining.Load() && !c.server.stopping.Load() &&
		c.state.CompareAndSwap(state, connAnswering)
}

// delegate passes a request to net/http: the first size bytes that were read.
func (c *conn) delegate(p []byte, size int, to int32) (int, error) {
	if state := c.state.Load(); state == connClosed || !c.state.CompareAndSwap(state, to) {
		return 0, io.EOF
	}
	// net/http has set this deadline itself, except for its first request: it has waited for that one since the
	// connection was accepted.
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.server.cfg.HeaderTimeout)); err != nil {
		return 0, err
	}
	c.owed = size
	return c.give(p), nil
}

// watchClient is the Read in which net/http waits for a disconnect, which is an error. Bytes that arrive meanwhile are
// kept for later. When there is no room for more of them, the connection belongs to net/http.
func (c *conn) watchClient(p []byte) (int, error) {
	if err := c.readUntilEOF(0); err != nil {
		return 0, err
	}
	c.state.CompareAndSwap(connDelegated, connUnparsed)
	c.owed = len(c.ahead)
	return c.give(p), nil
}

// readUntilEOF reads ahead until reading fails, as after a disconnect, or there is no more room. own is how many of the
// bytes ahead belong to the request that is being answered. A FIN after further bytes is a half-close of a client that
// pipelines requests; a FIN right after the request may be a disconnect.
func (c *conn) readUntilEOF(own int) error {
	for len(c.ahead) < headRoom {
		err := c.readAhead()
		switch {
		case errors.Is(err, io.EOF) && len(c.ahead) > own:
			return nil
		case errors.Is(err, io.EOF):
			return c.delayEOF()
		case err != nil:
			return err
		}
	}
	return nil
}

// Close is called by net/http. During an answer of the fast path the first Close is deferred: net/http, which believes
// that the connection is idle, calls it again when Read has returned.
func (c *conn) Close() error {
	if c.state.Swap(connClosed) == connAnswering {
		return nil
	}
	c.interrupt()
	err := c.closeConn()
	c.held.close()
	c.server.remove(c) // which makes room for another connection
	return err
}

// closeConn closes the connection. Within TLS that is announced, which takes up to 5 s, unless the server stops.
func (c *conn) closeConn() error {
	if encrypted, ok := c.Conn.(*tls.Conn); ok && c.server.stopping.Load() {
		return encrypted.NetConn().Close()
	}
	return c.Conn.Close()
}

// CloseWrite sends a FIN. net/http calls it before it waits for a client that still sends a header that is too large,
// so that the client sees the end of the answer at once.
func (c *conn) CloseWrite() error {
	under := c.Conn
	if encrypted, ok := under.(*tls.Conn); ok {
		if err := encrypted.CloseWrite(); err != nil {
			return err
		}
		under = encrypted.NetConn()
	}
	if tcp, ok := under.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}
