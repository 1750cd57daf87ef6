package landscape

// storm paints weather over a plain or the sea: a shelf of cloud, rain under it, and lightning.
func storm(p *painter) {
	c, ch := p.canvas, p.chance
	p.picture.Light = Overcast
	u := c.unit()
	horizon := float32(int(float32(c.h) * ch.between(0.68, 0.82)))
	grad := pick(ch, newGradient(0xc8b890, 0x8a8c90, 0x4c5664, 0x2a303c, 0x1c2028),
		newGradient(0xa8b4b0, 0x6c7c84, 0x3c4a58, 0x243040, 0x181e2a),
		newGradient(0xd8946a, 0x946a6c, 0x54485c, 0x302e44, 0x1c1c2c),
		newGradient(0x9a9ab8, 0x5e5e88, 0x38385c, 0x222240, 0x14142a))
	const f = 2
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	shift := ch.between(0, 200)
	boltX := float32(c.w) * ch.between(0.15, 0.85)
	strike := !ch.oneIn(4)
	rainX, rainW := ch.between(0.1, 0.9), ch.between(0.08, 0.2)
	for y := range small.h {
		high := max(0, (horizon-float32(y*f))/horizon)
		for x := range small.w {
			fx := float32(x * f)
			nx := (fx/u/1000 - 0.5) / (high + 0.25) * 1.2
			ny := 1 / (high + 0.25)
			// Noise bent by noise: clouds that boil.
			bend := p.noise.fbm(nx*1.3+shift, ny*1.3, 3)
			n := p.noise.fbm(nx*1.6+bend*1.4+shift, ny*2.2+bend, 6)
			color := grad.at(high*0.9 + (n-0.5)*0.55)
			color = color.times(0.55 + 0.95*n)
			if strike {
				d := (fx - boltX) / (260 * u)
				color = color.plus(rgb{0.42, 0.4, 0.62}.times((0.25 + n) * exp(-d*d) * (0.25 + high)))
			}
			r := (fx/float32(c.w) - rainX - high*0.12) / rainW
			streak := 0.7 + 0.3*p.noise.at(fx/u*0.08-high*8, 3)
			color = mix(color, grad.at(0.35).times(0.8), 0.75*exp(-r*r)*(1-smoothstep(0.25, 0.55, high))*streak)
			small.pix[y*small.w+x] = color
		}
	}
	enlarge(c, small, 1, false)
	s := sky{weather: weatherFor(ch, Overcast), horizon: horizon}
	s.sky = grad
	s.sun = rgb{0.4, 0.4, 0.5}
	if strike {
		for range 1 + ch.IntN(2) {
			p.bolt(ch.fork(), boltX, horizon*ch.between(0.02, 0.15), horizon, 3.2*u)
			boltX += ch.between(-200, 200) * u
		}
		p.film.bloom = 0.6
		p.subject("lightning")
	}
	if ch.oneIn(2) {
		p.waves(&s, horizon, float32(c.h), 0, hex(0x0a1820))
		p.subject("sea")
	} else {
		p.plain(horizon, grad)
		p.subject("plains")
	}
	p.subject("storm", "clouds", "weather", "rain")
}

// bolt paints lightning: a winding path with dimmer branches. How many random numbers it takes from ch depends on the
// size of the picture.
func (p *painter) bolt(ch chance, x, y, ground, width float32) {
	c := p.canvas
	u := c.unit()
	drift := ch.between(-0.5, 0.5)
	for y < ground {
		nx := x + (drift+ch.between(-1.5, 1.5))*9*u
		ny := y + ch.between(4, 16)*u
		ny = min(ny, ground)
		c.line(x, y, nx, ny, width, rgb{6, 5.6, 7.5}, 1)
		if width > 1.2*u && ch.oneIn(7) {
			p.bolt(ch, nx, ny, ny+(ground-ny)*ch.between(0.2, 0.75), width*0.4)
		}
		x, y = nx, ny
		width *= 0.995
	}
}

// plain paints flat land with a road or stubble in the last light.
func (p *painter) plain(horizon float32, grad gradient) {
	c, ch := p.canvas, p.chance
	a := pick(ch, hex(0x7c7440), hex(0x5c6440), hex(0x846c44))
	road := ch.oneIn(2)
	goal := float32(c.w) * ch.between(0.4, 0.6)
	shift := ch.between(0, 200)
	for y := int(horizon); y < c.h; y++ {
		down := (float32(y) - horizon + 1) / float32(c.h)
		far := 0.02 / down
		light := 0.35 + 0.5*smoothstep(0, 0.3, down)
		for x := range c.w {
			across := (float32(x) - goal) / (float32(c.w) * down)
			n := p.noise.fbm(across*3+shift, far*30, 4)
			color := a.times(light * (0.4 + 0.9*n))
			if d := abs(across); road && d < 0.9 {
				color = mix(color, hex(0x50504e).times(light), 1-smoothstep(0.85, 0.9, d))
				dash := far*40 - floor(far*40)
				if d < 0.03 && dash < 0.5 {
					color = hex(0xd8c870).times(light)
				}
			}
			c.pix[y*c.w+x] = mix(grad.at(0.2).times(0.5), color, smoothstep(0, 0.03, down))
		}
	}
	if road {
		p.subject("road")
	}
}
