package edge

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// ServeFast answers fast requests with the same header fields and bodies as ServeHTTP.
func (s *Server) ServeFast(w fastpath.Responder, r *fastpath.Request) (fastpath.Reason, error) {
	x := exchange{start: time.Now()}
	ref, reason := refOf(r)
	if reason != fastpath.ReasonNone {
		return reason, nil
	}
	x.number, x.kind = s.ids.next(), ref.Kind()
	x.accept = cache.ParseAccept([]string{string(r.AcceptEncoding)})
	if r.Trace != nil {
		x.trace, _ = wire.ParseTrace(string(r.Trace))
	}
	x.strict = s.hsts != nil && takesHSTS(r.Host)
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	err := s.answerFast(w, r, &x, variantOf(s.origins, ref, r.Host, x.accept))
	x.cut = err
	from := ""
	if s.cfg.AccessLog != nil {
		from = s.clientOf(w.RemoteAddr().String(), r)
	}
	s.finish(&x, http.MethodGet, func() string { return string(r.Target) }, from, "HTTP/1.1")
	return fastpath.ReasonNone, err
}

// refOf returns the page that a fast request is for, or why net/http must answer it.
func refOf(r *fastpath.Request) (page.Ref, fastpath.Reason) {
	ref, err := page.ParsePath(string(r.Target))
	if err != nil {
		return ref, fastpath.ReasonNoPage
	}
	var buf [64]byte
	if string(ref.AppendPath(buf[:0])) != string(r.Target) {
		return ref, fastpath.ReasonSpelling
	}
	return ref, fastpath.ReasonNone
}

// answerFast answers a request. An error closes the connection: the client has left, or a part of the answer was sent.
func (s *Server) answerFast(w fastpath.Responder, r *fastpath.Request, x *exchange, ref page.Ref) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(x, string(r.Target), p)
			if err = wire.ErrInternal; x.status == 0 {
				x.cause, err = err, s.sendError(w, x, http.StatusInternalServerError)
			}
		}
	}()
	variant, err := s.pages.resolve(w, x, ref)
	if errors.Is(err, errLeft) {
		return err
	}
	s.metrics.fast.Inc()
	if err == nil {
		return s.send(w, r, x, variant)
	}
	x.cause = err
	return s.sendError(w, x, statusOf(err))
}

// send writes a page.
func (s *Server) send(w fastpath.Responder, r *fastpath.Request, x *exchange, v *cache.Variant) error {
	head, body := s.headOf(x.page, v), v.Body
	if x.tier == tierStale {
		head = s.newHead(x.page, v, tierStale)
	}
	x.status = x.page.Reply.Status
	if r.IfNoneMatch != nil && notModified(x.page, []string{string(r.IfNoneMatch)}) {
		x.status = http.StatusNotModified
		return s.write(w, x, head.NotModified, nil)
	}
	return s.write(w, x, head.Full, body)
}

// sendError writes the error page of a status.
func (s *Server) sendError(w fastpath.Responder, x *exchange, status int) error {
	x.status = status
	body, fields := s.errs.page(status)
	var head []byte
	fields(func(name string, value []string) { head = appendField(head, name, value) })
	return s.write(w, x, head, body)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// write writes an answer: the status line, head, the header fields of x, and the body. A large body is written in
// chunks, each of which has its own deadline.
func (s *Server) write(w fastpath.Responder, x *exchange, head, body []byte) error {
	if err := w.MoveDeadlines(x.start); err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := append(appendStatus((*buf)[:0], x.status), head...)
	b = append(append(append(b, "Date: "...), s.date.at(time.Now())...), "\r\n"...)
	if x.strict {
		b = appendField(b, "Strict-Transport-Security", s.hsts)
	}
	if w.Closing() {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(x.number.append(append(b, "X-Request-Id: "...)), "\r\n"...)
	b = append(append(append(b, "X-Cache: "...), x.tier.String()...), "\r\n"...)
	b = append(x.appendTiming(append(b, "Server-Timing: "...)), "\r\n\r\n"...)
	n := min(len(body), chunkSize)
	b = append(b, body[:n]...)
	*buf = b
	for {
		if n > smallBody {
			if err := w.SetWriteDeadline(time.Now().Add(writeTimeoutOf(n))); err != nil {
				return err
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		x.bytes += n
		if body = body[n:]; len(body) == 0 {
			return nil
		}
		n = min(len(body), chunkSize)
		b = body[:n]
	}
}

// appendStatus appends a status line.
func appendStatus(b []byte, status int) []byte {
	switch status { // almost always
	case http.StatusOK:
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	case http.StatusNotModified:
		return append(b, "HTTP/1.1 304 Not Modified\r\n"...)
	}
	return fmt.Appendf(b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
}

func appendField(b []byte, name string, value []string) []byte {
	return append(append(append(append(b, name...), ": "...), value[0]...), "\r\n"...)
}

// headOf returns the header fields of a page that is not stale. They are formatted once for each variant.
func (s *Server) headOf(p *cache.Page, v *cache.Variant) *cache.Head {
	h := v.Head.Load()
	if h == nil {
		h = s.newHead(p, v, tierNone)
		v.Head.Store(h)
	}
	return h
}

// headRoom is the size of most heads, in bytes.
const headRoom = 640

// newHead formats the header fields of a page. A 304 has no Content-Type, as in net/http, and no fields of the body.
func (s *Server) newHead(p *cache.Page, v *cache.Variant, from tier) *cache.Head {
	b := make([]byte, 0, headRoom)
	add := func(name string, value []string) { b = appendField(b, name, value) }
	s.describe(p, v, from, func(name string, value []string) {
		if name != "Content-Type" {
			add(name, value)
		}
	})
	notModified := len(b)
	add("Content-Type", p.ContentType)
	describeBody(v, add)
	return &cache.Head{Full: b, NotModified: b[:notModified:notModified]}
}

// dateField formats the header field Date once a second.
type dateField struct{ last atomic.Pointer[httpDate] }

type httpDate struct {
	second int64
	text   string
}

func (f *dateField) at(t time.Time) string {
	d := f.last.Load()
	if d == nil || d.second != t.Unix() {
		d = &httpDate{t.Unix(), t.UTC().Format(http.TimeFormat)}
		f.last.Store(d)
	}
	return d.text
}
