package landscape_test

import (
	"testing"

	"flickrkillr/ops/seed/landscape"
)

// BenchmarkPaint paints one picture after another, of every scene in turn, at the size that is seeded.
func BenchmarkPaint(b *testing.B) {
	a := landscape.NewAlbum(1, 96, 1600)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a.Paint(i % a.Len())
		i++
	}
}
