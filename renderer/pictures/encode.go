package pictures

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
)

// MaxBytes is the most bytes of a derivative. It must fit one message of the bus (max_payload is 1 MiB by default)
// and one item of memcached (the same limit); 16 KiB are left for headers.
const MaxBytes = 1<<20 - 16<<10

// quality is the quality of a derivative on image/jpeg's scale. 640 and 2,560 px are mostly seen at about two pixels of
// the picture for one of the layout, where flaws are half as large. Against 82 for all, a phone's first screen has a
// tenth fewer bytes.
func quality(width int) int {
	switch width {
	case 320:
		return 75
	case 640:
		return 70
	case 1280:
		return 80
	}
	return 75
}

// leastQuality is the quality below which fewer pixels look better than worse ones.
const leastQuality = 45

// encode makes the JPEG of a derivative. If it is larger than MaxBytes, encode lowers the quality in steps, and then
// the size.
func encode(img image.Image, width int) ([]byte, error) {
	var out bytes.Buffer
	for q := quality(width); ; {
		out.Reset()
		size := img.Bounds().Size()
		out.Grow(size.X*size.Y/6 + 1024)
		if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: q}); err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		switch {
		case out.Len() <= MaxBytes:
			return out.Bytes(), nil
		case q > leastQuality:
			q = max(q-15, leastQuality)
		default:
			img = scale(img, max(1, size.X*3/4), max(1, size.Y*3/4), 1)
		}
	}
}
