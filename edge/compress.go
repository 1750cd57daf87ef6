package edge

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"flickrkillr/schema/wire"

	"github.com/andybalholm/brotli"
)

// brotliLevel: a copy is packed with brotli once, when the near cache has it for somebody else. Of a user's page of 25,182 bytes that makes
// 3,738 in 240 us. Until then it goes with gzip, as it came.
const brotliLevel = 5

// errBroken: a copy's body came packed, and cannot be unpacked. The copy is broken from then on, which counts as having none.
var errBroken = fmt.Errorf("a body that cannot be unpacked: %w", wire.ErrEnvelope)

// compressor makes a copy's other forms. What that takes is pooled: an encoder has about a megabyte.
type compressor struct {
	gzip   wire.Gzip
	brotli sync.Pool // of *brotli.Writer
}

func newCompressor() *compressor {
	return &compressor{brotli: sync.Pool{New: func() any { return brotli.NewWriterLevel(io.Discard, brotliLevel) }}}
}

// variant chooses among the forms that a visitor accepts, in either of which the copy may have come. Each is made by whoever needs it first
// and kept with the copy; two who need it at the same moment may both make it. kept says that the near cache has the copy, so that it is
// worth compressing well. It is never nil; of a copy that turns out to be broken it is what came, see held.broken.
func (z *compressor) variant(c *held, accepted codings, kept bool) *variant {
	if !c.compressible() {
		return c.plain.Load()
	}
	br := c.brotli.Load()
	switch accepted.choose(kept || br != nil) {
	case "br":
		if br == nil {
			br = z.brotliOf(c)
		}
		if br != nil {
			return br
		}
	case "":
		if plain := z.plainOf(c); plain != nil {
			return plain
		}
	}
	return z.gzipOf(c)
}

// plainOf gives the plain form, nil when the copy is broken.
func (z *compressor) plainOf(c *held) *variant {
	if plain := c.plain.Load(); plain != nil || c.broken.Load() {
		return plain
	}
	body, err := z.gzip.Unpack(c.gzip.Load().body)
	if err != nil {
		c.broken.Store(true)
		return nil
	}
	plain := newVariant(body, "")
	c.plain.Store(plain)
	return plain
}

// gzipOf gives the form packed by gzip.
func (z *compressor) gzipOf(c *held) *variant {
	gz := c.gzip.Load()
	if gz == nil {
		plain := c.plain.Load().body
		b := bytes.NewBuffer(make([]byte, 0, len(plain)/4))
		z.gzip.Pack(b, plain)
		gz = newVariant(b.Bytes(), wire.EncodingGzip)
		c.gzip.Store(gz)
	}
	return gz
}

// brotliOf gives the form packed by brotli, nil when the copy is broken.
func (z *compressor) brotliOf(c *held) *variant {
	plain := z.plainOf(c)
	if plain == nil {
		return nil
	}
	b := bytes.NewBuffer(make([]byte, 0, len(plain.body)/4))
	w := z.brotli.Get().(*brotli.Writer)
	defer z.brotli.Put(w)
	w.Reset(b)
	_, _ = w.Write(plain.body) // a buffer takes everything
	_ = w.Close()
	br := newVariant(b.Bytes(), "br")
	c.brotli.Store(br)
	return br
}

// opens reports whether the plain form can be had of a copy that has several.
func (z *compressor) opens(c *held) bool { return !c.compressible() || z.plainOf(c) != nil }

// assetEncoding names the compressed file to ask for: assets are compressed where they are made.
func assetEncoding(accepted codings) string {
	switch accepted.choose(true) {
	case "br":
		return "br"
	case wire.EncodingGzip:
		return "gz"
	}
	return ""
}
