package pictures

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"flickrkillr/schema/page"
)

// widestOf is the widest derivative that is made of a file when it is developed. To decode a HEIC file takes longer
// than somebody waits for a picture, so all of its derivatives are made then.
func widestOf(f format) int {
	if f.name == heic.name {
		return slices.Max(page.Widths())
	}
	return widestAtOnce
}

// Develop decodes an original that was stored without being decoded, and stores its derivatives up to 1,280 px, of a
// HEIC file all. It calls small once the small ones are stored, those that listings show. Of the result, size and
// colour are as the decoded picture has them. Errors: a *RefusedError if the picture cannot be decoded; when
// errors.Is(err, fs.ErrNotExist) holds, there is no such original.
func Develop(ctx context.Context, store Store, id string, small func()) (Image, error) {
	data, err := fetch(ctx, store, id)
	if err != nil {
		return Image{}, err
	}
	f, result, err := inspect(ctx, data, Limits{HEIC: true}.withDefaults())
	if err != nil {
		return Image{}, err
	}
	result.ID = id
	first, told := widthsOf(result.Width, widestSmall), false
	var failed error
	seen, err := making{Widths: widthsOf(result.Width, widestOf(f)), Blur: true}.run(ctx, data,
		func(width int, jpeg []byte) {
			if failed != nil || told && width <= widestSmall { // a process may begin again
				return
			}
			if failed = keep(ctx, store, id, width, jpeg); failed == nil && width == first[len(first)-1] {
				told = true
				small()
			}
		})
	if err = cmp.Or(failed, err); err != nil {
		return Image{}, fmt.Errorf("pictures: develop: %w", err)
	}
	if !told {
		small()
	}
	result.Width, result.Height, result.Color = seen.Width, seen.Height, seen.Color
	return result, nil
}
