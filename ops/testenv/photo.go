package testenv

import (
	"bytes"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"
)

// LargePhoto is a JPEG of 4,000 x 3,000 pixels and about 5 MB, with as much noise as photos have.
func LargePhoto(t testing.TB) []byte {
	t.Helper()
	im := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 2))
	for y := range 3000 {
		for x := range 4000 {
			im.Y[y*im.YStride+x] = uint8(60 + (x+y)/50 + r.IntN(40))
		}
	}
	for i := range im.Cb {
		im.Cb[i], im.Cr[i] = uint8(110+i%40), 140
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 88}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
