package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// The express is the way of a request that is plain (see readPlain) and whose answer is a page, file or picture that is there. It runs below
// net/http, in the Read of a connection: while net/http waits for the next request, what comes is looked at, and what the express can
// answer never gets there. All else is handed on as it came. So there is one server and one place that knows HTTP in full; the express may
// decline anything, and what it answers is what the handler would have answered, in header fields and body. It costs half of net/http's way.
//
// Only whole requests are handed to net/http while the express keeps its eye on a connection, so that it always knows where the next one
// begins. Bytes that are foreign to it, such as a form or HTTP/2, end that: the connection is net/http's from then on.
type express struct {
	server   *Server
	stopping atomic.Bool
	date     atomic.Pointer[httpDate]

	mu    sync.Mutex
	conns map[*expressConn]struct{}
	gone  chan struct{} // holds one: conns has become empty
}

func newExpress(s *Server) *express {
	return &express{server: s, conns: map[*expressConn]struct{}{}, gone: make(chan struct{}, 1)}
}

// expressListener gives net/http connections with the express within.
type expressListener struct {
	net.Listener
	express *express
}

func (l expressListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &expressConn{Conn: conn, express: l.express}
	l.express.mu.Lock()
	l.express.conns[c] = struct{}{}
	l.express.mu.Unlock()
	return c, nil
}

func (e *express) forget(c *expressConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if delete(e.conns, c); len(e.conns) == 0 {
		select {
		case e.gone <- struct{}{}:
		default:
		}
	}
}

// stop declines what comes from now on, and ends the connections that net/http believes have not asked for anything yet: it would wait for
// their first request.
func (e *express) stop() {
	e.stopping.Store(true)
	e.each(func(c *expressConn) {
		if c.state.CompareAndSwap(connWaiting, connClosed) {
			_ = c.Conn.SetReadDeadline(longAgo)
		}
	})
}

// wait returns when every connection is closed, or ctx has ended. net/http closes them all; one that is being answered closes thereafter.
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

// What an expressConn is at.
const (
	connNew       int32 = iota // nothing has come
	connWaiting                // waits for a request; the express has answered at least one
	connAnswering              // the express has one
	connPassed                 // net/http has one
	connForeign                // net/http has the connection
	connClosed
)

// expressConn is a connection as net/http sees it. Read is called by one goroutine at a time: the one that serves the connection or, while
// net/http has a request, the one with which it watches whether the visitor leaves.
type expressConn struct {
	net.Conn
	express  *express
	state    atomic.Int32
	deadline time.Time // when the express has set those for reading and writing
	ahead    []byte    // what has been read and net/http has not been given
	owed     int       // how much of it, at its beginning, belongs to the request that net/http has
	found    *found    // what the express has found for that request
}

const (
	headRoom     = 4 << 10     // bytes read ahead, at most: a plain request has a few hundred
	deadlineStep = time.Second // deadlines move once in this time, at most: to move one costs as much as to read a request
)

// Read gives net/http what is for it. That a connection is at its end it is told by io.EOF, on which it says no more to the visitor.
func (c *expressConn) Read(p []byte) (int, error) {
	switch state := c.state.Load(); {
	case state == connClosed:
		return 0, io.EOF
	case c.owed > 0:
		return c.give(p), nil
	case state == connForeign:
		return c.Conn.Read(p)
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
			return c.pass(p, size, connForeign)
		}
		if form == formWhole || !c.enter() {
			return c.pass(p, size, connPassed)
		}
		answered, err := c.express.contain(c, &q)
		if !answered {
			return c.pass(p, size, connPassed)
		}
		if err != nil || !c.state.CompareAndSwap(connAnswering, connWaiting) || c.express.stopping.Load() { // in this order, see stop
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

// watch is net/http's look-out for a visitor who leaves before the answer: an error tells of that. What comes instead is kept for when it
// is done; the connection of somebody who sends more than a request's head at once is net/http's.
func (c *expressConn) watch(p []byte) (int, error) {
	if err := c.lookOut(0); err != nil {
		return 0, err
	}
	c.state.CompareAndSwap(connPassed, connForeign)
	c.owed = len(c.ahead)
	return c.give(p), nil
}

// lookOut reads ahead, beyond the first so many bytes, until that fails, as when the visitor leaves, or there is no room. Who has sent more
// requests and then said that these are all is still there.
func (c *expressConn) lookOut(own int) error {
	for len(c.ahead) < headRoom {
		if err := c.readAhead(); err != nil {
			if errors.Is(err, io.EOF) && len(c.ahead) > own {
				return nil
			}
			return err
		}
	}
	return nil
}

// connState is told by net/http what it does with a connection: when it is done with a request, it is the express's turn again.
func connState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*expressConn); ok && state == http.StateIdle {
		c.deadline = time.Time{}
		c.state.CompareAndSwap(connPassed, connWaiting)
	}
}

