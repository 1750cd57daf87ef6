package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// EncodingGzip is the one encoding of bodies on the bus and in memcached, for requesters that accept it, see
// HeaderAccept.
const EncodingGzip = "gzip"

// Bounds of packing.
const (
	MaxUnpacked = 8 << 20 // bytes: some hundred times a page. A body that says it is larger is not unpacked
	worthwhile  = 512     // bytes; below, the overhead of gzip outweighs the gain

	// Of a user's page of 25,182 bytes the levels 1 to 6 make 4,853, 4,807, 4,710, 4,718, 4,455 and 4,371 in 31, 36,
	// 36, 43, 48 and 55 us; zstd made 4,093 in 35, and brotli, which the near cache has, 3,738 in 240. Level 1 is the
	// cheapest within a tenth of level 5's bytes, and what is asked for often goes out with brotli anyway.
	gzipLevel = 1
)

// Gzip compresses and decompresses bodies with gzip (RFC 1952). It pools the memory for that, up to 1 MB each; the
// zero value is ready.
type Gzip struct{ writers, readers sync.Pool }

// Compressible reports whether the body is uncompressed text that is large enough to compress.
func (r *Reply) Compressible() bool {
	return r.Encoding == "" && len(r.Body) >= worthwhile && len(r.Body) <= MaxUnpacked &&
		(strings.HasPrefix(r.ContentType, "text/") || strings.HasPrefix(r.ContentType, "application/") ||
			strings.HasPrefix(r.ContentType, "image/svg"))
}

// Pack appends body to dst, compressed.
func (z *Gzip) Pack(dst *bytes.Buffer, body []byte) {
	w, _ := z.writers.Get().(*gzip.Writer)
	if w == nil {
		var err error
		if w, err = gzip.NewWriterLevel(dst, gzipLevel); err != nil {
			panic(err) // the level is a constant
		}
	} else {
		w.Reset(dst)
	}
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	w.Reset(io.Discard) // the pool must not keep the buffer
	z.writers.Put(w)
}

// unpacker is a pooled reader.
type unpacker struct {
	packed bytes.Reader
	more   [1]byte
	gzip.Reader
}

// Unpack decompresses into memory of its own. A body that is no gzip, has a wrong CRC-32, or is larger than its
// stated size or than MaxUnpacked is an error that wraps ErrEnvelope.
func (z *Gzip) Unpack(packed []byte) ([]byte, error) {
	size, err := UnpackedSize(packed)
	if err != nil {
		return nil, err
	}
	u, _ := z.readers.Get().(*unpacker)
	if u == nil {
		u = &unpacker{}
	}
	defer z.readers.Put(u)
	defer u.packed.Reset(nil)
	u.packed.Reset(packed)
	body := make([]byte, size)
	if err = u.Reset(&u.packed); err == nil {
		u.Multistream(false)
		_, err = io.ReadFull(u, body)
	}
	if err == nil { // the end, where the sum is compared
		if n, end := u.Read(u.more[:]); n > 0 {
			err = errors.New("there is more than it says")
		} else if !errors.Is(end, io.EOF) {
			err = end
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: gzip: %w", ErrEnvelope, err)
	}
	return body, nil
}

// UnpackedSize is the stated size of a compressed body in bytes. It reads the first and last bytes only.
func UnpackedSize(packed []byte) (int, error) {
	const head, tail = 10, 8
	if len(packed) < head+tail || packed[0] != 0x1f || packed[1] != 0x8b || packed[2] != 8 {
		return 0, fmt.Errorf("%w: no gzip", ErrEnvelope)
	}
	size := binary.LittleEndian.Uint32(packed[len(packed)-4:])
	if size > MaxUnpacked {
		return 0, fmt.Errorf("%w: gzip of %d bytes, at most %d are unpacked", ErrEnvelope, size, MaxUnpacked)
	}
	return int(size), nil
}
