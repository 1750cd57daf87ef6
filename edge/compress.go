package edge

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A copy is compressed fast when it is first answered with, and well, once, when the near cache has it for somebody else. Of a user's page of
// 25,182 bytes zstd makes 4,093 in 44 us, gzip 4,455 in 60, brotli 3,738 in 337.
const (
	gzipLevel   = 5
	brotliLevel = 5
	zstdWindow  = 256 << 10 // bytes: more than a page
)

// compressor makes a copy's compressed variants. Its encoders are pooled: one takes about a megabyte.
type compressor struct {
	gzip, brotli sync.Pool
	zstd         *zstd.Encoder // has a pool of its own
}

// encoder is what both libraries' writers can do.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

func newCompressor() *compressor {
	return &compressor{
		gzip: sync.Pool{New: func() any {
			z, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
			if err != nil {
				panic(err) // the level is a constant
			}
			return z
		}},
		brotli: sync.Pool{New: func() any { return brotli.NewWriterLevel(io.Discard, brotliLevel) }},
		zstd:   newZstd(),
	}
}

func newZstd() *zstd.Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithWindowSize(zstdWindow))
	if err != nil {
		panic(err) // the options are constants
	}
	return z
}

// variant chooses among the encodings that an Accept-Encoding header takes. Each is made by whoever needs it first and kept with the copy;
// two who need it at the same moment may both make it. kept says that the near cache has the copy, so that it is worth compressing well.
func (z *compressor) variant(c *held, accept []string, kept bool) *variant {
	if !c.compressible() {
		return c.plain
	}
	br := c.brotli.Load()
	if (br != nil || kept) && accepts(accept, "br") {
		if br == nil {
			br = newVariant(compress(&z.brotli, c.plain.body), "br", c.reply.ETag)
			c.brotli.Store(br)
		}
		return br
	}
	if accepts(accept, "zstd") {
		zs := c.zstd.Load()
		if zs == nil {
			zs = newVariant(z.zstd.EncodeAll(c.plain.body, make([]byte, 0, len(c.plain.body)/4)), "zstd", c.reply.ETag)
			c.zstd.Store(zs)
		}
		return zs
	}
	if !accepts(accept, "gzip") {
		return c.plain
	}
	gz := c.gzip.Load()
	if gz == nil {
		gz = newVariant(compress(&z.gzip, c.plain.body), "gzip", c.reply.ETag)
		c.gzip.Store(gz)
	}
	return gz
}

func compress(pool *sync.Pool, body []byte) []byte {
	b := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	z := pool.Get().(encoder)
	defer pool.Put(z)
	z.Reset(b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// assetEncoding names the compressed file to ask for: assets are compressed where they are made.
func assetEncoding(accept []string) string {
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
