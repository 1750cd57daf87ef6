package pictures

import (
	"context"
	"fmt"
)

// Develop decodes an original that was stored without being decoded, and stores its derivatives up to 1,280 px. It
// calls small once the small ones are stored, those that listings show. Of the result, size and colour are as the
// decoded picture has them. Errors: a *RefusedError if the picture cannot be decoded; when errors.Is(err,
// fs.ErrNotExist) holds, there is no such original.
func Develop(ctx context.Context, store Store, id string, small func()) (Image, error) {
	data, err := fetch(ctx, store, id)
	if err != nil {
		return Image{}, err
	}
	f, result, err := inspect(ctx, data, Limits{}.withDefaults())
	if err != nil {
		return Image{}, err
	}
	result.ID = id
	img, err := f.pixels(data)
	if err != nil {
		return Image{}, err
	}
	o := result.Camera.orientation
	width := o.apply(img.Bounds().Size()).X
	first := widthsOf(width, widestSmall)
	if err := keepAll(ctx, store, id, img, o, first); err != nil {
		return Image{}, fmt.Errorf("pictures: develop: %w", err)
	}
	small()
	result.decoded(img)
	if err := keepAll(ctx, store, id, img, o, widthsOf(width, widestAtOnce)[len(first):]); err != nil {
		return Image{}, fmt.Errorf("pictures: develop: %w", err)
	}
	return result, nil
}
