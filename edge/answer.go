package edge

import (
	"net/http"
	"strings"
	"time"
)

// Header values, made once: each is the slice that goes into the header map as it is.
var (
	cacheImmutable  = []string{"public, max-age=31536000, immutable"}
	cacheFile       = []string{"public, max-age=3600"}
	cacheRevalidate = []string{"max-age=0, must-revalidate"}
	cacheNever      = []string{"no-store"}
	cacheRedirect   = []string{"public, max-age=86400"}
	varyEncoding    = []string{"Accept-Encoding"}
	nosniff         = []string{"nosniff"}
	referrer        = []string{"strict-origin-when-cross-origin"}
	sameOrigin      = []string{"same-origin"}
	contentPolicy   = []string{"default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
	xCache = [tiers][]string{{"none"}, {"near"}, {"memcached"}, {"render"}, {"stale"}}
)

// Bounds of writing.
const (
	chunk = 64 << 10         // bytes written before the deadline moves
	stall = 30 * time.Second // for a small body, which moves none, and for each 16 KiB of others
	small = 16 << 10         // bytes
)

// patienceFor is how long so many bytes may take: slower than 550 a second is stalled.
func patienceFor(bytes int) time.Duration { return stall * time.Duration(1+bytes/small) }

// answer writes a copy as the answer to a GET or HEAD. With errBroken it has written nothing.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange, c *held) error {
	v := s.compressor.variant(c, x.accepted, x.tier == tierNear)
	if c.broken.Load() {
		return errBroken
	}
	h := w.Header()
	set := func(name string, value []string) { h[name] = value }
	c.describe(v, set)
	if x.tier == tierStale {
		h["Cache-Control"] = cacheNever
	}
	x.writeHeaders(h)
	if ask, asked := r.Header[dependsHeader]; asked {
		h[dependsHeader] = []string{s.depends(c.reply, ask[0])}
	}
	if c.reply.Status == http.StatusOK && c.etag != nil && matches(r.Header["If-None-Match"], c.reply.ETag) {
		x.status = http.StatusNotModified
		w.WriteHeader(x.status)
		return nil
	}
	v.describe(set)
	x.status = c.reply.Status
	w.WriteHeader(x.status)
	if r.Method == http.MethodHead {
		return nil
	}
	n, err := writeBody(w, v.body)
	x.bytes = n
	if err != nil {
		x.cut = err // nothing more can be said to this visitor
	}
	return nil
}

// describe gives the headers that say what the copy is, by the names that net/http knows them by.
func (c *held) describe(v *variant, header func(name string, value []string)) {
	header("Content-Type", c.contentType)
	header("X-Content-Type-Options", nosniff)
	header("Cache-Control", c.cacheControl)
	if c.document {
		secure(header)
	}
	if c.etag != nil {
		header("Etag", c.etag)
	}
	if v.encoding != nil || c.compressible() {
		header("Vary", varyEncoding)
	}
}

// secure gives the headers, next to X-Content-Type-Options, that every document has: pages, errors and redirects alike.
func secure(header func(name string, value []string)) {
	header("Content-Security-Policy", contentPolicy)
	header("Referrer-Policy", referrer)
	header("Cross-Origin-Opener-Policy", sameOrigin)
}

// describe gives the headers that say what the body is.
func (v *variant) describe(header func(name string, value []string)) {
	if v.encoding != nil {
		header("Content-Encoding", v.encoding)
	}
	header("Content-Length", v.length)
}

// writeBody writes a body; a large one in parts, each of which gives the visitor 30 s more, so that slow is not cut and stalled is.
func writeBody(w http.ResponseWriter, body []byte) (n int, err error) {
	if len(body) <= small {
		return w.Write(body)
	}
	control := http.NewResponseController(w)
	for len(body) > 0 && err == nil {
		part := body[:min(chunk, len(body))]
		if err = control.SetWriteDeadline(time.Now().Add(patienceFor(len(part)))); err != nil {
			return n, err
		}
		var m int
		m, err = w.Write(part)
		n, body = n+m, body[m:]
	}
	return n, err
}

// matches reads If-None-Match (RFC 9110, 13.1.2), by weak comparison.
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for header != "" {
			var item string
			item, header, _ = strings.Cut(header, ",")
			item = strings.TrimSpace(item)
			if item == "*" || strings.Trim(strings.TrimPrefix(item, "W/"), `"`) == etag {
				return true
			}
		}
	}
	return false
}
