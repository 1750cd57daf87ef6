package pictures

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
)

// A blur stands for a picture until that arrives: six colours of a palette, of which the style sheet blur.css makes
// four bands, one over the other, and a patch at the left and one at the right edge. It takes 30 bits: the column color
// of images and photos holds it, marked by isBlur. Rows of before have a colour there, 0xRRGGBB, see [Flat].
//
// A blur is six short classes of a page, so it needs no script and no style attribute, which the
// Content-Security-Policy forbids. Measured with 13 photographs and 40 painted pictures, as the mean distance in OKLab
// from the picture at 12 x 12 pixels: 0.131 and 0.072, a single colour 0.191 and 0.137. Six colours in a grid of 2 x 3
// would be at 0.136 and 0.075, and no gradient of CSS draws that.
const (
	blurColors = 6
	blurBits   = 5 // a colour of Palette
	isBlur     = 1 << 30

	bands   = 4
	patches = blurColors - bands
)

// Palette is the colours of blurs, as 0xRGB. They are those that are most frequent in parts of photographs, and a few
// bright ones. The first is that of a picture that was not decoded yet, see [Undecoded].
var Palette = [1 << blurBits]uint16{
	0x888, 0x001, 0x112, 0x123, 0x234, 0x345, 0x322, 0x433, 0x444, 0x666, 0x231, 0x452, 0x7a4, 0x468, 0x27b, 0x59b,
	0x8ce, 0x764, 0x874, 0x998, 0xba8, 0xdb8, 0x944, 0xc33, 0xc63, 0xc82, 0xed6, 0x879, 0xaaa, 0x9ab, 0xccc, 0xeee,
}

// Undecoded is the blur of a picture that was not decoded yet: a neutral grey.
const Undecoded = isBlur

// Flat is the blur of what a row holds: itself, or, of a colour 0xRRGGBB, one of that colour.
func Flat(color uint32) uint32 {
	if color&isBlur != 0 {
		return color
	}
	nearest, least := 0, math.MaxInt
	for i, c := range Palette {
		distance := 0
		for shift := range 3 {
			d := int(color>>(8*shift)&255) - 17*int(c>>(4*shift)&15)
			distance += d * d
		}
		if distance < least {
			nearest, least = i, distance
		}
	}
	var colors [blurColors]int
	for i := range colors {
		colors[i] = nearest
	}
	return packBlur(colors)
}

func packBlur(colors [blurColors]int) uint32 {
	packed := uint32(0)
	for _, c := range colors {
		packed = packed<<blurBits | uint32(c)
	}
	return packed | isBlur
}

// blurSide is how many samples a blur is fitted to in each direction.
const blurSide = 12

// Blur returns the blur of an upright picture.
func Blur(img image.Image) uint32 { return blur(img, 1) }

// BlurOf returns the blur of a derivative.
func BlurOf(data []byte) (uint32, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return 0, fmt.Errorf("pictures: blur: %w", err)
	}
	return Blur(img), nil
}

// blur chooses the six colours so that what the style sheet makes of them is as close as possible to the picture, in
// the sum of squares. What the style sheet makes is a sum of the colours with weights, so each colour is chosen by a
// product of matrices that do not depend on the picture, in turn, until none changes: 20 us, behind the scaling.
func blur(img image.Image, o orientation) uint32 {
	small := scale(img, blurSide, blurSide, o)
	var seen [blurColors][3]float64 // the weighted sums of the picture's samples
	for y := range blurSide {
		for x := range blurSide {
			r, g, b, _ := small.At(x, y).RGBA()
			for i, weight := range blurWeights[y*blurSide+x] {
				seen[i][0] += weight * float64(r) / 0xffff
				seen[i][1] += weight * float64(g) / 0xffff
				seen[i][2] += weight * float64(b) / 0xffff
			}
		}
	}
	var chosen [blurColors]int
	for i := range chosen { // each as if it were alone
		chosen[i] = bestColor(seen[i], blurTotals[i])
	}
	for changed, rounds := true, 0; changed && rounds < 8; rounds++ {
		changed = false
		for i, before := range chosen {
			rest := seen[i] // what the other colours leave to this one
			for j, c := range chosen {
				if j != i {
					for channel := range rest {
						rest[channel] -= blurProducts[i][j] * paletteAt(c, channel)
					}
				}
			}
			chosen[i] = bestColor(rest, blurProducts[i][i])
			changed = changed || chosen[i] != before
		}
	}
	return packBlur(chosen)
}

// bestColor is the colour of Palette that is closest to rest when it counts so much.
func bestColor(rest [3]float64, counts float64) int {
	best, least := 0, math.Inf(1)
	for c := range Palette {
		sum := 0.
		for channel, importance := range [3]float64{.3, .5, .2} { // as eyes have it
			v := paletteAt(c, channel)
			sum += importance * v * (counts*v - 2*rest[channel])
		}
		if sum < least {
			best, least = c, sum
		}
	}
	return best
}

// paletteAt is a channel of a colour, from 0 to 1: 0 is red, 2 is blue.
func paletteAt(color, channel int) float64 { return float64(Palette[color]>>(8-4*channel)&15) / 15 }

// The patches of blur.css are ellipses around the middle of the left and the right edge.
const (
	patchWidth  = .42 // radius, of the picture's width
	patchHeight = .6  // of its height
)

// blurWeights is what each colour counts for in each sample.
var blurWeights = func() (all [blurSide * blurSide][blurColors]float64) {
	for i := range all {
		u, v := (float64(i%blurSide)+.5)/blurSide, (float64(i/blurSide)+.5)/blurSide
		at := v * (bands - 1)
		band := min(int(at), bands-2)
		all[i][band], all[i][band+1] = 1-(at-float64(band)), at-float64(band)
		for patch := range patches {
			covers := max(0, 1-math.Hypot((u-float64(patch))/patchWidth, (v-.5)/patchHeight))
			for under := range bands + patch {
				all[i][under] *= 1 - covers
			}
			all[i][bands+patch] = covers
		}
	}
	return all
}()

// blurTotals is what each colour counts for in all samples.
var blurTotals = func() (all [blurColors]float64) {
	for _, weights := range blurWeights {
		for i, weight := range weights {
			all[i] += weight
		}
	}
	return all
}()

// blurProducts is how much two colours cover the same samples.
var blurProducts = func() (all [blurColors][blurColors]float64) {
	for _, weights := range blurWeights {
		for i, a := range weights {
			for j, b := range weights {
				all[i][j] += a * b
			}
		}
	}
	return all
}()
