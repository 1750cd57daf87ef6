package cache

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Values of Cache-Control for pages.
var (
	controlImmutable  = []string{"public, max-age=31536000, immutable"}
	controlFile       = []string{"public, max-age=3600"}
	controlRevalidate = []string{"max-age=0, must-revalidate"}
)

// Page is a reply as an edge caches it: decoded once, with pointers to the scopes it depends on and with its header
// values ready. All but the atomics is immutable, so any number of requests share one Page.
type Page struct {
	Ref   page.Ref
	Reply *wire.Reply
	Basis freshness.Basis

	ContentType, CacheControl []string
	ETag                      []string // nil: none
	Document                  bool     // a browser can show it by itself, not only as a part of another page

	Usage Usage

	size                int                     // of the plain body, in bytes
	compressible        bool                    // the body is sent in several encodings
	plain, gzip, brotli atomic.Pointer[Variant] // the received form, and those made on demand
}

// Usage is what edge/popularity records with a page. It costs a hit one atomic addition.
type Usage struct {
	Hits        atomic.Uint32 // answers from the in-process cache that popularity has not collected yet
	InMemcached atomic.Bool   // memcached has the page, or was asked to store one as good
	Refreshing  atomic.Bool   // memcached was asked to store a newer one
}

// Variant is a body in one encoding, with the header values that differ between encodings.
type Variant struct {
	Body             []byte
	Encoding, Length []string             // Content-Encoding, nil for the plain form; Content-Length
	Head, HeadHTTP2  atomic.Pointer[Head] // formatted by the edge when it is first sent

	values [2]string // backs Encoding and Length with one allocation
}

// Head has the header fields that answers have in common, whichever request they answer, as the protocol has them.
type Head struct {
	Full        []byte // with a body
	NotModified []byte // of a 304; a part of Full
}

// Decode reads the envelope of the page of ref. The tracker learns the versions in it.
func Decode(tracker *freshness.Tracker, ref page.Ref, envelope []byte) (*Page, error) {
	reply, err := wire.DecodeReply(ref.Key(), envelope)
	if err != nil {
		return nil, err
	}
	return New(tracker, ref, reply), nil
}

// New returns the page of a reply. The tracker learns the versions in it.
func New(tracker *freshness.Tracker, ref page.Ref, reply *wire.Reply) *Page {
	p := &Page{Ref: ref, Reply: reply, Basis: tracker.Basis(reply), ContentType: []string{reply.ContentType}}
	switch {
	case reply.Immutable && reply.Status == http.StatusOK:
		p.CacheControl = controlImmutable
	case ref.Kind() == page.KindFile && reply.Status == http.StatusOK:
		p.CacheControl = controlFile
	default:
		p.CacheControl = controlRevalidate
	}
	p.Document = isDocument(reply.ContentType)
	received, slot := newVariant(reply.Body, reply.Encoding), &p.plain
	p.size, p.compressible = len(reply.Body), reply.Compressible()
	if reply.Encoding == wire.EncodingGzip {
		if n, err := wire.UnpackedSize(reply.Body); err == nil { // DecodeReply has checked it
			p.size, p.compressible, slot = n, true, &p.gzip
		}
	}
	slot.Store(received)
	if reply.ETag != "" {
		p.ETag = []string{`"` + reply.ETag + `"`}
		if p.compressible { // a weak tag names the content, whatever its encoding; a strong one would name bytes
			p.ETag[0] = "W/" + p.ETag[0]
		}
	}
	return p
}

// isDocument tells documents from pictures, styles and scripts, which do nothing outside of a page.
func isDocument(contentType string) bool {
	return !strings.HasPrefix(contentType, "text/css") && !strings.HasPrefix(contentType, "text/javascript") &&
		(!strings.HasPrefix(contentType, "image/") || strings.HasPrefix(contentType, "image/svg"))
}

func newVariant(body []byte, encoding string) *Variant {
	v := &Variant{Body: body, values: [...]string{encoding, strconv.Itoa(len(body))}}
	if encoding != "" {
		v.Encoding = v.values[0:1:1]
	}
	v.Length = v.values[1:2:2]
	return v
}

// Compressible reports that the body is sent in several encodings.
func (p *Page) Compressible() bool { return p.compressible }

// Plain returns the plain form, nil if it has not been made.
func (p *Page) Plain() *Variant { return p.plain.Load() }

// Newer returns the page whose rows were read later; either may be nil.
func Newer(a, b *Page) *Page {
	if a == nil || b != nil && b.Reply.ReadAt.After(a.Reply.ReadAt) {
		return b
	}
	return a
}

// weight is about how many bytes of memory the page takes, encodings that are made later included. Of small pages gzip
// and brotli make a third each, of large ones less; brotli is smaller than gzip.
func (p *Page) weight() uint32 {
	const overhead = unsafe.Sizeof(Page{}) + unsafe.Sizeof(wire.Reply{}) + 3*unsafe.Sizeof(Variant{}) +
		600 // headers, and the cache's own bookkeeping
	n := int(overhead) + p.size + len(p.Ref.Name()) + 48*len(p.Basis.Deps)
	switch {
	case p.compressible && p.Reply.Encoding != "":
		n += 2 * len(p.Reply.Body)
	case p.compressible:
		n += p.size * 2 / 3
	}
	return uint32(n)
}
