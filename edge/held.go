package edge

import (
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// held is a copy of a reply as an edge holds it: decoded once, with its dependencies interned and the header values of its answers made
// ready. All but the atomics is immutable, so that one copy serves any number of visitors.
type held struct {
	ref   page.Ref
	reply *wire.Reply
	deps  []dep

	contentType, cacheControl, csp []string
	plain                          *variant
	gzip, zstd, brotli             atomic.Pointer[variant] // made when first wanted
	asked                          atomic.Uint32           // near hits that hot has not gathered yet
	stored                         atomic.Bool             // memcached has it, or has been asked to have one as good
	renewed                        atomic.Bool             // memcached has been asked for a newer one
}

// variant is a body in one encoding with the headers that differ by encoding.
type variant struct {
	body                   []byte
	encoding, length, etag []string
	text                   atomic.Pointer[headerText] // made when first wanted, see express
}

// hold makes a copy of a reply. Its dependencies are learned: what a renderer read is so.
func (s *Server) hold(ref page.Ref, reply *wire.Reply) *held {
	c := &held{ref: ref, reply: reply, deps: s.fresh.depend(reply.Depends)}
	c.contentType = []string{reply.ContentType}
	switch {
	case reply.Immutable && reply.Status == 200:
		c.cacheControl = cacheImmutable
	default:
		c.cacheControl = cacheRevalidate
	}
	if strings.HasPrefix(reply.ContentType, "text/html") {
		c.csp = contentPolicy
	}
	c.plain = newVariant(reply.Body, reply.Encoding, reply.ETag)
	return c
}

func newVariant(body []byte, encoding, etag string) *variant {
	v := &variant{body: body, length: []string{strconv.Itoa(len(body))}}
	if encoding != "" {
		v.encoding = []string{encoding}
	}
	if etag != "" {
		if encoding != "" {
			etag += "-" + encoding // a strong validator names bytes, and these are others
		}
		v.etag = []string{`"` + etag + `"`}
	}
	return v
}

// decode reads an envelope into a copy.
func (s *Server) decode(ref page.Ref, envelope []byte) (*held, error) {
	reply, err := wire.DecodeReply(envelope)
	if err != nil {
		return nil, err
	}
	return s.hold(ref, reply), nil
}

// weight is how many bytes the copy takes in memory, about: with its compressed variants, which are made later, counted ahead.
func (c *held) weight() uint32 {
	const overhead = unsafe.Sizeof(held{}) + unsafe.Sizeof(wire.Reply{}) + 4*unsafe.Sizeof(variant{}) + 600 // headers and the cache's own
	n := int(overhead) + len(c.reply.Body) + len(c.ref.Name()) + 48*len(c.deps)
	if c.compressible() {
		n += len(c.reply.Body) / 2
	}
	return uint32(n)
}

// compressible: text that nobody has compressed yet, and enough of it.
func (c *held) compressible() bool {
	const worthwhile = 512 // bytes; below, an encoding's own overhead eats the gain
	t := c.reply.ContentType
	return c.reply.Encoding == "" && len(c.reply.Body) >= worthwhile &&
		(strings.HasPrefix(t, "text/") || strings.HasPrefix(t, "application/") || strings.HasPrefix(t, "image/svg"))
}
