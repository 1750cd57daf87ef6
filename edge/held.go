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
	size                           int // of the body when it is plain, bytes
	inForms                        bool
	plain, gzip, brotli            atomic.Pointer[variant] // the one it came as, and others made when first wanted
	broken                         atomic.Bool             // its body, which came packed, cannot be unpacked: nobody is shown it
	asked                          atomic.Uint32           // near hits that hot has not gathered yet
	stored                         atomic.Bool             // memcached has it, or has been asked to have one as good
	renewed                        atomic.Bool             // memcached has been asked for a newer one
}

// shows reports that the copy is as new as some versions, of the scopes that it depends on.
func (c *held) shows(versions []wire.Dep) bool {
	for _, v := range versions {
		for _, d := range c.reply.Depends {
			if d.Scope == v.Scope && d.Version < v.Version {
				return false
			}
		}
	}
	return true
}

// variant is a body in one encoding with the headers that differ by encoding.
type variant struct {
	body                   []byte
	encoding, length, etag []string
	values                 [3]string                  // what those hold: all is one piece of memory
	text                   atomic.Pointer[headerText] // made when first wanted, see express
}

// hold makes a copy of a reply. Its dependencies are learned: what a renderer read is so.
func (s *Server) hold(ref page.Ref, reply *wire.Reply) *held {
	c := &held{ref: ref, reply: reply, deps: s.fresh.depend(reply.Depends)}
	c.contentType = []string{reply.ContentType}
	switch {
	case reply.Immutable && reply.Status == 200:
		c.cacheControl = cacheImmutable
	case ref.Kind() == page.KindFile && reply.Status == 200:
		c.cacheControl = cacheFile
	default:
		c.cacheControl = cacheRevalidate
	}
	if strings.HasPrefix(reply.ContentType, "text/html") {
		c.csp = contentPolicy
	}
	as, slot := newVariant(reply.Body, reply.Encoding, reply.ETag), &c.plain
	c.size, c.inForms = len(reply.Body), reply.Compressible()
	if reply.Encoding == wire.EncodingGzip {
		if n, err := wire.UnpackedSize(reply.Body); err == nil { // as it is of all that was decoded
			c.size, c.inForms, slot = n, true, &c.gzip
		}
	}
	slot.Store(as)
	return c
}

func newVariant(body []byte, encoding, etag string) *variant {
	v := &variant{body: body}
	b := strconv.AppendInt(make([]byte, 0, 64), int64(len(body)), 10) // both texts in one allocation
	n := len(b)
	if etag != "" {
		b = append(append(b, '"'), etag...)
		if encoding != "" {
			b = append(append(b, '-'), encoding...) // a strong validator names bytes, and these are others
		}
		b = append(b, '"')
	}
	text := string(b)
	v.values = [...]string{encoding, text[:n], text[n:]}
	if encoding != "" {
		v.encoding = v.values[0:1:1]
	}
	v.length = v.values[1:2:2]
	if etag != "" {
		v.etag = v.values[2:3:3]
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

// weight is how many bytes the copy takes in memory, about: with its other forms, which are made later, counted ahead. Of small pages gzip
// and brotli make a third each, of large ones less; brotli is smaller than gzip.
func (c *held) weight() uint32 {
	const overhead = unsafe.Sizeof(held{}) + unsafe.Sizeof(wire.Reply{}) + 3*unsafe.Sizeof(variant{}) + 600 // headers and the cache's own
	n := int(overhead) + c.size + len(c.ref.Name()) + 48*len(c.deps)
	switch {
	case c.inForms && c.reply.Encoding != "":
		n += 2 * len(c.reply.Body)
	case c.inForms:
		n += c.size * 2 / 3
	}
	return uint32(n)
}

// compressible: the body is one of those that have more than one form, whichever it came as.
func (c *held) compressible() bool { return c.inForms }
