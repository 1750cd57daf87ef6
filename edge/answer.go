package edge

import (
	"net/http"
	"strings"
	"time"

	"flickrkillr/edge/cache"
)

// Values of header fields, made once: each slice goes into the header map as it is.
var (
	cacheNever    = []string{"no-store"}
	cacheRedirect = []string{"public, max-age=86400"}
	varyEncoding  = []string{"Accept-Encoding"}
	nosniff       = []string{"nosniff"}
	referrer      = []string{"strict-origin-when-cross-origin"}
	sameOrigin    = []string{"same-origin"}
	contentPolicy = []string{"default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; " +
		"connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
)

// Bounds of writing. A client that reads less than 1,600 bytes a second is cut.
const (
	chunkSize    = 64 << 10         // bytes written before the deadline moves
	smallBody    = 16 << 10         // bytes; only a larger body moves the deadline
	writeTimeout = 30 * time.Second // for making an answer and writing a small body
	chunkTimeout = 10 * time.Second // for each 16 KiB of a larger one
)

// writeTimeoutOf returns how long writing n bytes of a larger body may take.
func writeTimeoutOf(n int) time.Duration { return chunkTimeout * time.Duration(1+n/smallBody) }

// fieldFunc receives a header field, by its canonical name in Go.
type fieldFunc func(name string, value []string)

// answer answers a GET or HEAD with a page.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange, v *cache.Variant) {
	p, h := x.page, w.Header()
	set := func(name string, value []string) { h[name] = value }
	s.describe(p, v, x.tier, set)
	x.writeHeaders(h)
	if values, ok := r.Header[dependsHeader]; ok {
		h[dependsHeader] = []string{s.depends(p.Reply, values[0])}
	}
	if notModified(p, r.Header["If-None-Match"]) {
		x.status = http.StatusNotModified
		w.WriteHeader(x.status)
		return
	}
	describeBody(v, set)
	x.status = p.Reply.Status
	w.WriteHeader(x.status)
	if r.Method != http.MethodHead {
		x.bytes, x.cut = writeBody(w, v.Body)
	}
}

// describe passes the header fields of a page, except those of its body, to field.
func (s *Server) describe(p *cache.Page, v *cache.Variant, from tier, field fieldFunc) {
	field("Content-Type", p.ContentType)
	field("X-Content-Type-Options", nosniff)
	if from == tierStale {
		field("Cache-Control", cacheNever)
	} else {
		field("Cache-Control", p.CacheControl)
	}
	if p.Document {
		s.secure(field)
	}
	if p.ETag != nil {
		field("Etag", p.ETag)
	}
	if v.Encoding != nil || p.Compressible() {
		field("Vary", varyEncoding)
	}
}

// describeBody passes the header fields of a body to field.
func describeBody(v *cache.Variant, field fieldFunc) {
	if v.Encoding != nil {
		field("Content-Encoding", v.Encoding)
	}
	field("Content-Length", v.Length)
}

// secure passes the security header fields of every document (pages, errors, redirects) to field, all but
// X-Content-Type-Options.
func (s *Server) secure(field fieldFunc) {
	field("Content-Security-Policy", contentPolicy)
	field("Referrer-Policy", referrer)
	field("Cross-Origin-Opener-Policy", sameOrigin)
}

// redirect sends the client from another spelling of a path to the canonical one.
func (s *Server) redirect(w http.ResponseWriter, x *exchange, to string) {
	h := w.Header()
	x.status = http.StatusMovedPermanently
	x.writeHeaders(h)
	h.Set("Location", to)
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = cacheRedirect
	s.secure(func(name string, value []string) { h[name] = value })
	w.WriteHeader(x.status)
}

// writeBody writes a body; a large one in chunks, each of which has its own deadline.
func writeBody(w http.ResponseWriter, body []byte) (n int, err error) {
	if len(body) <= smallBody {
		return w.Write(body)
	}
	control := http.NewResponseController(w)
	for len(body) > 0 && err == nil {
		part := body[:min(chunkSize, len(body))]
		if err = control.SetWriteDeadline(time.Now().Add(writeTimeoutOf(len(part)))); err != nil {
			return n, err
		}
		var m int
		m, err = w.Write(part)
		n, body = n+m, body[m:]
	}
	return n, err
}

// notModified reports whether a client has the page already.
func notModified(p *cache.Page, ifNoneMatch []string) bool {
	return p.Reply.Status == http.StatusOK && p.ETag != nil && matches(ifNoneMatch, p.Reply.ETag)
}

// matches compares If-None-Match with an entity tag (RFC 9110, 13.1.2; weak comparison).
func matches(lines []string, etag string) bool {
	for _, line := range lines {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			item = strings.TrimSpace(item)
			if item == "*" || strings.Trim(strings.TrimPrefix(item, "W/"), `"`) == etag {
				return true
			}
		}
	}
	return false
}
