package pictures

import (
	"context"
	"errors"
	"fmt"
	"image"

	"flickrkillr/renderer/outside"
	"flickrkillr/schema/page"
)

// making is what is to be made of an original.
type making struct {
	Widths []int // of derivatives, in their order; those that an original of its width does not have are left out
	Blur   bool
}

// seen is what an original is when it is decoded.
type seen struct {
	Width, Height int
	Color         uint32 // the blur, see [Image]; 0 if none was asked for
}

// run decodes an original and calls got for each derivative once it is made. Another process does it if [Outside] says
// so. Errors are a *RefusedError, ErrCrashed, and those of ctx.
func (m making) run(ctx context.Context, original []byte, got func(width int, jpeg []byte)) (seen, error) {
	if all := others.Load(); all != nil {
		result, err := all.run(ctx, m, original, got)
		if !errors.Is(err, outside.ErrNone) {
			return result, err
		}
		if isHEIC(original) {
			return seen{}, errNoSandbox
		}
	}
	return m.here(ctx, original, got)
}

// here is run in this process.
func (m making) here(ctx context.Context, original []byte, got func(width int, jpeg []byte)) (seen, error) {
	f, err := sniff(original)
	if err != nil {
		return seen{}, err
	}
	// The limits again: a file in the store may not have come through Ingest.
	if _, err := f.measure(original, defaultPixels); err != nil {
		return seen{}, err
	}
	camera, _ := readCamera(ctx, f, original)
	if err := ctx.Err(); err != nil {
		return seen{}, err
	}
	img, err := f.pixels(original)
	if err != nil {
		return seen{}, err
	}
	return m.of(ctx, img, camera.orientation, got)
}

// of makes it of a decoded original.
func (m making) of(
	ctx context.Context, img image.Image, o orientation, got func(width int, jpeg []byte),
) (seen, error) {
	size := o.apply(img.Bounds().Size())
	result := seen{Width: size.X, Height: size.Y}
	for _, width := range m.Widths {
		if page.StoredWidth(width, size.X) != width {
			continue
		}
		jpeg, err := derivative(ctx, img, o, width)
		if err != nil {
			return seen{}, fmt.Errorf("pictures: make %d px: %w", width, err)
		}
		got(width, jpeg)
	}
	if m.Blur {
		result.Color = blur(img, o)
	}
	return result, nil
}
