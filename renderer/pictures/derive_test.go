package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math"
	"testing"

	"golang.org/x/image/draw"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

func ingest(t testing.TB, store pictures.Store, file []byte) pictures.Image {
	t.Helper()
	img, err := pictures.Ingest(t.Context(), store, bytes.NewReader(file), pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func deriveImage(t testing.TB, store pictures.Store, id string, width int) image.Image {
	t.Helper()
	data, err := pictures.Derive(t.Context(), store, id, width)
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestDeriveSizes(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	for _, c := range []struct{ w, h, width, wantW, wantH int }{
		{1600, 1067, 320, 320, 213}, {1600, 1067, 640, 640, 427}, {1600, 1067, 1280, 1280, 854},
		{1067, 1600, 640, 640, 960},
		{300, 200, 1280, 300, 200}, // Never enlarged.
		{1281, 3, 1280, 0, 0},      // Refused at the door: see below.
		{1601, 1201, 320, 320, 240},
		{400, 4000, 320, 128, 1280}, // Very tall: four times the width is the most.
		{1, 1, 320, 1, 1}, {7, 5, 320, 7, 5},
	} {
		file := jpegOf(t, landscape(c.w, c.h))
		img, err := pictures.Ingest(t.Context(), store, bytes.NewReader(file), pictures.Limits{})
		if c.wantW == 0 {
			if err == nil {
				t.Errorf("%d x %d was taken", c.w, c.h)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := deriveImage(t, store, img.ID, c.width).Bounds().Size(); got != image.Pt(c.wantW, c.wantH) {
			t.Errorf("%d x %d at %d: %v, want %d x %d", c.w, c.h, c.width, got, c.wantW, c.wantH)
		}
	}
}

// A picture with a red top left corner, stored in each of the eight ways, comes out with it at the top left.
func TestDeriveTurnsPicturesUp(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	const w, h = 96, 64 // As seen.
	// at gives where the pixel seen at x, y is stored.
	at := map[uint16]func(x, y int) (int, int){
		1: func(x, y int) (int, int) { return x, y },
		2: func(x, y int) (int, int) { return w - 1 - x, y },
		3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		4: func(x, y int) (int, int) { return x, h - 1 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, w - 1 - x },
		7: func(x, y int) (int, int) { return h - 1 - y, w - 1 - x },
		8: func(x, y int) (int, int) { return h - 1 - y, x },
	}
	for o, where := range at {
		size := image.Pt(w, h)
		if o >= 5 {
			size = image.Pt(h, w)
		}
		stored := image.NewRGBA(image.Rectangle{Max: size})
		for y := range h {
			for x := range w {
				c := color.RGBA{30, 30, 200, 255}
				if x < w/2 && y < h/2 {
					c = color.RGBA{220, 30, 30, 255}
				}
				sx, sy := where(x, y)
				stored.SetRGBA(sx, sy, c)
			}
		}
		img := ingest(t, store, withEXIF(t, jpegOf(t, stored), []exifField{short(0x0112, o)}, nil, nil))
		if img.Width != w || img.Height != h {
			t.Errorf("orientation %d: %d x %d, want %d x %d", o, img.Width, img.Height, w, h)
		}
		got := deriveImage(t, store, img.ID, 320)
		for _, p := range []struct {
			x, y int
			red  bool
		}{{8, 8, true}, {w - 8, 8, false}, {8, h - 8, false}, {w - 8, h - 8, false}} {
			r, _, b, _ := got.At(p.x, p.y).RGBA()
			if (r > b) != p.red {
				t.Errorf("orientation %d: wrong colour at %d, %d", o, p.x, p.y)
			}
		}
	}
}

func TestDeriveLaysTransparencyOnWhite(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 900, 900))); err != nil {
		t.Fatal(err)
	}
	for _, width := range page.Widths() {
		r, g, b, _ := deriveImage(t, store, ingest(t, store, file.Bytes()).ID, width).At(100, 100).RGBA()
		if min(r, g, b) < 0xfd00 {
			t.Errorf("at %d: %x %x %x, want white", width, r, g, b)
		}
	}
}

func TestDeriveErrors(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	img := ingest(t, store, jpegOf(t, landscape(60, 40)))
	if _, err := pictures.Derive(t.Context(), store, img.ID, 500); !errors.Is(err, pictures.ErrBadWidth) {
		t.Errorf("width 500: %v", err)
	}
	if _, err := pictures.Derive(t.Context(), store, "../x", 320); !errors.Is(err, pictures.ErrBadID) {
		t.Errorf("bad id: %v", err)
	}
	if _, err := pictures.Derive(t.Context(), store, pictures.ID([]byte("?")), 320); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pictures.Derive(ctx, store, img.ID, 320); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkDerive(b *testing.B) {
	store := openDir(b)
	sizes := map[string]image.Point{"1.7MP": {X: 1600, Y: 1067}, "12MP": {X: 4000, Y: 3000}}
	for _, name := range []string{"1.7MP", "12MP"} {
		img := ingest(b, store, jpegOf(b, landscape(sizes[name].X, sizes[name].Y)))
		for _, width := range []string{"320", "640", "1280"} {
			b.Run(name+"/"+width, func(b *testing.B) {
				w := map[string]int{"320": 320, "640": 640, "1280": 1280}[width]
				b.ReportAllocs()
				for b.Loop() {
					if _, err := pictures.Derive(b.Context(), store, img.ID, w); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkIngest(b *testing.B) {
	store := openDir(b)
	file := jpegOf(b, landscape(1600, 1067))
	b.ReportAllocs()
	for b.Loop() {
		ingest(b, store, file)
	}
}

// The scaler here is not to be told from the slow one it stands in for.
func TestDeriveLooksLikeCatmullRom(t *testing.T) {
	t.Parallel()
	store := openDir(t)
	const w, h = 900, 600
	src := landscape(w, h)
	for y := range h { // Rings: every frequency in every direction. Grey, since a JPEG keeps less of colour.
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			v := uint8(127 + 100*math.Sin((dx*dx+dy*dy)/9000))
			src.SetRGBA(x, y, color.RGBA{v, v, v, 255})
		}
	}
	file := jpegOf(t, src)
	decoded, err := jpeg.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	img := ingest(t, store, file)
	for _, width := range []int{320, 640} {
		got := deriveImage(t, store, img.ID, width)
		want := image.NewRGBA(got.Bounds())
		draw.CatmullRom.Scale(want, want.Rect, decoded, decoded.Bounds(), draw.Src, nil)
		off, n := 0, 0
		for i := 0; i < len(want.Pix); i += 4 {
			r, g, b, _ := got.At(i/4%want.Rect.Dx(), i/4/want.Rect.Dx()).RGBA()
			off += abs(int(r>>8)-int(want.Pix[i])) + abs(int(g>>8)-int(want.Pix[i+1])) +
				abs(int(b>>8)-int(want.Pix[i+2]))
			n += 3
		}
		if mean := float64(off) / float64(n); mean > 3 { // JPEG's own error is about 1 to 2 here.
			t.Errorf("at %d: %.2f levels off on average, want at most 3", width, mean)
		}
	}
}
