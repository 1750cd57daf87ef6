package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"flickrkillr/schema/page"
)

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

// answer answers a plain request with a copy of a page, wherever that comes from. What takes more than that, such as a
// page that is not there or an older copy instead of none, is the handler's. The error is the connection's.
func (e *express) answer(c *expressConn, q *plainRequest) (bool, error) {
	s := e.server
	x := exchange{start: time.Now()}
	ref, err := page.ParsePath(string(q.target))
	if err != nil {
		c.why = reasonNoPage
		return false, nil
	}
	var buf [64]byte
	if string(ref.AppendPath(buf[:0])) != string(q.target) {
		c.why = reasonSpelling
		return false, nil
	}
	x.number, x.kind, x.accepted = s.nextID(), ref.Kind(), readCodings([]string{string(q.accept)})
	if x.kind == page.KindAsset {
		ref = ref.Encoded(assetEncoding(x.accepted))
	}
	ref = shown(s.origins, ref, q.host)
	s.meters.inFlight.Inc()
	defer s.meters.inFlight.Dec()
	got, err := e.get(c, want{ref: ref, gzip: x.accepted.gzip > 0}, &x)
	switch {
	case errors.Is(err, errLeft):
		e.done(c, q, &x)
		return true, err
	case err != nil || got.copy.reply.Status != http.StatusOK:
		c.found = &found{ref: ref, start: x.start, number: x.number, got: got, err: err}
		c.why = reasonAnswer
		return false, nil
	}
	v := s.compressor.variant(got.copy, x.accepted, got.tier == tierNear)
	if got.copy.broken.Load() {
		s.replace(got.copy)
		c.found = &found{ref: ref, broken: true}
		c.why = reasonBroken
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

// get gets a copy from the near cache, from memcached or by the bus. Only the last takes so long that it looks out for
// a visitor who leaves.
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
	if err := c.SetReadDeadline(time.Time{}); err != nil {
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
	_ = c.SetReadDeadline(longAgo)
	<-watch
	c.deadline = time.Time{}
	_ = c.SetReadDeadline(c.deadline)
	return got, err
}

// errLeft: the visitor has closed the connection before the answer.
var errLeft = errors.New("the visitor has left")

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

// connOf gives the connection that a request came by, nil when it lies within TLS.
func connOf(r *http.Request) *expressConn {
	c, _ := r.Context().Value(connKey{}).(*expressConn)
	return c
}

// foundFor gives what the express has found for a request, once; nil if it has not had it.
func foundFor(r *http.Request, ref page.Ref) *found {
	c := connOf(r)
	if c == nil || c.found == nil { // as on a connection of HTTP/2, whose requests come here at the same time
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
	if copied.etag != nil && q.ifNoneMatch != nil && matches([]string{string(q.ifNoneMatch)}, copied.reply.ETag) {
		x.status, body = http.StatusNotModified, nil
		b = append(append(b, "HTTP/1.1 304 Not Modified\r\n"...), v.fields(copied).unchanged...)
	} else {
		b = append(append(b, "HTTP/1.1 200 OK\r\n"...), v.fields(copied).full...)
	}
	b = append(append(append(b, "Date: "...), e.now(time.Now())...), "\r\n"...)
	if c.last() {
		b = append(b, "Connection: close\r\n"...)
	}
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
