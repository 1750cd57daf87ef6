package landscape

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"sync"
	"testing"
	"time"

	xdraw "golang.org/x/image/draw"
)

// TestContactSheet writes a sheet of pictures to the file named by LANDSCAPE_SHEET, for looking at.
// LANDSCAPE_SCENE keeps to one scene.
func TestContactSheet(t *testing.T) {
	path := os.Getenv("LANDSCAPE_SHEET")
	if path == "" {
		t.Skip("LANDSCAPE_SHEET names no file")
	}
	count, from := 20, 0
	fmt.Sscan(os.Getenv("LANDSCAPE_COUNT"), &count)
	fmt.Sscan(os.Getenv("LANDSCAPE_FROM"), &from)
	a := NewAlbum(1, 4000, 1600)
	var which []int
	for i := from; i < a.Len() && len(which) < count; i++ {
		if s := os.Getenv("LANDSCAPE_SCENE"); s == "" || s == string(a.order[i].scene) {
			which = append(which, i)
		}
	}
	const cols, cell = 4, 400
	sheet := image.NewRGBA(image.Rect(0, 0, cols*cell, (len(which)+cols-1)/cols*300))
	start := time.Now()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Go(func() {
			for k := range next {
				p := a.Paint(which[k])
				b := p.Image.Bounds()
				w, h := cell-6, (cell-6)*b.Dy()/b.Dx()
				if h > 294 {
					w, h = 294*b.Dx()/b.Dy(), 294
				}
				at := image.Pt(k%cols*cell+(cell-w)/2, k/cols*300+(300-h)/2)
				small := image.NewRGBA(image.Rect(0, 0, w, h))
				xdraw.ApproxBiLinear.Scale(small, small.Rect, p.Image, b, draw.Src, nil)
				draw.Draw(sheet, small.Rect.Add(at), small, image.Point{}, draw.Src)
				if one := os.Getenv("LANDSCAPE_ONE"); one != "" {
					f, _ := os.Create(one)
					png.Encode(f, p.Image)
					f.Close()
				}
			}
		})
	}
	for k := range which {
		next <- k
	}
	close(next)
	wg.Wait()
	t.Logf("%v a picture (wall, two at a time)", time.Since(start)/time.Duration(len(which)))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, sheet); err != nil {
		t.Fatal(err)
	}
}
