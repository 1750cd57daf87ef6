package edge

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// Header values, made once: each is the slice that goes into the header map as it is.
var (
	cacheImmutable  = []string{"public, max-age=31536000, immutable"}
	cacheRevalidate = []string{"max-age=0, must-revalidate"}
	cacheNever      = []string{"no-store"}
	varyEncoding    = []string{"Accept-Encoding"}
	nosniff         = []string{"nosniff"}
	referrer        = []string{"strict-origin-when-cross-origin"}
	sameOrigin      = []string{"same-origin"}
	contentPolicy   = []string{"default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
	xCache = [tiers][]string{{"none"}, {"near"}, {"memcached"}, {"render"}, {"stale"}}
)

// Compression. A page that was just rendered is compressed fast; one that is asked for again, once and well.
const (
	gzipLevel   = 5
	brotliLevel = 5
	wellFrom    = 2        // the answer from which a copy is compressed well
	chunk       = 64 << 10 // bytes written before the deadline moves
	stall       = 30 * time.Second
)

// answer writes a copy as the answer to a GET or HEAD.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange, c *held) error {
	v := c.variantFor(r)
	h := w.Header()
	h["Content-Type"] = c.contentType
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = c.cacheControl
	if x.tier == tierStale {
		h["Cache-Control"] = cacheNever
	}
	if c.csp != nil {
		h["Content-Security-Policy"] = c.csp
		h["Referrer-Policy"] = referrer
		h["Cross-Origin-Opener-Policy"] = sameOrigin
	}
	if v.etag != nil {
		h["Etag"] = v.etag
	}
	if v.encoding != nil || c.compressible() {
		h["Vary"] = varyEncoding
	}
	x.writeHeaders(h)
	if c.reply.Status == http.StatusOK && v.etag != nil && matches(r.Header["If-None-Match"], c.reply.ETag) {
		x.status = http.StatusNotModified
		w.WriteHeader(x.status)
		return nil
	}
	if v.encoding != nil {
		h["Content-Encoding"] = v.encoding
	}
	h["Content-Length"] = v.length
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

// writeBody writes a body; a large one in parts, each of which gives the visitor 30 s more, so that slow is not cut and stalled is.
func writeBody(w http.ResponseWriter, body []byte) (n int, err error) {
	if len(body) <= chunk {
		return w.Write(body)
	}
	control := http.NewResponseController(w)
	for len(body) > 0 && err == nil {
		if err = control.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return n, err
		}
		var m int
		m, err = w.Write(body[:min(chunk, len(body))])
		n, body = n+m, body[m:]
	}
	return n, err
}

// variantFor chooses among the encodings the visitor takes. Each is made at most a few times, by whoever needs it first, and kept.
func (c *held) variantFor(r *http.Request) *variant {
	if !c.compressible() {
		return c.plain
	}
	accept := r.Header["Accept-Encoding"]
	well := c.served.Load() >= wellFrom-1
	if !well {
		c.served.Add(1)
	}
	if br := c.brotli.Load(); accepts(accept, "br") && (br != nil || well) {
		if br == nil {
			br = newVariant(compressBrotli(c.plain.body), "br", c.reply.ETag)
			c.brotli.Store(br)
		}
		return br
	}
	if !accepts(accept, "gzip") {
		return c.plain
	}
	gz := c.gzip.Load()
	if gz == nil {
		gz = newVariant(compressGzip(c.plain.body), "gzip", c.reply.ETag)
		c.gzip.Store(gz)
	}
	return gz
}

func compressGzip(body []byte) []byte {
	b := bytes.NewBuffer(make([]byte, 0, len(body)/3))
	z, err := gzip.NewWriterLevel(b, gzipLevel)
	if err == nil {
		_, _ = z.Write(body) // a buffer takes everything
		_ = z.Close()
	}
	return b.Bytes()
}

func compressBrotli(body []byte) []byte {
	b := bytes.NewBuffer(make([]byte, 0, len(body)/3))
	z := brotli.NewWriterLevel(b, brotliLevel)
	_, _ = z.Write(body)
	_ = z.Close()
	return b.Bytes()
}

// assetEncoding names the compressed file to ask for: assets are compressed where they are made.
func assetEncoding(r *http.Request) string {
	accept := r.Header["Accept-Encoding"]
	switch {
	case accepts(accept, "br"):
		return "br"
	case accepts(accept, "gzip"):
		return "gz"
	}
	return ""
}

// accepts reads Accept-Encoding (RFC 9110, 12.5.3) for one coding, named by itself or by "*", and not with a weight of 0.
func accepts(headers []string, coding string) bool {
	any := false
	for _, header := range headers {
		for header != "" {
			var item string
			item, header, _ = strings.Cut(header, ",")
			name, params, _ := strings.Cut(item, ";")
			name = strings.TrimSpace(name)
			if !strings.EqualFold(name, coding) && name != "*" {
				continue
			}
			weight := strings.TrimSpace(params)
			refused := strings.HasPrefix(weight, "q=0") && strings.Trim(weight[3:], ".0") == ""
			if name != "*" {
				return !refused
			}
			any = !refused
		}
	}
	return any
}

// matches reads If-None-Match (RFC 9110, 13.1.2): weak comparison, and the encoding behind an ETag does not count, since what changed is
// the page, not how it travels.
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for header != "" {
			var item string
			item, header, _ = strings.Cut(header, ",")
			item = strings.TrimSpace(item)
			if item == "*" {
				return true
			}
			item = strings.Trim(strings.TrimPrefix(item, "W/"), `"`)
			if rest, ok := strings.CutPrefix(item, etag); ok && (rest == "" || rest == "-br" || rest == "-gzip") {
				return true
			}
		}
	}
	return false
}
