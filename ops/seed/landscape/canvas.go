package landscape

import "math"

// rgb is a colour in linear light: 1 is paper white, the sun is far more. Light adds and mixes correctly only in this
// form; film.go converts it for a screen.
type rgb struct{ r, g, b float32 }

// hex reads a colour as 0xRRGGBB in sRGB.
func hex(c uint32) rgb {
	channel := func(v uint32) float32 {
		f := float64(v&255) / 255
		if f <= 0.04045 {
			return float32(f / 12.92)
		}
		return float32(math.Pow((f+0.055)/1.055, 2.4))
	}
	return rgb{channel(c >> 16), channel(c >> 8), channel(c)}
}

func (c rgb) times(f float32) rgb { return rgb{c.r * f, c.g * f, c.b * f} }
func (c rgb) plus(d rgb) rgb      { return rgb{c.r + d.r, c.g + d.g, c.b + d.b} }
func (c rgb) filter(d rgb) rgb    { return rgb{c.r * d.r, c.g * d.g, c.b * d.b} }
func (c rgb) luma() float32       { return 0.2126*c.r + 0.7152*c.g + 0.0722*c.b }
func mix(a, b rgb, t float32) rgb {
	return rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

// gradient is a row of colours at equal distances, mixed in roughly perceptual steps.
type gradient []rgb

// newGradient distributes colours given in hex over 0 to 1.
func newGradient(colors ...uint32) gradient {
	const n = 256
	g := make(gradient, n)
	root := func(c rgb) rgb { return rgb{sqrt(c.r), sqrt(c.g), sqrt(c.b)} }
	for i := range g {
		at := float32(i) / (n - 1) * float32(len(colors)-1)
		k := min(int(at), max(len(colors)-2, 0))
		a, b := root(hex(colors[k])), root(hex(colors[min(k+1, len(colors)-1)]))
		m := mix(a, b, at-float32(k))
		g[i] = m.filter(m)
	}
	return g
}

func (g gradient) at(t float32) rgb {
	f := clamp01(t) * float32(len(g)-1)
	i := int(f)
	if i >= len(g)-1 {
		return g[len(g)-1]
	}
	return mix(g[i], g[i+1], f-float32(i))
}

// canvas is a picture being painted, in linear light.
type canvas struct {
	w, h int
	pix  []rgb
}

func newCanvas(w, h int) *canvas { return &canvas{w: w, h: h, pix: make([]rgb, w*h)} }

func (c *canvas) row(y int) []rgb { return c.pix[y*c.w:][:c.w] }

// unit is the unit of all sizes, so that a small picture is a smaller copy of the large one: 1/1000 of the long side.
func (c *canvas) unit() float32 { return float32(max(c.w, c.h)) / 1000 }

// blend mixes color into the pixel by cover, 0 to 1. Pixels outside the canvas are ignored.
func (c *canvas) blend(x, y int, color rgb, cover float32) {
	if x < 0 || y < 0 || x >= c.w || y >= c.h {
		return
	}
	p := &c.pix[y*c.w+x]
	*p = mix(*p, color, clamp01(cover))
}

// add adds light to a pixel.
func (c *canvas) add(x, y int, light rgb) {
	if x < 0 || y < 0 || x >= c.w || y >= c.h {
		return
	}
	p := &c.pix[y*c.w+x]
	*p = p.plus(light)
}

// disc paints a disc; edge is the width of its soft edge in pixels.
func (c *canvas) disc(cx, cy, radius, edge float32, color rgb, cover float32) {
	edge = max(edge, 1)
	out := radius + edge
	for y := max(0, int(cy-out)); y <= min(c.h-1, int(cy+out)+1); y++ {
		for x := max(0, int(cx-out)); x <= min(c.w-1, int(cx+out)+1); x++ {
			d := hypot(float32(x)+0.5-cx, float32(y)+0.5-cy)
			if a := clamp01((radius-d)/edge + 0.5); a > 0 {
				c.blend(x, y, color, a*cover)
			}
		}
	}
}

// glow adds light that falls off around a point: strong within size, faint at ten times that.
func (c *canvas) glow(cx, cy, size float32, light rgb) {
	reach := size * 12
	for y := max(0, int(cy-reach)); y <= min(c.h-1, int(cy+reach)); y++ {
		row := c.row(y)
		dy := (float32(y) - cy) / size
		for x := max(0, int(cx-reach)); x <= min(c.w-1, int(cx+reach)); x++ {
			dx := (float32(x) - cx) / size
			d := dx*dx + dy*dy
			fall := 1/(1+d) - 1.0/145
			if fall > 0 {
				row[x] = row[x].plus(light.times(fall))
			}
		}
	}
}

// line paints a line of a width in pixels, which may be below one, with soft edges.
func (c *canvas) line(x0, y0, x1, y1, width float32, color rgb, cover float32) {
	dx, dy := x1-x0, y1-y0
	length := dx*dx + dy*dy
	half := width / 2
	pad := half + 1
	for y := max(0, int(min(y0, y1)-pad)); y <= min(c.h-1, int(max(y0, y1)+pad)); y++ {
		for x := max(0, int(min(x0, x1)-pad)); x <= min(c.w-1, int(max(x0, x1)+pad)); x++ {
			px, py := float32(x)+0.5-x0, float32(y)+0.5-y0
			t := float32(0)
			if length > 0 {
				t = clamp01((px*dx + py*dy) / length)
			}
			d := hypot(px-t*dx, py-t*dy)
			if a := clamp01(half - d + 0.5); a > 0 {
				c.blend(x, y, color, a*cover*min(1, width))
			}
		}
	}
}

// column fills column x from the height top (pixels, the fraction is cover) down to bottom, with shade for each row.
func (c *canvas) column(x int, top, bottom float32, shade func(y int) rgb) {
	if x < 0 || x >= c.w {
		return
	}
	first := max(0, int(math.Floor(float64(top))))
	for y := first; y < min(c.h, int(bottom)); y++ {
		color := shade(y)
		if cover := float32(y+1) - top; cover < 1 {
			c.blend(x, y, color, cover)
			continue
		}
		c.pix[y*c.w+x] = color
	}
}

func clamp01(v float32) float32 { return min(max(v, 0), 1) }

func smoothstep(a, b, v float32) float32 {
	t := clamp01((v - a) / (b - a))
	return t * t * (3 - 2*t)
}

func lerp(a, b, t float32) float32 { return a + (b-a)*t }
func sqrt(v float32) float32       { return float32(math.Sqrt(float64(v))) }
func hypot(x, y float32) float32   { return sqrt(x*x + y*y) }
func exp(v float32) float32        { return float32(math.Exp(float64(v))) }
func sin(v float32) float32        { return float32(math.Sin(float64(v))) }
func cos(v float32) float32        { return float32(math.Cos(float64(v))) }
func pow(v, e float32) float32     { return float32(math.Pow(float64(v), float64(e))) }
func floor(v float32) float32      { return float32(math.Floor(float64(v))) }
func abs(v float32) float32        { return max(v, -v) }
