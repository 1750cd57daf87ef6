package pictures_test

import (
	"bytes"
	"image"
	"image/color"
	"testing"

	"pgregory.net/rapid"

	"flickrkillr/renderer/pictures"
)

// colorsOf are the six colours of a blur, as 0xRGB.
func colorsOf(t testing.TB, blur uint32) (all [6]uint16) {
	t.Helper()
	if blur>>30 != 1 {
		t.Fatalf("%x is no blur", blur)
	}
	for i := range all {
		all[i] = pictures.Palette[blur>>(25-5*i)&31]
	}
	return all
}

// painted is a picture of w x h pixels, each as at says for its place, from 0 to 1 in each direction.
func painted(w, h int, at func(x, y float64) color.RGBA) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, at((float64(x)+.5)/float64(w), (float64(y)+.5)/float64(h)))
		}
	}
	return img
}

func rgb(c uint16) color.RGBA {
	return color.RGBA{17 * uint8(c>>8&15), 17 * uint8(c>>4&15), 17 * uint8(c&15), 255}
}

// TestBlur: the bands of a blur have the colours of a picture from top to bottom, and the patches those of its sides. A
// picture of one colour of the palette is a blur of that colour, whatever its size.
func TestBlur(t *testing.T) {
	t.Parallel()
	sky, land, night, red := uint16(0x8ce), uint16(0x231), uint16(0x001), uint16(0xc33)
	got := colorsOf(t, pictures.Blur(painted(300, 200, func(_, y float64) color.RGBA {
		if y < .5 {
			return rgb(sky)
		}
		return rgb(land)
	})))
	if got[0] != sky || got[1] != sky || rgb(got[2]).G > 60 || rgb(got[3]).G > 60 {
		t.Errorf("sky over land is %03x", got)
	}
	got = colorsOf(t, pictures.Blur(painted(300, 200, func(x, _ float64) color.RGBA {
		if x < .2 {
			return rgb(red)
		}
		return rgb(night)
	})))
	if left, right := rgb(got[4]), rgb(got[5]); left.R < 100 || right.R > 60 {
		t.Errorf("red at the left is %03x", got)
	}
	for _, size := range []image.Point{{1, 1}, {2, 300}, {300, 2}, {640, 480}, {13, 11}} {
		for _, c := range pictures.Palette {
			got := colorsOf(t, pictures.Blur(painted(size.X, size.Y, func(_, _ float64) color.RGBA { return rgb(c) })))
			if got != [6]uint16{c, c, c, c, c, c} {
				t.Errorf("%v of colour %03x is %03x", size, c, got)
			}
		}
	}
}

// TestBlurIsUpright: the blur of a photo is that of what its photographer saw.
func TestBlurIsUpright(t *testing.T) {
	t.Parallel()
	stored := jpegOf(t, painted(90, 60, func(x, _ float64) color.RGBA { // its left half is white
		return color.RGBA{uint8(255 * (1 - int(x+.5))), uint8(255 * (1 - int(x+.5))), 255, 255}
	}))
	for orientation, white := range map[uint16]int{1: 4, 3: 5, 6: 0, 8: 3} { // the left, right, upper and lower one
		got, err := pictures.Ingest(t.Context(), openDir(t), bytes.NewReader(withEXIF(t, stored,
			[]exifField{short(0x0112, orientation)}, nil, nil)), pictures.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		colors := colorsOf(t, got.Color)
		opposite := map[int]int{4: 5, 5: 4, 0: 3, 3: 0}[white]
		if rgb(colors[white]).R < 150 || rgb(colors[opposite]).R > 100 {
			t.Errorf("orientation %d: %03x", orientation, colors)
		}
	}
}

// TestFlat: what rows of before hold is a blur of the nearest colour, and a blur is itself.
func TestFlat(t *testing.T) {
	t.Parallel()
	for rgb, want := range map[uint32]uint16{0: 0x001, 0xffffff: 0xeee, 0x808080: 0x888, 0xc03a30: 0xc33} {
		if got := colorsOf(t, pictures.Flat(rgb)); got != [6]uint16{want, want, want, want, want, want} {
			t.Errorf("%06x is %03x, want %03x", rgb, got, want)
		}
	}
	if pictures.Flat(0x888888) != pictures.Undecoded {
		t.Errorf("grey is %x, before decoding %x", pictures.Flat(0x888888), pictures.Undecoded)
	}
	rapid.Check(t, func(t *rapid.T) {
		blur := rapid.Uint32Range(1<<30, 1<<31-1).Draw(t, "blur")
		if got := pictures.Flat(blur); got != blur {
			t.Fatalf("%x became %x", blur, got)
		}
	})
}

func BenchmarkBlur(b *testing.B) {
	img := landscape(1280, 853)
	for b.Loop() {
		pictures.Blur(img)
	}
}
