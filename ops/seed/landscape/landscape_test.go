package landscape_test

import (
	"bytes"
	"image"
	"math"
	"slices"
	"sync"
	"testing"

	"flickrkillr/ops/seed/landscape"
)

// The same seed gives the same pixels, in whatever order and by however many they are painted.
func TestSameSeedSamePixels(t *testing.T) {
	t.Parallel()
	const count = 24
	paint := func(seed uint64) [][]byte {
		a := landscape.NewAlbum(seed, count, 96)
		out := make([][]byte, count)
		var wg sync.WaitGroup
		for part := range 3 {
			wg.Go(func() {
				for i := count - 1 - part; i >= 0; i -= 3 {
					out[i] = a.Paint(i).Image.Pix
				}
			})
		}
		wg.Wait()
		return out
	}
	first, again, other := paint(3), paint(3), paint(4)
	same := 0
	for i := range first {
		if !bytes.Equal(first[i], again[i]) {
			t.Errorf("picture %d came out differently", i)
		}
		if bytes.Equal(first[i], other[i]) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d pictures of another seed are the same", same)
	}
}

// A page of pictures has a bit of everything, and none of it is blank.
func TestVariety(t *testing.T) {
	t.Parallel()
	const count = 60
	a := landscape.NewAlbum(1, count, 120)
	scenes, lights, shapes := map[landscape.Scene]int{}, map[landscape.Light]int{}, map[float64]int{}
	for i := range count {
		p := a.Paint(i)
		scenes[p.Scene]++
		lights[p.Light]++
		size := p.Image.Bounds().Size()
		if max(size.X, size.Y) != 120 {
			t.Errorf("picture %d is %v", i, size)
		}
		shapes[math.Round(10*float64(size.X)/float64(size.Y))]++
		if p.Light == "" || p.Scene != a.Scene(i) || len(p.Subjects) == 0 {
			t.Errorf("picture %d says too little of itself: %s, %s, %v", i, p.Scene, p.Light, p.Subjects)
		}
		mean, spread := brightness(p.Image.Pix)
		if mean < 8 || mean > 235 || spread < 3 {
			t.Errorf("picture %d (%s, %s) is blank: brightness %.0f, spread %.1f", i, p.Scene, p.Light, mean, spread)
		}
	}
	all, many := map[landscape.Scene]bool{}, landscape.NewAlbum(1, 400, 120)
	for i := range many.Len() {
		all[many.Scene(i)] = true
	}
	if len(scenes) != len(all) {
		t.Errorf("%d of %d scenes: %v", len(scenes), len(all), scenes)
	}
	if len(lights) < 6 || len(shapes) < 6 {
		t.Errorf("lights %v, shapes %v", lights, shapes)
	}
}

// A picture says the same of itself at every size and in an album for small pictures, and Size is the size that it has.
func TestSizesAgree(t *testing.T) {
	t.Parallel()
	a, sketches := landscape.NewAlbum(1, 120, 1600), landscape.NewAlbum(1, 120, 48)
	for i := range a.Len() {
		small, large := sketches.PaintAt(i, 48), a.PaintAt(i, 300)
		if small.Scene != large.Scene || small.Light != large.Light || small.Mono != large.Mono ||
			!slices.Equal(small.Subjects, large.Subjects) {
			t.Errorf("picture %d: %s %s %t %v, and larger %s %s %t %v", i, small.Scene, small.Light, small.Mono,
				small.Subjects,
				large.Scene, large.Light, large.Mono, large.Subjects)
		}
		if w, h := a.Size(i, 300); large.Image.Bounds().Size() != image.Pt(w, h) {
			t.Errorf("picture %d is %v, not %d x %d", i, large.Image.Bounds().Size(), w, h)
		}
	}
}

// brightness gives the mean of green and its standard deviation.
func brightness(pix []byte) (mean, spread float64) {
	var sum, squares, n float64
	for i := 1; i < len(pix); i += 4 {
		v := float64(pix[i])
		sum, squares, n = sum+v, squares+v*v, n+1
	}
	mean = sum / n
	return mean, math.Sqrt(squares/n - mean*mean)
}
