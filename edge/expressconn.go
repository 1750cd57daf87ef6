package edge

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// What an expressConn is at.
const (
	connNew       int32 = iota // nothing has come
	connWaiting                // waits for a request; the express has answered at least one
	connAnswering              // the express has one
	connPassed                 // net/http has one
	connForeign                // net/http has the connection
	connClosed
)

// expressConn is a connection as net/http sees it. Read is called by one goroutine at a time: the one that serves the
// connection or, while net/http has a request, the one with which it watches whether the visitor leaves.
type expressConn struct {
	net.Conn
	express  *express
	state    atomic.Int32
	deadline time.Time // when the express has set those for reading and writing
	ahead    []byte    // what has been read and net/http has not been given
	owed     int       // how much of it, at its beginning, belongs to the request that net/http has
	found    *found    // what the express has found for that request
	why      reason    // why net/http has it

	busy        atomic.Bool   // net/http has a request in hand
	handled     atomic.Bool   // and the handler has it, or has had it
	interrupted atomic.Bool   // the deadline for reading has been put into the past
	woken       chan struct{} // holds one: interrupted has become true
}

const (
	headRoom     = 4 << 10     // bytes read ahead, at most: a plain request has a few hundred
	deadlineStep = time.Second // how often deadlines move, at most: moving one costs as much as reading a request
)

// Read gives net/http what is for it. That a connection is at its end it is told by io.EOF, on which it says no more to
// the visitor.
func (c *expressConn) Read(p []byte) (int, error) {
	switch state := c.state.Load(); {
	case state == connClosed:
		return 0, io.EOF
	case c.owed > 0:
		return c.give(p), nil
	case state == connForeign:
		n, err := c.Conn.Read(p)
		if errors.Is(err, io.EOF) && c.busy.Load() {
			err = c.hold()
		}
		return n, err
	case state == connPassed:
		return c.watch(p)
	}
	for {
		if len(c.ahead) == 0 {
			if err := c.readAhead(); err != nil {
				return 0, err
			}
		}
		c.found = nil
		size := len(c.ahead)
		q, form := readPlain(c.ahead)
		if form == formForeign {
			c.why = reasonUnparsed
			return c.pass(p, size, connForeign)
		}
		if form == formWhole {
			c.why = q.why
			return c.pass(p, size, connPassed)
		}
		if !c.enter() {
			c.why = reasonStopping
			return c.pass(p, size, connPassed)
		}
		answered, err := c.express.contain(c, &q)
		if !answered {
			return c.pass(p, size, connPassed)
		}
		// in this order, see stop
		if err != nil || !c.state.CompareAndSwap(connAnswering, connWaiting) || c.express.stopping.Load() {
			c.state.Store(connClosed) // to net/http, which may read again whatever it is told
			return 0, io.EOF
		}
		c.ahead = c.ahead[:copy(c.ahead, c.ahead[size:])]
	}
}

// readAhead waits for bytes and reads them, as many as there is room for.
func (c *expressConn) readAhead() error {
	if c.ahead == nil {
		c.ahead = make([]byte, 0, headRoom)
	}
	n, err := c.Conn.Read(c.ahead[len(c.ahead):headRoom])
	c.ahead = c.ahead[:len(c.ahead)+n]
	return err
}

// give moves into p what net/http is owed.
func (c *expressConn) give(p []byte) int {
	n := copy(p, c.ahead[:c.owed])
	c.owed -= n
	c.ahead = c.ahead[:copy(c.ahead, c.ahead[n:])]
	if len(c.ahead) == 0 && c.state.Load() == connForeign {
		c.ahead = nil // it will not be needed again
	}
	return n
}

// enter has the express begin with a request, unless the connection or the server is at its end.
func (c *expressConn) enter() bool {
	was := c.state.Load()
	return was != connClosed && !c.express.stopping.Load() && c.state.CompareAndSwap(was, connAnswering)
}

// pass hands net/http a request, the first so many bytes of what has been read.
func (c *expressConn) pass(p []byte, size int, to int32) (int, error) {
	if was := c.state.Load(); was == connClosed || !c.state.CompareAndSwap(was, to) {
		return 0, io.EOF
	}
	// net/http has done so itself, but for its first request: that one it has waited for since the connection began.
	if err := c.Conn.SetReadDeadline(time.Now().Add(headerTimeout)); err != nil {
		return 0, err
	}
	c.owed = size
	return c.give(p), nil
}

// watch is net/http's look-out for a visitor who leaves before the answer: an error tells of that. What comes instead
// is kept for when it is done; the connection of somebody who sends more than a request's head at once is net/http's.
func (c *expressConn) watch(p []byte) (int, error) {
	if err := c.lookOut(0); err != nil {
		return 0, err
	}
	c.state.CompareAndSwap(connPassed, connForeign)
	c.owed = len(c.ahead)
	return c.give(p), nil
}

// lookOut reads ahead, beyond the first so many bytes, until that fails, as when the visitor leaves, or there is no
// room. A FIN after further requests is a half-close; one after the request that is being answered may be.
func (c *expressConn) lookOut(own int) error {
	for len(c.ahead) < headRoom {
		err := c.readAhead()
		switch {
		case errors.Is(err, io.EOF) && len(c.ahead) > own:
			return nil
		case errors.Is(err, io.EOF):
			return c.hold()
		case err != nil:
			return err
		}
	}
	return nil
}

// connState is told by net/http what it does with a connection: when it is done with a request, it is the express's
// turn again.
func connState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*expressConn)
	switch {
	case ok && state == http.StateActive:
		c.busy.Store(true)
	case ok && state == http.StateIdle:
		c.busy.Store(false)
		c.handled.Store(false)
		c.deadline = time.Time{}
		if !c.state.CompareAndSwap(connPassed, connWaiting) && c.why != reasonUnparsed {
			c.why = reasonUnparsed // watch has made the connection net/http's
		}
	}
}

// Close leaves a connection that is being answered open for as long as that takes: net/http, which believes that it is
// idle, closes it again when Read has returned. The second Close is one, whoever makes it.
func (c *expressConn) Close() error {
	if c.state.Swap(connClosed) == connAnswering {
		return nil
	}
	c.interrupt()
	c.express.forget(c)
	return c.Conn.Close()
}

// CloseWrite sends a FIN. net/http does so before it waits for a client that is still sending a head that is too large,
// so that the client sees the end of the answer at once.
func (c *expressConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return errors.ErrUnsupported
}

// last reports that the connection is closed after the answer under way.
func (c *expressConn) last() bool { return c.express.stopping.Load() || c.state.Load() == connClosed }

// extend moves the deadlines on.
func (c *expressConn) extend(now time.Time) error {
	if now.Sub(c.deadline) < deadlineStep {
		return nil
	}
	if c.deadline.IsZero() { // net/http or a fetch has had the connection, which can take a while
		now = time.Now()
	}
	c.deadline = now
	if err := c.Conn.SetReadDeadline(now.Add(idleTimeout + deadlineStep)); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(now.Add(stall + deadlineStep))
}

// longAgo ends a Read as a deadline.
var longAgo = time.Unix(1, 0)
