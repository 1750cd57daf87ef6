package landscape

// city paints a skyline over water in the evening.
func city(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(BlueHour, BlueHour, Sunset, Night, Golden)
	u := c.unit()
	ground := float32(int(float32(c.h) * ch.between(0.6, 0.74)))
	s := newSky(c, ch, p.noise, w, ground)
	s.cover *= 0.8
	s.paint(c)
	if w.light == Night {
		p.film.exposure = 1.2
		c.glow(float32(c.w)/2, ground, float32(c.w)*0.12, hex(0xc88848).times(0.22)) // What a city does to its sky.
	}
	lit := map[Light]float32{BlueHour: 0.42, Sunset: 0.25, Night: 0.5, Golden: 0.1}[w.light]
	far := mix(s.sky.at(0.05), w.haze, 0.4)
	near := mix(hex(0x121826), far, 0.1)
	if w.light == Golden {
		near = mix(hex(0x40404c), far, 0.2)
	}
	centre := ch.between(0.3, 0.7)
	for i := range 4 {
		k := float32(i) / 3
		color := mix(far.times(0.75), near, k)
		p.block(
			ground, lerp(0.62, 0.34, k), lerp(26, 52, k)*u, centre, color, lit*lerp(0.35, 1, k), lerp(2.6, 4.4, k)*u, s,
		)
	}
	if ch.oneIn(3) {
		p.bridge(ground, s)
		p.subject("bridge")
	}
	reflect(c, c, ch, p.noise, level(c, int(ground)), ground, hex(0x0a1420), ch.between(0.35, 0.75))
	p.film.bloom = 0.4
	p.subject("city", "skyline", "architecture", "lights", "reflection")
}

// block paints one row of houses. tall is the height of the highest as a share of what is above the ground, wide the
// usual width, cell the distance of windows, all in pixels.
func (p *painter) block(ground, tall, wide float32, centre float32, color rgb, lit, cell float32, s sky) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	for x := float32(-20) * u; x < float32(c.w); {
		bw := wide * ch.between(0.5, 1.5)
		d := (x/float32(c.w) - centre) * 2.4
		h := ground * tall * (0.12 + 0.88*exp(-d*d)*ch.between(0.25, 1)) * ch.between(0.6, 1)
		top := ground - h
		face := color.times(ch.between(0.85, 1.15))
		side := s.weather.sun.times(0.05)
		for px := max(0, int(x)); px < min(c.w, int(x+bw)); px++ {
			k := (float32(px) - x) / bw
			f := face.plus(side.times(k))
			for y := max(0, int(top)); y < int(ground); y++ {
				c.pix[y*c.w+px] = mix(f, s.haze.times(0.5), 0.25*smoothstep(top, ground, float32(y)))
			}
		}
		switch ch.IntN(6) { // Roofs.
		case 0:
			c.line(x+bw/2, top, x+bw/2, top-h*ch.between(0.1, 0.3), 1.6*u, face, 1)
			if s.light == Night || s.light == BlueHour {
				c.disc(x+bw/2, top-h*0.1, 1.3*u, 1, rgb{3, 0.3, 0.2}, 0.9)
			}
		case 1:
			for i := range int(bw / 2) {
				c.line(x+float32(i), top-float32(i)*0.8, x+bw-float32(i), top-float32(i)*0.8, 1.3, face, 1)
			}
		case 2:
			c.line(x+bw*0.3, top-h*0.03, x+bw*0.7, top-h*0.03, h*0.06, face, 1)
		}
		p.windows(x, top, bw, ground, cell, lit)
		x += bw * ch.between(0.7, 1.15)
	}
}

// windows lights some of a house's windows: whole floors are lit or dark, and each has its own colour.
func (p *painter) windows(x, top, bw, ground, cell, lit float32) {
	c, ch := p.canvas, p.chance
	warm := pick(ch, hex(0xffc878), hex(0xffb860), hex(0xffe0b0), hex(0xd8e8ff))
	seed := ch.Uint32()
	cols, rows := int((bw-cell*0.8)/cell), int((ground-top-cell)/(cell*1.25))
	for r := range max(rows, 0) {
		busy := lit * (0.5 + 0.9*(0.5+0.5*grain(r, 77, seed)))
		for k := range max(cols, 0) {
			g := 0.5 + 0.5*grain(k, r, seed)
			if g > busy {
				continue
			}
			wx, wy := x+cell*(0.7+float32(k)), top+cell*(0.8+1.25*float32(r))
			bright := 0.5 + 1.6*g/max(busy, 0.01)
			half := cell * 0.27
			for py := int(wy - half*1.3); py <= int(wy+half*1.3); py++ {
				for px := int(wx - half); px <= int(wx+half); px++ {
					c.blend(px, py, warm.times(bright), 0.9)
				}
			}
		}
	}
}

// bridge paints a suspension bridge with lamps.
func (p *painter) bridge(ground float32, s sky) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	deck := ground - 22*u
	color := mix(hex(0x141820), s.haze, 0.15)
	if ch.oneIn(2) {
		color = hex(0x8c3424).times(0.5)
	}
	span := float32(c.w) * ch.between(0.5, 0.8)
	start := -span * ch.between(0.1, 0.6)
	tower := 150 * u * ch.between(0.8, 1.2)
	c.line(0, deck, float32(c.w), deck, 5*u, color, 1)
	for x := start; x < float32(c.w)+span; x += span {
		c.line(x-6*u, ground+4*u, x-6*u, deck-tower, 4*u, color, 1)
		c.line(x+6*u, ground+4*u, x+6*u, deck-tower, 4*u, color, 1)
		for i := range 4 {
			y := deck - tower*(0.25+0.24*float32(i))
			c.line(x-6*u, y, x+6*u, y, 3*u, color, 1)
		}
		px, py := x, deck-tower
		const parts = 48
		for i := 1; i <= parts; i++ {
			t := float32(i)/parts*2 - 1
			nx, ny := x+span*float32(i)/parts, deck-6*u-(tower-6*u)*t*t
			c.line(px, py, nx, ny, 1.8*u, color, 1)
			c.line(nx, ny, nx, deck, 0.7*u, color, 0.8)
			px, py = nx, ny
			if i%3 == 0 && s.light != Golden {
				c.disc(nx, deck-9*u, 1.6*u, 1, rgb{3, 2.2, 1.2}, 1)
			}
		}
	}
}
