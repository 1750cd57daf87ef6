package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"slices"

	"flickrkillr/schema/page"
)

// Errors of Stored and Derive.
var (
	// ErrBadWidth: the width is not one of page.Widths.
	ErrBadWidth = errors.New("pictures: not a width that is made")
	// ErrNotStored: the original is there and this derivative of it is not.
	ErrNotStored = errors.New("pictures: the derivative is not stored")
	// ErrNotKept: the JPEG that came with this error is good, but it could not be stored.
	ErrNotKept = errors.New("pictures: the derivative was made and could not be stored")
	// ErrDraft: the JPEG that came with this error is the draft of a picture whose original is not stored.
	ErrDraft = errors.New("pictures: the original is not stored, this is its draft")
)

const (
	// widestAtOnce is the widest derivative that is made when a photo is stored, in pixels: listings and all but the
	// sharpest screens need no wider one. 2,560 px take more processor time and bytes than all the others, and are
	// asked for one at a time: they are made, and kept, when somebody does.
	widestAtOnce = 1280
	// widestSmall is the widest that listings of many pictures show on usual screens. Where one derivative is missing
	// these are made with it, because visitors with other screens will ask for them.
	widestSmall = 640
)

// Stored reads the JPEG of an original at width, one of page.Widths, from the store. It decodes nothing. ErrNotStored
// means that Derive can make it. ErrDraft comes with the draft of a picture whose original is not stored. When there is
// no draft either, errors.Is(err, fs.ErrNotExist) holds.
func Stored(ctx context.Context, store Store, id string, width int) ([]byte, error) {
	if !slices.Contains(page.Widths(), width) {
		return nil, fmt.Errorf("%w: %d", ErrBadWidth, width)
	}
	if !ValidID(id) {
		return nil, ErrBadID
	}
	data, missing := fetch(ctx, store, DerivativeName(id, width))
	if !errors.Is(missing, fs.ErrNotExist) {
		return data, missing
	}
	if stored, err := IsStored(ctx, store, id); err != nil {
		return nil, err
	} else if stored {
		return nil, ErrNotStored
	}
	data, err := fetch(ctx, store, DraftName(id))
	switch {
	case err == nil:
		return data, ErrDraft
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing
	}
	return nil, err
}

// KeepDraft stores a small form of a picture, which is shown at every width until the original is stored. Unlike a
// derivative it may be replaced, so nobody may keep it for long.
func KeepDraft(ctx context.Context, store Store, id string, img image.Image) error {
	jpeg, err := encode(img, img.Bounds().Dx())
	if err != nil {
		return fmt.Errorf("pictures: draft %s: %w", id, err)
	}
	return store.Put(ctx, DraftName(id), bytes.NewReader(jpeg))
}

// Derive returns the JPEG of an original that browsers see, width pixels wide: one of page.Widths, or the original's
// own width if that is smaller (see page.StoredWidth). It is upright and contains pixels only: no EXIF, no place, no
// bytes hidden in the original. A picture taller than four times width, or than 5,120 pixels, becomes narrower, so
// that its size stays bounded. No JPEG is larger than MaxBytes.
//
// Derive reads what is stored. Otherwise it makes and stores the derivative, and with it the small widths, since the
// original is decoded anyway. Its errors are those of Stored. With ErrNotKept the JPEG is valid but was not stored.
// Derive checks the context before each expensive step, and finishes a step once begun (decoding takes about 13 ms a
// megapixel).
func Derive(ctx context.Context, store Store, id string, width int) ([]byte, error) {
	data, err := Stored(ctx, store, id, width)
	if !errors.Is(err, ErrNotStored) {
		return data, err
	}
	original, err := fetch(ctx, store, id)
	if err != nil {
		return nil, err
	}
	out, err := derive(ctx, store, id, original, width)
	if err != nil && out == nil {
		return nil, fmt.Errorf("pictures: derive %s at %d: %w", id, width, err)
	}
	return out, err
}

func fetch(ctx context.Context, store Store, name string) (data []byte, err error) {
	r, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return readAll(ctx, r, defaultBytes)
}

// derive makes a width that is not stored.
func derive(ctx context.Context, store Store, id string, original []byte, width int) ([]byte, error) {
	f, err := sniff(original)
	if err != nil {
		return nil, err
	}
	// Check the limits again: a file in the store may not have come through Ingest.
	header, err := f.measure(original, defaultPixels)
	if err != nil {
		return nil, err
	}
	camera, _ := readCamera(ctx, f, original)
	o := camera.orientation
	if narrower := page.StoredWidth(width, o.apply(image.Pt(header.Width, header.Height)).X); narrower != width {
		return Derive(ctx, store, id, narrower)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	widths := []int{width}
	for _, w := range page.Widths() {
		if w > widestSmall || w == width {
			continue
		}
		stored, err := IsStored(ctx, store, DerivativeName(id, w))
		if err != nil {
			return nil, err
		}
		if !stored {
			widths = append(widths, w)
		}
	}
	var out []byte
	var failed error
	seen, err := making{Widths: widths}.run(ctx, original, func(w int, jpeg []byte) {
		if w == width {
			out = jpeg
		}
		if failed == nil {
			failed = keep(ctx, store, id, w, jpeg)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case errors.Is(failed, fs.ErrNotExist):
		return nil, failed
	case out == nil: // A GIF's first frame may be smaller than the GIF.
		return Derive(ctx, store, id, page.StoredWidth(width, seen.Width))
	}
	return out, failed
}

// widthsOf lists the widths, up to widest, in which an original of a given width is stored.
func widthsOf(original, widest int) []int {
	return slices.DeleteFunc(page.Widths(), func(w int) bool {
		return w > widest || page.StoredWidth(w, original) != w
	})
}

// IsStored reports whether a store has a file of this name.
func IsStored(ctx context.Context, store Store, name string) (bool, error) {
	r, err := store.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// derivative makes one derivative of a decoded original.
func derivative(ctx context.Context, img image.Image, o orientation, width int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size := o.apply(img.Bounds().Size())
	w, h := fit(size.X, size.Y, width)
	if o.swaps() {
		w, h = h, w
	}
	small := scale(img, w, h, o)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return encode(small, width)
}

// keep stores a derivative, unless the original was deleted meanwhile: then errors.Is(err, fs.ErrNotExist) holds. Other
// errors are ErrNotKept.
func keep(ctx context.Context, store Store, id string, width int, jpeg []byte) error {
	name := DerivativeName(id, width)
	put := store.Put(ctx, name, bytes.NewReader(jpeg))
	// Delete removes the original first. If that is still here, a Delete after now removes what was just stored, too.
	ctx = context.WithoutCancel(ctx)
	stored, err := IsStored(ctx, store, id)
	if err == nil && !stored {
		err = store.Delete(ctx, name)
	}
	if err = errors.Join(put, err); err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	if !stored {
		return fmt.Errorf("pictures: %s was deleted meanwhile: %w", id, fs.ErrNotExist)
	}
	return nil
}

// maxHeight is the height of the tallest derivative, in pixels: four times a width of 1,280.
const maxHeight = 5120

// fit gives the size of a w x h picture made to fit into width x 4 width, never larger than it was.
func fit(w, h, width int) (int, int) {
	ratio := min(1, float64(width)/float64(w), float64(min(4*width, maxHeight))/float64(h))
	return max(1, int(float64(w)*ratio+0.5)), max(1, int(float64(h)*ratio+0.5))
}