// Close leaves a connection that is being answered open for as long as that takes: net/http, which believes that it is idle, closes it
// again when Read has returned. The second Close is one, whoever makes it.
func (c *expressConn) Close() error {
	if c.state.Swap(connClosed) == connAnswering {
		return nil
	}
	c.express.forget(c)
	return c.Conn.Close()
}

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

// contain makes a panic the end of its connection.
func (e *express) contain(c *expressConn, q *plainRequest) (answered bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.server.log.Error("panic", "path", string(q.target), "panic", p, "stack", string(debug.Stack()))
			answered, err = true, errPanic
		}
	}()
	return e.answer(c, q)
}

var errPanic = errors.New("panic")

// answer answers a plain request with a copy of a page, wherever that comes from. What takes more than that, such as a page that is not there
// or an older copy instead of none, is the handler's. The error is the connection's.
func (e *express) answer(c *expressConn, q *plainRequest) (bool, error) {
	s := e.server
	x := exchange{start: time.Now()}
	ref, err := page.ParsePath(string(q.target))
	if err != nil {
		return false, nil
	}
	var buf [64]byte
	if string(ref.AppendPath(buf[:0])) != string(q.target) {
		return false, nil
	}
	accept := []string{string(q.accept)}
	if ref.Kind() == page.KindAsset {
		ref = ref.Encoded(assetEncoding(accept))
	}
	x.number, x.kind = s.nextID(), ref.Kind()
	s.meters.inFlight.Inc()
	defer s.meters.inFlight.Dec()
	got, err := e.get(c, want{ref: ref, gzip: accepts(accept, wire.EncodingGzip)}, &x)
	switch {
	case errors.Is(err, errLeft):
		e.done(c, q, &x)
		return true, err
	case err != nil || got.copy.reply.Status != http.StatusOK:
		c.found = &found{ref: ref, start: x.start, number: x.number, got: got, err: err}
		return false, nil
	}
	v := s.compressor.variant(got.copy, accept, got.tier == tierNear)
	if got.copy.broken.Load() {
		s.replace(got.copy)
		c.found = &found{ref: ref, broken: true}
		return false, nil
	}
	x.tier, x.timing = got.tier, got.timing
	s.meters.express.Inc()
	if err = c.extend(x.start); err == nil {
		err = e.write(c, q, &x, got.copy, v)
	}
	x.cut = err
	e.done(c, q, &x)
	return true, err
}

func (e *express) done(c *expressConn, q *plainRequest, x *exchange) {
	e.server.count(x)
	if e.server.cfg.AccessLog != nil {
		e.server.access(x, http.MethodGet, string(q.target), c.RemoteAddr().String(), "HTTP/1.1")
	}
}

// get gets a copy from the near cache, from memcached or by the bus. Only the last takes so long that it looks out for a visitor who leaves.
func (e *express) get(c *expressConn, what want, x *exchange) (fetched, error) {
	s := e.server
	near := s.near.get(what.ref)
	if near != nil && s.fresh.checkAt(near, x.start) {
		s.hit(near, x.start)
		return fetched{copy: near, tier: tierNear}, nil
	}
	looked, told := s.look(context.Background(), what) // no longer than its own bound
	if looked.copy != nil {
		return looked, nil
	}
	if told {
		what.looked = &looked
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if err := c.Conn.SetReadDeadline(time.Time{}); err != nil {
		return fetched{}, errLeft
	}
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		if err := c.lookOut(len(c.ahead)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel(errLeft)
		}
	}()
	got, err := s.obtainOr(ctx, near, what, x.number)
	_ = c.Conn.SetReadDeadline(longAgo)
	<-watch
	c.deadline = time.Time{}
	_ = c.Conn.SetReadDeadline(c.deadline)
	return got, err
}

