package landscape_test

import (
	"cmp"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"strconv"
	"testing"

	xdraw "golang.org/x/image/draw"

	"flickrkillr/ops/seed/landscape"
)

// BenchmarkPaint paints one picture after another, of every scene, at the size that is seeded.
func BenchmarkPaint(b *testing.B) {
	a := landscape.NewAlbum(1, 96, 1600)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a.Paint(i % a.Len())
		i++
	}
}

// BenchmarkSheet paints a contact sheet, to be looked at after a change:
//
//	SHEET=/tmp/sheet.png SCENE=lake COUNT=24 FROM=0 go test ./ops/seed/landscape -run '^$' -bench Sheet -benchtime 1x
func BenchmarkSheet(b *testing.B) {
	name := os.Getenv("SHEET")
	if name == "" {
		b.Skip("SHEET names no file")
	}
	number := func(key string, otherwise int) int {
		n, err := strconv.Atoi(cmp.Or(os.Getenv(key), fmt.Sprint(otherwise)))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	const columns, wide, high = 4, 400, 300
	count, from := number("COUNT", 24), number("FROM", 0)
	sheet := image.NewRGBA(image.Rect(0, 0, columns*wide, (count+columns-1)/columns*high))
	for b.Loop() {
		a := landscape.NewAlbum(1, 4000, 1600)
		for i, n := from, 0; n < count && i < a.Len(); i++ {
			if scene := os.Getenv("SCENE"); scene != "" && string(a.Scene(i)) != scene {
				continue
			}
			p := a.Paint(i)
			size := p.Image.Bounds().Size()
			scale := min(float64(wide-6)/float64(size.X), float64(high-6)/float64(size.Y))
			w, h := int(float64(size.X)*scale), int(float64(size.Y)*scale)
			at := image.Pt(n%columns*wide+(wide-w)/2, n/columns*high+(high-h)/2)
			xdraw.ApproxBiLinear.Scale(sheet, image.Rect(0, 0, w, h).Add(at), p.Image, p.Image.Bounds(), draw.Src, nil)
			n++
		}
	}
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, sheet); err != nil {
		b.Fatal(err)
	}
}
