package pictures

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"io"
	"io/fs"
)

// Limits bound what Ingest takes. The zero value means the defaults.
//
// What one Ingest may need in memory: the file, plus the decoded picture. At the default 40 megapixels that is 60 MB
// for a usual JPEG, 160 MB for a PNG, 320 MB for a PNG of 16 bits a channel and up to 480 MB for a progressive JPEG
// without chroma subsampling. Callers bound how many run at once.
type Limits struct {
	Bytes  int64 // Of the file. Default 50 MiB.
	Pixels int   // Width times height. Default 40,000,000.
	HEIC   bool  // HEIC files, too.
}

const (
	defaultBytes  = 50 << 20
	defaultPixels = 40_000_000
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Pixels <= 0 {
		l.Pixels = defaultPixels
	}
	return l
}

// Image is what is known about an original.
type Image struct {
	ID     string
	Format string // "jpeg", "png", "gif", "webp" or "heic".
	Width  int    // Pixels, as seen: with the camera's orientation applied.
	Height int
	Bytes  int64  // Of the original.
	Color  uint32 // What fills its place until it arrives, see [Blur].
	Title  string // As the file has it (IPTC "Object Name"), of printable characters; "" if it has none.
	Camera Camera
	SHA256 [sha256.Size]byte // of the original; zero unless it comes from [Inspect]
}

// Ingest stores an original. It reads a file, refuses what is no picture or too large, determines its id, size,
// blur and camera data, and stores the file unchanged with its derivatives up to 1,280 px. It checks the header
// before it decodes, and decodes once for all widths.
//
// A refused file gives a *RefusedError that says what to do about it; any other error is a failure of the site or of
// ctx. The same file sent twice has the same id and is stored once.
func Ingest(ctx context.Context, store Store, r io.Reader, limits Limits) (Image, error) {
	limits = limits.withDefaults()
	data, err := readAll(ctx, r, limits.Bytes)
	if err != nil {
		return Image{}, err
	}
	return ingest(ctx, store, ID(data), data, limits)
}

// IngestAs stores an original as Ingest does, under an id that the caller chose and will never give another picture,
// because derivatives are cached for ever.
func IngestAs(ctx context.Context, store Store, id string, r io.Reader, limits Limits) (Image, error) {
	if !ValidID(id) {
		return Image{}, ErrBadID
	}
	limits = limits.withDefaults()
	data, err := readAll(ctx, r, limits.Bytes)
	if err != nil {
		return Image{}, err
	}
	return ingest(ctx, store, id, data, limits)
}

func ingest(ctx context.Context, store Store, id string, data []byte, limits Limits) (Image, error) {
	f, result, err := inspect(ctx, data, limits)
	if err != nil {
		return Image{}, err
	}
	result.ID = id
	img, err := f.pixels(data)
	if err != nil {
		return Image{}, err
	}
	result.decoded(img)
	if err := store.Put(ctx, result.ID, bytes.NewReader(data)); err != nil {
		return Image{}, err
	}
	for _, width := range widthsOf(result.Width, widestAtOnce) {
		jpeg, err := derivative(ctx, img, result.Camera.orientation, width)
		if err == nil {
			err = keep(ctx, store, id, width, jpeg)
		}
		if err != nil {
			return Image{}, err
		}
	}
	return result, nil
}

// decoded takes what the header does not tell: the blur, and the size of a GIF whose first frame is smaller.
func (i *Image) decoded(img image.Image) {
	size := i.Camera.orientation.apply(img.Bounds().Size())
	i.Width, i.Height, i.Color = size.X, size.Y, blur(img, i.Camera.orientation)
}

// readAll reads r to its end, or refuses it once it proves longer than limit.
func readAll(ctx context.Context, r io.Reader, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	switch sized := r.(type) {
	case interface{ Len() int }:
		buf.Grow(int(min(int64(sized.Len()), limit)) + bytes.MinRead)
	case fs.File:
		if info, err := sized.Stat(); err == nil {
			buf.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
		}
	}
	n, err := buf.ReadFrom(io.LimitReader(&contextReader{ctx: ctx, r: r}, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("pictures: read the file: %w", err)
	case n == 0:
		return nil, refuseEmpty()
	case n > limit:
		return nil, refuseBytes(limit)
	}
	return buf.Bytes(), nil
}
