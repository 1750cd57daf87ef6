package heif_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"testing"

	"flickrkillr/renderer/pictures/heif"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(data []byte, pixels int) (image.Image, error) {
	return heif.Decode(bytes.NewReader(data), len(data), pixels)
}

// TestDecode: each quarter of the picture has its colour, whatever lengths the rows have.
func TestDecode(t *testing.T) {
	t.Parallel()
	quarters := [2][2]color.RGBA{{{200, 30, 30, 255}, {30, 180, 30, 255}}, {{30, 30, 200, 255}, {230, 230, 230, 255}}}
	for name, size := range map[string]image.Point{"small.heic": {50, 31}, "odd.heic": {151, 91}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := file(t, name)
			if name == "odd.heic" { // some programs name the general brand first
				copy(data[8:], "mif1")
			}
			img, err := decode(data, 1e6)
			if err != nil {
				t.Fatal(err)
			}
			if img.Bounds().Size() != size {
				t.Fatalf("it has %v pixels", img.Bounds().Size())
			}
			for y := range size.Y {
				for x := range size.X {
					if near(x, size.X/2) || near(y, size.Y/2) {
						continue
					}
					want := quarters[min(1, y/(size.Y/2))][min(1, x/(size.X/2))]
					r, g, b, _ := img.At(x, y).RGBA()
					for i, v := range [...][2]int{{int(r >> 8), int(want.R)}, {int(g >> 8), int(want.G)},
						{int(b >> 8), int(want.B)}} {
						if v[0] < v[1]-24 || v[0] > v[1]+24 {
							t.Fatalf("colour %d of (%d, %d) is %d, want %d", i, x, y, v[0], v[1])
						}
					}
				}
			}
		})
	}
}

func near(a, b int) bool { return a > b-10 && a < b+10 }

// TestHostile: no file does more than fail, and one that has more pixels than are wanted is not decoded.
func TestHostile(t *testing.T) {
	t.Parallel()
	whole := file(t, "odd.heic")
	if _, err := decode(whole, 151*91-1); !errors.Is(err, heif.ErrFile) {
		t.Errorf("more pixels than are wanted: %v", err)
	}
	for n := 0; n < len(whole)-40; n += 97 {
		if _, err := decode(whole[:n], 1e6); !errors.Is(err, heif.ErrFile) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		broken := bytes.Clone(whole)
		for range 1 + r.IntN(8) {
			broken[r.IntN(len(broken))] = byte(r.IntN(256))
		}
		img, err := decode(broken, 1e6)
		if err == nil && img.Bounds().Empty() || err != nil && !errors.Is(err, heif.ErrFile) {
			t.Errorf("%v", err)
		}
	}
	if img, err := decode(whole, 1e6); err != nil || img.Bounds().Dx() != 151 {
		t.Errorf("the next one: %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := file(b, "odd.heic")
	for b.Loop() {
		if _, err := decode(data, 1e8); err != nil {
			b.Fatal(err)
		}
	}
}
