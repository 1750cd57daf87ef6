package landscape

import (
	"image"
	"math"
)

// film is how a painted scene becomes an image: exposure, bloom, grading, vignette, grain.
type film struct {
	exposure   float32 // Factor on light; 0 means 1.
	bloom      float32 // Share of bright light that spreads; about 0.1 to 0.5.
	saturation float32 // 1 leaves it; 0 is black and white. Zero value means 1 unless mono.
	mono       bool
	shadows    rgb     // Tint multiplied into the dark parts (zero value: none).
	highlights rgb     // And into the bright.
	vignette   float32 // Darkening of the corners, 0 to 1.
	grain      float32 // In 8-bit levels; at least 0.7 is added, so that gradients do not band.
	contrast   float32 // 0 means a gentle default.
	seed       uint32
}

const toneSteps = 4096

// tone is the curve from linear light to 0 to 255 in sRGB: the exponential shoulder of film, then contrast around the
// middle.
func tone(contrast float32) *[toneSteps + 1]float32 {
	t := new([toneSteps + 1]float32)
	for i := range t {
		// The table is spaced by the square root, to be fine in the shadows.
		x := float64(i) / toneSteps
		x = x * x * toneMax
		v := 1 - math.Exp(-1.3*x)
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		s := v * v * (3 - 2*v)
		v += (s - v) * float64(contrast)
		t[i] = float32(v * 255)
	}
	return t
}

const toneMax = 8 // Light above this is white.

// develop turns the canvas into an image. Bloom changes the canvas.
func (f film) develop(c *canvas) *image.RGBA {
	if f.exposure == 0 {
		f.exposure = 1
	}
	if f.saturation == 0 {
		f.saturation = 1
	}
	if f.mono {
		f.saturation = 0
	}
	if f.contrast == 0 {
		f.contrast = 0.3
	}
	none := rgb{}
	if f.shadows == none {
		f.shadows = rgb{1, 1, 1}
	}
	if f.highlights == none {
		f.highlights = rgb{1, 1, 1}
	}
	if f.bloom > 0 {
		bloom(c, f.bloom)
	}
	curve := tone(f.contrast)
	level := max(f.grain, 0.7)
	img := image.NewRGBA(image.Rect(0, 0, c.w, c.h))
	corner := 1 / (float32(c.w)*float32(c.w) + float32(c.h)*float32(c.h)) * 4
	scale := toneSteps * toneSteps / float32(toneMax)
	plain := f.saturation == 1 && f.shadows == f.highlights
	for y := range c.h {
		out := img.Pix[y*img.Stride:][:c.w*4]
		dy := float32(y) - float32(c.h)/2
		for x, p := range c.row(y) {
			dx := float32(x) - float32(c.w)/2
			d := (dx*dx + dy*dy) * corner
			e := f.exposure * (1 - f.vignette*d*d) * scale
			if !plain {
				l := p.luma()
				tint := mix(f.shadows, f.highlights, min(1, l*2))
				p = rgb{l + (p.r-l)*f.saturation, l + (p.g-l)*f.saturation, l + (p.b-l)*f.saturation}.filter(tint)
			}
			n := grain(x, y, f.seed)*level + 0.5
			o := out[x*4 : x*4+4 : x*4+4]
			o[0] = toneAt(curve, p.r*e, n)
			o[1] = toneAt(curve, p.g*e, n)
			o[2] = toneAt(curve, p.b*e, n)
			o[3] = 255
		}
	}
	return img
}

// toneAt looks up light (times toneSteps squared over toneMax) on the curve and adds grain.
func toneAt(curve *[toneSteps + 1]float32, light, n float32) byte {
	i := 0
	if light > 0 {
		i = min(int(sqrt(light)), toneSteps)
	}
	return byte(min(max(curve[i]+n, 0), 255))
}

// bloom spreads the brightest light, as lenses do: reduced to an eighth, blurred, and added.
func bloom(c *canvas, strength float32) {
	const f = 8
	w, h := (c.w+f-1)/f, (c.h+f-1)/f
	small := newCanvas(w, h)
	bright := false
	for y := range c.h {
		out := small.row(y / f)
		for x, p := range c.row(y) {
			if l := p.luma(); l > 0.6 {
				bright = true
				over := min(l-0.6, 6) / l / (f * f)
				out[x/f] = out[x/f].plus(p.times(over))
			}
		}
	}
	radius := max(1, int(float32(max(w, h))*0.02))
	if !bright {
		return
	}
	for range 3 { // Three boxes make nearly a bell.
		blur(small, radius)
	}
	enlarge(c, small, strength, true)
}

// enlarge mixes a small canvas, smoothly enlarged and times strength, into a large one, or adds it.
func enlarge(c, small *canvas, strength float32, add bool) {
	fx, fy := float32(small.w)/float32(c.w), float32(small.h)/float32(c.h)
	left, share := make([]int32, c.w), make([]float32, c.w)
	for x := range left {
		sx := min(max((float32(x)+0.5)*fx-0.5, 0), float32(small.w)-1.001)
		left[x] = int32(max(sx, 0))
		share[x] = sx - float32(left[x])
	}
	line := make([]rgb, small.w+1) // Two rows of the small canvas mixed.
	for y := range c.h {
		sy := min(max((float32(y)+0.5)*fy-0.5, 0), float32(small.h-1))
		y0 := int(sy)
		ty := sy - float32(y0)
		r0, r1 := small.row(y0), small.row(min(y0+1, small.h-1))
		for x := range r0 {
			line[x] = mix(r0[x], r1[x], ty).times(strength)
		}
		line[small.w] = line[small.w-1]
		row := c.row(y)
		for x := range row {
			i, t := left[x], share[x]
			a, b := line[i], line[i+1]
			v := rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
			if add {
				v.r, v.g, v.b = v.r+row[x].r, v.g+row[x].g, v.b+row[x].b
			}
			row[x] = v
		}
	}
}

// blur averages over 2 radius + 1 pixels in each direction, by running sums.
func blur(c *canvas, radius int) {
	line := make([]rgb, max(c.w, c.h))
	pass := func(n, stride int, start int) {
		for i := range n {
			line[i] = c.pix[start+i*stride]
		}
		var sum rgb
		at := func(i int) rgb { return line[min(max(i, 0), n-1)] }
		for i := -radius; i <= radius; i++ {
			sum = sum.plus(at(i))
		}
		f := 1 / float32(2*radius+1)
		for i := range n {
			c.pix[start+i*stride] = sum.times(f)
			sum = sum.plus(at(i + radius + 1)).plus(at(i - radius).times(-1))
		}
	}
	for y := range c.h {
		pass(c.w, 1, y*c.w)
	}
	for x := range c.w {
		pass(c.h, c.w, x)
	}
}
