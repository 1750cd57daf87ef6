package edge

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// The express is the way of a request that is plain (see readPlain) and whose answer is a page, file or picture that is
// there. It runs below net/http, in the Read of a connection: while net/http waits for the next request, what comes is
// looked at, and what the express can answer never gets there. All else is handed on as it came. So there is one server
// and one place that knows HTTP in full; the express may decline anything, and what it answers is what the handler
// would have answered, in header fields and body. It costs half of net/http's way.
//
// Only whole requests are handed to net/http while the express keeps its eye on a connection, so that it always knows
// where the next one begins. Bytes that are foreign to it, such as a form or HTTP/2, end that: the connection is
// net/http's from then on.
type express struct {
	server   *Server
	stopping atomic.Bool
	date     atomic.Pointer[httpDate]

	off bool // net/http answers every request
	// slots has room for one token for each connection that may be open; nil: any number. netutil.LimitListener would
	// do the same, but its connections would hide CloseWrite and the type expressConn from net/http.
	slots chan struct{}
	shut  chan struct{} // closed with the listener
	once  sync.Once     // closes shut

	mu    sync.Mutex
	conns map[*expressConn]struct{}
	gone  chan struct{} // holds one: conns has become empty
}

// newExpress makes the express of a server. off: it leaves every request to net/http. conns is how many connections may
// be open at once, 0 for any number.
func newExpress(s *Server, off bool, conns int) *express {
	e := &express{
		server: s, off: off, conns: map[*expressConn]struct{}{}, gone: make(chan struct{}, 1),
		shut: make(chan struct{}),
	}
	if conns > 0 {
		e.slots = make(chan struct{}, conns)
	}
	return e
}

// expressListener gives net/http connections with the express within.
type expressListener struct {
	net.Listener
	express *express
}

func (l expressListener) Accept() (net.Conn, error) {
	if l.express.slots != nil {
		select {
		case l.express.slots <- struct{}{}:
		case <-l.express.shut:
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		l.express.release()
		return nil, err
	}
	c := &expressConn{Conn: conn, express: l.express, woken: make(chan struct{}, 1)}
	if l.express.off {
		c.state.Store(connForeign)
	}
	l.express.mu.Lock()
	l.express.conns[c] = struct{}{}
	l.express.mu.Unlock()
	return c, nil
}

// Close also ends an Accept that waits until there are fewer connections.
func (l expressListener) Close() error {
	l.express.once.Do(func() { close(l.express.shut) })
	return l.Listener.Close()
}

// release makes room for another connection.
func (e *express) release() {
	if e.slots != nil {
		<-e.slots
	}
}

func (e *express) forget(c *expressConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.conns[c]; open {
		e.release()
	}
	if delete(e.conns, c); len(e.conns) == 0 {
		select {
		case e.gone <- struct{}{}:
		default:
		}
	}
}

// stop declines what comes from now on, and ends the connections that net/http believes have not asked for anything
// yet: it would wait for their first request.
func (e *express) stop() {
	e.stopping.Store(true)
	e.each(func(c *expressConn) {
		if c.state.CompareAndSwap(connWaiting, connClosed) {
			_ = c.Conn.SetReadDeadline(longAgo)
		}
	})
}

// wait returns when every connection is closed, or ctx has ended. net/http closes them all; one that is being answered
// closes thereafter.
func (e *express) wait(ctx context.Context) error {
	for {
		e.mu.Lock()
		n := len(e.conns)
		e.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-e.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cut closes every connection at once.
func (e *express) cut() { e.each(func(c *expressConn) { _ = c.Conn.Close() }) }

func (e *express) each(f func(*expressConn)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		f(c)
	}
}
