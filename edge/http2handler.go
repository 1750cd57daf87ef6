package edge

import (
	"net/http"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/fastpath"
)

// ServeNear answers requests of HTTP/2 from the in-process cache, with the same header fields and bodies as ServeHTTP.
func (s *Server) ServeNear(w fastpath.Stream, r *fastpath.Request) bool {
	x := exchange{start: time.Now(), status: http.StatusOK}
	ref, reason := refOf(r)
	if reason != fastpath.ReasonNone {
		return false
	}
	x.kind, x.accept = ref.Kind(), cache.ParseAccept([]string{string(r.AcceptEncoding)})
	v := s.pages.near(&x, variantOf(s.origins, ref, r.Host, x.accept))
	if v == nil {
		return false
	}
	x.status = x.page.Reply.Status
	head := s.headHTTP2(x.page, v)
	fields, body := head.Full, v.Body
	if r.IfNoneMatch != nil && notModified(x.page, []string{string(r.IfNoneMatch)}) {
		x.status, fields, body = http.StatusNotModified, head.NotModified, nil
	}
	if !w.Fits(len(body)) {
		return false
	}
	x.number, x.bytes, x.strict = s.ids.next(), len(body), s.hsts != nil && takesHSTS(r.Host)
	s.metrics.fast.Inc()
	w.Answer(s.block(&x, fields), body)
	from := ""
	if s.cfg.AccessLog != nil {
		from = s.clientOf(w.RemoteAddr(), r)
	}
	s.finish(&x, http.MethodGet, func() string { return string(r.Target) }, from, "HTTP/2.0")
	return true
}

// block returns the header block of an answer.
func (s *Server) block(x *exchange, fields []byte) []byte {
	var text [128]byte
	b := append(fastpath.AppendStatus(make([]byte, 0, headRoom), x.status), fields...)
	if x.strict {
		b = fastpath.AppendField(b, "strict-transport-security", s.hsts[0])
	}
	b = fastpath.AppendField(b, "date", s.date.at(time.Now()))
	b = fastpath.AppendField(b, "x-request-id", x.number.append(text[:0]))
	b = fastpath.AppendField(b, "x-cache", x.tier.String())
	return fastpath.AppendField(b, "server-timing", x.appendTiming(text[:0]))
}

// headHTTP2 is headOf for HTTP/2.
func (s *Server) headHTTP2(p *cache.Page, v *cache.Variant) *cache.Head {
	h := v.HeadHTTP2.Load()
	if h == nil {
		h = s.newHeadHTTP2(p, v)
		v.HeadHTTP2.Store(h)
	}
	return h
}

func (s *Server) newHeadHTTP2(p *cache.Page, v *cache.Variant) *cache.Head {
	var fields fastpath.Fields
	add := func(name string, value []string) { fields.Add(name, value[0]) }
	s.describe(p, v, tierNone, func(name string, value []string) {
		if name != "Content-Type" {
			add(name, value)
		}
	})
	notModified := fields.Block()
	add("Content-Type", p.ContentType)
	describeBody(v, add)
	return &cache.Head{Full: fields.Block(), NotModified: notModified}
}
