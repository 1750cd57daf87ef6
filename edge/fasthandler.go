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
)

// ServeFast answers fast requests with the same header fields and bodies as ServeHTTP.
func (s *Server) ServeFast(w fastpath.Responder, r *fastpath.Request) (fastpath.Reason, error) {
	x := exchange{start: time.Now()}
	ref, err := page.ParsePath(string(r.Target))
	if err != nil {
		return fastpath.ReasonNoPage, nil
	}
	var buf [64]byte
	if string(ref.AppendPath(buf[:0])) != string(r.Target) {
		return fastpath.ReasonSpelling, nil
	}
	x.number, x.kind = s.nextID(), ref.Kind()
	x.accept = cache.ParseAccept([]string{string(r.AcceptEncoding)})
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	p, variant, err := s.resolve(w, &x, variantOf(s.origins, ref, r.Host, x.accept))
	if !errors.Is(err, errLeft) {
		s.metrics.fast.Inc()
		if err == nil {
			err = s.send(w, r, &x, p, variant)
		} else {
			x.cause, err = err, s.sendError(w, &x, statusOf(err))
		}
		x.cut = err
	}
	from := ""
	if s.cfg.AccessLog != nil {
		from = w.RemoteAddr().String()
	}
	s.finish(&x, http.MethodGet, func() string { return string(r.Target) }, from, "HTTP/1.1")
	return fastpath.ReasonNone, err
}

// send writes a page.
func (s *Server) send(w fastpath.Responder, r *fastpath.Request, x *exchange, p *cache.Page, v *cache.Variant) error {
	x.status = p.Reply.Status
	if x.tier == tierStale {
		head := newHead(x.status, func(field fieldFunc) { describe(p, v, tierStale, field); describeBody(v, field) })
		return s.write(w, x, head, v.Body)
	}
	head := headOf(p, v)
	if x.status == http.StatusOK && p.ETag != nil && r.IfNoneMatch != nil &&
		matches([]string{string(r.IfNoneMatch)}, p.Reply.ETag) {
		x.status = http.StatusNotModified
		return s.write(w, x, head.NotModified, nil)
	}
	return s.write(w, x, head.Full, v.Body)
}

// sendError writes the error page of a status.
func (s *Server) sendError(w fastpath.Responder, x *exchange, status int) error {
	x.status = status
	body, describe := s.errs.page(status)
	return s.write(w, x, newHead(status, describe), body)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// write writes an answer: head, the header fields of x, and the body. A large body is written in chunks, each of which
// has its own deadline.
func (s *Server) write(w fastpath.Responder, x *exchange, head, body []byte) error {
	if err := w.MoveDeadlines(x.start); err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := append((*buf)[:0], head...)
	b = append(append(append(b, "Date: "...), s.date.at(time.Now())...), "\r\n"...)
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

// headRoom is the size of most heads, in bytes.
const headRoom = 640

// headOf returns the heads of answers with a page that is not stale. They are formatted once for each variant.
func headOf(p *cache.Page, v *cache.Variant) *cache.Head {
	if h := v.Head.Load(); h != nil {
		return h
	}
	h := &cache.Head{}
	h.NotModified = newHead(http.StatusNotModified, func(field fieldFunc) {
		describe(p, v, tierNone, func(name string, value []string) {
			if name != "Content-Type" { // net/http leaves it out of a 304 too
				field(name, value)
			}
		})
	})
	h.Full = newHead(p.Reply.Status, func(field fieldFunc) { describe(p, v, tierNone, field); describeBody(v, field) })
	v.Head.Store(h)
	return h
}

// newHead formats a status line and header fields.
func newHead(status int, fields func(fieldFunc)) []byte {
	b := fmt.Appendf(make([]byte, 0, headRoom), "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	fields(func(name string, value []string) {
		b = append(append(append(append(b, name...), ": "...), value[0]...), "\r\n"...)
	})
	return b
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
