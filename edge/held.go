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

	contentType, cacheControl, etag []string
	document                        bool // a browser can show it by itself, not only within a page
	size                            int  // of the body when it is plain, bytes
	inForms                         bool
	plain, gzip, brotli             atomic.Pointer[variant] // the one it came as, and others made when first wanted
	broken                          atomic.Bool             // its body, which came packed, cannot be unpacked: nobody is shown it
	asked                           atomic.Uint32           // near hits that hot has not gathered yet
	stored                          atomic.Bool             // memcached has it, or has been asked to have one as good
	renewed                         atomic.Bool             // memcached has been asked for a newer one
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
	body             []byte
	encoding, length []string
	values           [2]string                  // what those hold: all is one piece of memory
	text             atomic.Pointer[headerText] // made when first wanted, see express
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
	c.document = isDocument(reply.ContentType)
	as, slot := newVariant(reply.Body, reply.Encoding), &c.plain
	c.size, c.inForms = len(reply.Body), reply.Compressible()
	if reply.Encoding == wire.EncodingGzip {
		if n, err := wire.UnpackedSize(reply.Body); err == nil { // as it is of all that was decoded
			c.size, c.inForms, slot = n, true, &c.gzip
		}
	}
	slot.Store(as)
	if reply.ETag != "" {
		c.etag = []string{`"` + reply.ETag + `"`}
		if c.inForms { // it names what is shown, in whichever form: a strong one would name bytes
			c.etag[0] = "W/" + c.etag[0]
		}
	}
	return c
}

// isDocument tells what a browser shows by itself from pictures, styles and scripts, which do nothing but within a page.
func isDocument(contentType string) bool {
	return !strings.HasPrefix(contentType, "text/css") && !strings.HasPrefix(contentType, "text/javascript") &&
		(!strings.HasPrefix(contentType, "image/") || strings.HasPrefix(contentType, "image/svg"))
}

func newVariant(body []byte, encoding string) *variant {
	v := &variant{body: body, values: [...]string{encoding, strconv.Itoa(len(body))}}
	if encoding != "" {
		v.encoding = v.values[0:1:1]
	}
	v.length = v.values[1:2:2]
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