// errLeft: the visitor has closed the connection before the answer.
var errLeft = errors.New("the visitor has left")

// longAgo ends a Read as a deadline.
var longAgo = time.Unix(1, 0)

// found is what the express has found for a request that it hands on, for the handler to go on from.
type found struct {
	ref    page.Ref
	start  time.Time
	number requestID
	got    fetched
	err    error
	broken bool // nothing but a copy that could not be unpacked
}

// connKey is the key of a connection in the contexts of its requests.
type connKey struct{}

func connContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// foundFor gives what the express has found for a request, once; nil if it has not had it.
func foundFor(r *http.Request, ref page.Ref) *found {
	c, ok := r.Context().Value(connKey{}).(*expressConn)
	if !ok || c.found == nil { // as on a connection of HTTP/2, whose requests come here at the same time
		return nil
	}
	f := c.found
	if c.found = nil; f.ref != ref {
		return nil
	}
	return f
}

var answerBuffers = sync.Pool{New: func() any { return new([]byte) }}

// write writes the answer; what is more than a chunk of it in parts, each of which gives the visitor more time.
func (e *express) write(c *expressConn, q *plainRequest, x *exchange, copied *held, v *variant) (err error) {
	buf := answerBuffers.Get().(*[]byte)
	defer answerBuffers.Put(buf)
	b, body := (*buf)[:0], v.body
	x.status = http.StatusOK
	if v.etag != nil && q.ifNoneMatch != nil && matches([]string{string(q.ifNoneMatch)}, copied.reply.ETag) {
		x.status, body = http.StatusNotModified, nil
		b = append(append(b, "HTTP/1.1 304 Not Modified\r\n"...), v.fields(copied).unchanged...)
	} else {
		b = append(append(b, "HTTP/1.1 200 OK\r\n"...), v.fields(copied).full...)
	}
	b = append(append(append(b, "Date: "...), e.now(x.start)...), "\r\n"...)
	b = append(x.number.append(append(b, "X-Request-Id: "...)), "\r\n"...)
	b = append(append(append(b, "X-Cache: "...), x.tier.String()...), "\r\n"...)
	b = append(x.appendTiming(append(b, "Server-Timing: "...)), "\r\n\r\n"...)
	n := min(len(body), chunk)
	b = append(b, body[:n]...)
	*buf = b
	for {
		if n > small {
			if err = c.Conn.SetWriteDeadline(time.Now().Add(patienceFor(n))); err != nil {
				return err
			}
		}
		if _, err = c.Conn.Write(b); err != nil {
			return err
		}
		x.bytes += n
		if body = body[n:]; len(body) == 0 {
			return nil
		}
		n = min(len(body), chunk)
		b = body[:n]
	}
}

// httpDate is a second as the header Date has it.
type httpDate struct {
	second int64
	text   string
}

// now gives t for the header Date, formatted once a second.
func (e *express) now(t time.Time) string {
	d := e.date.Load()
	if d == nil || d.second != t.Unix() {
		d = &httpDate{t.Unix(), t.UTC().Format(http.TimeFormat)}
		e.date.Store(d)
	}
	return d.text
}

// headerRoom is how many bytes a page's headerText takes, about.
const headerRoom = 640

// headerText is the part of an answer's header, each line with its end, that is the same whoever asks.
type headerText struct {
	full      []byte // of an answer with its body
	unchanged []byte // of a 304
}

// fields gives the header that answers with this variant of the copy have, written once.
func (v *variant) fields(c *held) *headerText {
	if t := v.text.Load(); t != nil {
		return t
	}
	t := &headerText{full: make([]byte, 0, headerRoom)}
	line := func(name string, value []string) {
		t.full = append(append(append(append(t.full, name...), ": "...), value[0]...), "\r\n"...)
	}
	c.describe(v, func(name string, value []string) {
		if name != "Content-Type" { // a 304 has none, as net/http sees to for its own
			line(name, value)
		}
	})
	t.unchanged = t.full[:len(t.full):len(t.full)]
	line("Content-Type", c.contentType)
	v.describe(line)
	v.text.Store(t)
	return t
}
