package landscape

// Light is the time and weather of a picture. Titles and tags depend on it.
type Light string

// The kinds of light.
const (
	Dawn     Light = "dawn"
	Golden   Light = "golden hour"
	Noon     Light = "noon"
	Overcast Light = "overcast"
	Sunset   Light = "sunset"
	BlueHour Light = "blue hour"
	Night    Light = "night"
)

// weather is the palette of a light. sky goes from the horizon to the zenith; sun is direct light, ambient the light in
// shadows, haze the colour of distance.
type weather struct {
	light              Light
	sky                gradient
	sun, ambient, haze rgb
	cloudLit, cloudDim rgb
	sunHigh            [2]float32 // Where in the sky the sun may stand: shares of its height above the horizon.
	disc               bool       // Whether the sun itself shows.
}

// weatherFor chooses one of the palettes of a light.
func weatherFor(c chance, l Light) weather {
	w := weather{light: l, disc: true, sunHigh: [2]float32{0.05, 0.3}}
	switch l {
	case Dawn:
		w.sky = pick(c,
			newGradient(0xfbd9c0, 0xf4bdb4, 0xcdb0cc, 0x98a8d2, 0x7292c8),
			newGradient(0xfde3c4, 0xf0cdb9, 0xb9c0d6, 0x86aad4, 0x5e8cc4),
			newGradient(0xf7c6a6, 0xe89ba0, 0xb58bb8, 0x7d82bc, 0x5468a8))
		w.sun, w.ambient, w.haze = rgb{1.9, 1.25, 0.95}, hex(0x7f8fc0).times(0.75), hex(0xb4aac6)
		w.cloudLit, w.cloudDim = hex(0xffd9c4).times(1.1), hex(0xa694b8)
	case Golden:
		w.sky = pick(c,
			newGradient(0xffcf87, 0xf8d9a4, 0xc8cfc6, 0x86abc6, 0x5584b4),
			newGradient(0xffb866, 0xf6c98e, 0xd9c6ac, 0x93a9bc, 0x5c83ac),
			newGradient(0xffe0a0, 0xf5dcb0, 0xb4ccd2, 0x6fa3cc, 0x427bb8))
		w.sun, w.ambient, w.haze = rgb{2.9, 1.75, 0.82}, hex(0x6a86b6).times(0.6), hex(0xc8b4b0)
		w.cloudLit, w.cloudDim = hex(0xffdcaa).times(1.25), hex(0xa89aa8)
	case Noon:
		w.sky = pick(c,
			newGradient(0xd3e6f0, 0xa3cbea, 0x66a5de, 0x4084cc, 0x2b66b0),
			newGradient(0xdcebee, 0xa8d3e4, 0x5cacd6, 0x318cc6, 0x1d69a8),
			newGradient(0xe4ecee, 0xb9d4e8, 0x7fb2e0, 0x5591d0, 0x3a72b8))
		w.sun, w.ambient, w.haze = rgb{2.5, 2.3, 2.0}, hex(0x8fb4e8).times(0.55), hex(0x9cbcdc)
		w.cloudLit, w.cloudDim = rgb{1.5, 1.5, 1.48}, hex(0xb2c0d0)
		w.sunHigh, w.disc = [2]float32{0.9, 1.5}, false
	case Overcast:
		w.sky = pick(c,
			newGradient(0xd9dcdc, 0xc6cccf, 0xaeb7bd, 0x98a3ac),
			newGradient(0xcfd6da, 0xb3bec6, 0x94a2ae, 0x78889a),
			newGradient(0xe4e2dc, 0xd0d0cc, 0xb4b9ba, 0x9ca4a8))
		w.sun, w.ambient, w.haze = rgb{0.75, 0.77, 0.8}, hex(0xc6d0da).times(0.8), hex(0xc9d0d5)
		w.cloudLit, w.cloudDim = hex(0xe8ebec), hex(0x98a4ae)
		w.sunHigh, w.disc = [2]float32{0.6, 1.2}, false
	case Sunset:
		w.sky = pick(c,
			newGradient(0xff9a4d, 0xfa8f68, 0xcb7a92, 0x75639a, 0x3f4a84),
			newGradient(0xffb04a, 0xff7d4a, 0xd4566a, 0x7c4580, 0x3a3566),
			newGradient(0xffc88a, 0xf59c86, 0xbb86a8, 0x6f7bb4, 0x43599c),
			newGradient(0xffd27a, 0xf0a860, 0xc0808a, 0x5f6f9c, 0x2f4a80))
		w.sun, w.ambient, w.haze = rgb{2.6, 1.15, 0.5}, hex(0x6a6aa4).times(0.55), hex(0xa88494)
		w.cloudLit, w.cloudDim = hex(0xff9a68).times(1.25), hex(0x6f5f88)
		w.sunHigh = [2]float32{0.0, 0.14}
	case BlueHour:
		w.sky = pick(c,
			newGradient(0xe2b49a, 0x9f96b8, 0x5b74ae, 0x32508f, 0x1b3368),
			newGradient(0xb9c4d8, 0x7f9ac6, 0x4c70ac, 0x2c4f8c, 0x1a3468),
			newGradient(0xd99f92, 0x86789f, 0x4a5c94, 0x263f78, 0x132654))
		w.sun, w.ambient, w.haze = rgb{0.28, 0.34, 0.5}, hex(0x5a78b8).times(0.55), hex(0x7286b4)
		w.cloudLit, w.cloudDim = hex(0xb89aac), hex(0x44588c)
		w.sunHigh, w.disc = [2]float32{-0.1, -0.05}, false
	case Night:
		w.sky = pick(c,
			newGradient(0x3c4a66, 0x22304e, 0x131d38, 0x0b1228),
			newGradient(0x4a4458, 0x262a48, 0x131a36, 0x090e22),
			newGradient(0x2a4a5c, 0x173048, 0x0e1c36, 0x080f24))
		w.sun, w.ambient, w.haze = rgb{0.16, 0.2, 0.28}, hex(0x28406a).times(0.5), hex(0x2c3c5c)
		w.cloudLit, w.cloudDim = hex(0x55648a), hex(0x1c2848)
		w.sunHigh, w.disc = [2]float32{0.6, 0.9}, false
	}
	return w
}

