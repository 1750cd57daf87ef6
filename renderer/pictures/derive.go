package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"slices"
)

// ErrBadWidth is returned for a width that is not one of Widths.
var ErrBadWidth = errors.New("pictures: not a width that is made")

// quality of derivatives, on image/jpeg's scale. Around 82 the eye stops finding fault at these sizes while the bytes
// go on growing.
const quality = 82

// Derive makes the JPEG of an original that browsers see, width pixels wide: one of Widths, or the original's own width
// if that is smaller. It is turned the right way up and holds pixels only: no EXIF, no place, nothing that hid behind
// or within the original. One taller than four times width is narrower, so that its size stays bounded.
//
// An id that is not there gives an error for which errors.Is(err, fs.ErrNotExist) holds. The context is looked at before
// each step that costs; a step once begun is finished (about 13 ms a megapixel for decoding).
func Derive(ctx context.Context, store Store, id string, width int) ([]byte, error) {
	if !slices.Contains(Widths(), width) {
		return nil, fmt.Errorf("%w: %d", ErrBadWidth, width)
	}
	data, err := fetch(ctx, store, id)
	if err != nil {
		return nil, err
	}
	out, err := derive(ctx, data, width)
	if err != nil {
		return nil, fmt.Errorf("pictures: derive %s at %d: %w", id, width, err)
	}
	return out, nil
}

func fetch(ctx context.Context, store Store, id string) (data []byte, err error) {
	r, err := store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return readAll(ctx, r, defaultBytes)
}

func derive(ctx context.Context, data []byte, width int) ([]byte, error) {
	f, err := sniff(data)
	if err != nil {
		return nil, err
	}
	// Judged again: whoever can write to the store is not thereby entitled to this process's memory.
	if _, err := f.measure(data, defaultPixels); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	img, err := f.pixels(data)
	if err != nil {
		return nil, err
	}
	o := readCamera(ctx, f, data).orientation
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, h := fit(o.apply(img.Bounds().Size()).X, o.apply(img.Bounds().Size()).Y, width)
	if o.swaps() {
		w, h = h, w
	}
	small := scale(img, w, h, o)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(w * h / 4)
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return out.Bytes(), nil
}

// fit gives the size of a w x h picture made to fit into width x 4 width, never larger than it was.
func fit(w, h, width int) (int, int) {
	ratio := min(1, float64(width)/float64(w), float64(4*width)/float64(h))
	return max(1, int(float64(w)*ratio+0.5)), max(1, int(float64(h)*ratio+0.5))
}
