package pictures

import (
	"image"
	"image/color"
	"math"
)

// Dominant returns the colour, as 0xRRGGBB, that stands for a picture until it arrives. The mean of all pixels is
// usually a muddy grey. So this is the most frequent colour, with colourful pixels counting more than grey ones:
// pixels are sorted into boxes of OKLab, in which distance is visible difference, and the fullest box is averaged
// with the boxes that touch it.
//
// OKLab: Björn Ottosson, "A perceptual color space for image processing", 2020.
func Dominant(img image.Image) uint32 {
	const (
		side      = 96 // Pixels of the downscale that is looked at: enough for every colour of any extent.
		lightStep = 10.0
		hueStep   = 20.0 // Boxes per unit of a and b, which span about -0.4 to 0.4.
	)
	size := img.Bounds().Size()
	factor := 1
	for size.X/(factor*2) >= side && size.Y/(factor*2) >= side {
		factor *= 2
	}
	small := shrink(img, factor)
	w, h := small.p[0].w, small.p[0].h
	type box struct{ l, a, b int }
	type sum struct{ weight, l, a, b float64 }
	boxes := map[box]sum{}
	step := max(1, w*h/(2*side*side)) // A long thin picture is not shrunk enough.
	for i := 0; i < w*h; i += step {
		r, g, bl := small.at(i%w, i/w)
		l, a, bb := toOKLab(float64(r)/255, float64(g)/255, float64(bl)/255)
		// Nearly black and nearly white say little about a picture.
		weight := (0.15 + 6*math.Hypot(a, bb)) * (0.25 + 3*l*(1-l))
		k := box{int(l * lightStep), int(math.Floor(a * hueStep)), int(math.Floor(bb * hueStep))}
		s := boxes[k]
		boxes[k] = sum{s.weight + weight, s.l + weight*l, s.a + weight*a, s.b + weight*bb}
	}
	around := func(k box) (t sum) {
		for dl := -1; dl <= 1; dl++ {
			for da := -1; da <= 1; da++ {
				for db := -1; db <= 1; db++ {
					s := boxes[box{k.l + dl, k.a + da, k.b + db}]
					t = sum{t.weight + s.weight, t.l + s.l, t.a + s.a, t.b + s.b}
				}
			}
		}
		return t
	}
	var best sum
	var bestKey box
	for k := range boxes {
		t := around(k)
		// Ties are broken by the key: a map's order must not choose the colour.
		if t.weight > best.weight || t.weight == best.weight && less(k.l, k.a, k.b, bestKey.l, bestKey.a, bestKey.b) {
			best, bestKey = t, k
		}
	}
	if best.weight == 0 {
		return 0x808080
	}
	return fromOKLab(best.l/best.weight, best.a/best.weight, best.b/best.weight)
}

// at gives the colour at x, y of the first plane.
func (s planes) at(x, y int) (r, g, b uint8) {
	// Chroma planes may be smaller: the same place in them.
	cx, cy := x*s.p[1].w/s.p[0].w, y*s.p[1].h/s.p[0].h
	v0, v1, v2 := s.p[0].row(y)[x], s.p[1].row(cy)[cx], s.p[2].row(cy)[cx]
	if s.rgb {
		return v0, v1, v2
	}
	return color.YCbCrToRGB(v0, v1, v2)
}

func less(l, a, b, l2, a2, b2 int) bool {
	if l != l2 {
		return l < l2
	}
	if a != a2 {
		return a < a2
	}
	return b < b2
}

func toOKLab(r, g, b float64) (l, a, bb float64) {
	r, g, b = linear(r), linear(g), linear(b)
	x := math.Cbrt(0.4122214708*r + 0.5363325363*g + 0.0514459929*b)
	y := math.Cbrt(0.2119034982*r + 0.6806995451*g + 0.1073969566*b)
	z := math.Cbrt(0.0883024619*r + 0.2817188376*g + 0.6299787005*b)
	return 0.2104542553*x + 0.7936177850*y - 0.0040720468*z,
		1.9779984951*x - 2.4285922050*y + 0.4505937099*z,
		0.0259040371*x + 0.7827717662*y - 0.8086757660*z
}

func fromOKLab(l, a, b float64) uint32 {
	cube := func(v float64) float64 { return v * v * v }
	x := cube(l + 0.3963377774*a + 0.2158037573*b)
	y := cube(l - 0.1055613458*a - 0.0638541728*b)
	z := cube(l - 0.0894841775*a - 1.2914855480*b)
	channel := func(v float64) uint32 { return uint32(math.Round(255 * min(1, max(0, gamma(v))))) }
	return channel(4.0767416621*x-3.3077115913*y+0.2309699292*z)<<16 |
		channel(-1.2684380046*x+2.6097574011*y-0.3413193965*z)<<8 |
		channel(-0.0041960863*x-0.7034186147*y+1.7076147010*z)
}

// linear and gamma are sRGB's transfer functions (IEC 61966-2-1).
func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func gamma(v float64) float64 {
	if v <= 0.0031308 {
		return 12.92 * max(v, 0)
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}