// sky is one sky: a palette, the place of the sun, and clouds.
type sky struct {
	weather
	horizon float32 // Pixels from the top.
	sunX    float32 // Pixels.
	sunY    float32
	cover   float32 // Of clouds, 0 to 1.
	wispy   bool    // Drawn out by wind.
	size    float32 // Of clouds; 1 is usual.
	noise   *noise
	shift   float32 // Which part of the noise.
}

// newSky chooses a sky over a horizon.
func newSky(c *canvas, ch chance, n *noise, w weather, horizon float32) sky {
	s := sky{
		weather: w, horizon: horizon, noise: n, shift: ch.between(0, 200), size: ch.between(0.7, 1.3),
		wispy: ch.oneIn(4),
	}
	s.sunX = float32(c.w) * ch.between(0.12, 0.88)
	s.sunY = horizon * (1 - ch.between(w.sunHigh[0], w.sunHigh[1]))
	s.cover = pick[float32](ch, 0, 0.25, 0.4, 0.5, 0.6)
	if w.light == Overcast {
		s.cover = ch.between(0.6, 0.9)
	}
	return s
}

// paint covers the whole canvas; below the horizon with the horizon's colour. Nothing in a sky is sharp, so it is
// computed for one pixel in nine.
func (s sky) paint(c *canvas) {
	const f = 3
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	for y := range small.h {
		row := small.row(y)
		for x := range row {
			row[x] = s.at(c, float32(x*f)+f/2, float32(y*f)+f/2)
		}
	}
	enlarge(c, small, 1, false)
	if s.disc && s.sunY < s.horizon+10 {
		u := c.unit()
		c.disc(s.sunX, s.sunY, 11*u, 5*u, s.sun.times(4), 0.95)
	}
}

// at is the light of the sky at a pixel.
func (s sky) at(c *canvas, x, y float32) rgb {
	high := max(0, (s.horizon-y)/max(s.horizon, 0.45*float32(c.h)))
	color := s.sky.at(pow(high, 0.8))
	dx, dy := (x-s.sunX)/float32(max(c.w, c.h)), (y-s.sunY)/float32(max(c.w, c.h))
	d := dx*dx + dy*dy
	if s.disc {
		color = color.plus(s.sun.times(0.16/(1+d*400) + 0.10/(1+d*18)))
	}
	if s.cover > 0 && high > 0 {
		color = s.cloud(color, x, y, high, d, dx, dy, float32(max(c.w, c.h)))
	}
	return color
}

// cloud mixes a layer of clouds, seen from below in perspective, into the sky's colour. Its light side is found from
// the noise one step nearer to the sun.
func (s sky) cloud(color rgb, x, y, high, d, dx, dy, long float32) rgb {
	e := high + 0.09
	// Real clouds have height: seen low down they are not as flat as paper would be.
	e = 0.25 + 0.75*e
	nx := (x/long - 0.5) * 1.5 / e / s.size
	ny := 1.5 / e / s.size
	if s.wispy {
		nx *= 0.45
		ny *= 1.6
	}
	nx, ny = nx+s.shift, ny+s.shift*0.7
	n := s.noise.fbm(nx, ny, 6)
	edge := lerp(0.66, 0.34, s.cover)
	density := smoothstep(edge, edge+0.24, n)
	if density <= 0 {
		return color
	}
	l := max(sqrt(d), 1e-3)
	toward := s.noise.fbm(nx-dx/l*0.22, ny-dy/l*0.22, 4)
	lit := clamp01(0.5 + (n-toward)*3.2)
	lit = lerp(lit, 1-density*0.6, 0.35)
	near := 1 / (1 + d*30)
	shade := mix(s.cloudDim, s.cloudLit, lit)
	if s.disc { // Thin cloud before the sun glows.
		shade = shade.plus(s.sun.times(0.35 * near * (1 - density*0.7)))
	}
	// Clouds low down are seen through much air.
	return mix(color, shade, density*smoothstep(0, 0.12, high)*0.92)
}
