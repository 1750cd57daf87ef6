package landscape

// aloft paints the view from above the clouds, with peaks or balloons.
func aloft(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Golden, Sunset, Noon, BlueHour)
	u := c.unit()
	horizon := float32(c.h) * ch.between(0.4, 0.55)
	s := newSky(c, ch, p.noise, w, horizon)
	s.cover = pick[float32](ch, 0, 0.2, 0.35)
	s.paint(c)
	const f = 2
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	shift := ch.between(0, 200)
	toward := (s.sunX/float32(c.w) - 0.5) * 2
	for y := range small.h {
		row := float32(y * f)
		if row < horizon-14*u {
			continue
		}
		down := max(0.004, (row-horizon)/float32(c.h)+0.02)
		far := 0.1 / down
		for x := range small.w {
			nx := (float32(x*f)/float32(c.w) - 0.5) * (far + 0.5) * 2.4
			bend := p.noise.fbm(nx*0.8+shift, far*1.6, 3)
			a := p.noise.fbm(nx+bend*0.8+shift, far*2+bend, 6)
			b := p.noise.fbm(nx+bend*0.8+shift-toward*0.12, far*2+bend+0.16, 5)
			lit := clamp01(0.45 + (a-b)*3.4 + (a-0.5)*0.9)
			color := mix(w.cloudDim, w.cloudLit, lit)
			small.pix[y*small.w+x] = mix(s.sky.at(0.02), color, smoothstep(0.01, 0.12, down))
		}
	}
	for y := int(max(0, horizon-14*u)); y < min(c.h, int(horizon)+22); y++ { // The edge is a cloud's, not a line.
		for x := range c.w {
			edge := horizon - 12*u*p.noise.fbm(float32(x)/u*0.012+shift, 1, 4)
			if a := smoothstep(edge-3*u, edge+3*u, float32(y)); a > 0 {
				i := y*c.w + x
				c.pix[i] = mix(c.pix[i], small.pix[min(y/f, small.h-1)*small.w+x/f], a)
			}
		}
	}
	blurRows(c, small, int(horizon)+20)
	switch ch.IntN(3) {
	case 0:
		p.islands(&s, horizon)
		p.subject("peak", "mountain")
	case 1:
		p.balloons(&s, horizon)
		p.subject("balloon", "flight")
	}
	p.subject("clouds", "sky", "aerial")
}

// blurRows enlarges the small clouds smoothly over all rows below first: nearest pixels would show edges.
func blurRows(c, small *canvas, first int) {
	keep := append([]rgb(nil), c.pix[:min(first, c.h)*c.w]...)
	enlarge(c, small, 1, false)
	copy(c.pix, keep)
}

// islands paints mountains that rise out of the clouds.
func (p *painter) islands(s *sky, horizon float32) {
	c := p.canvas
	u := c.unit()
	for i := range 3 {
		k := float32(i) / 2
		base := horizon + lerp(0.03, 0.2, k)*float32(c.h)
		line := p.skyline(base+0.06*float32(c.h), float32(c.h)*lerp(0.12, 0.3, k), lerp(6, 3.5, k), true)
		color := mix(s.sky.at(0.1), hex(0x2a3040), lerp(0.4, 0.85, k))
		for x, top := range line {
			for y := max(0, int(top)); y < min(c.h, int(base)); y++ {
				a := 1 - smoothstep(base-50*u, base, float32(y)+20*u*p.noise.at(float32(x)/u*0.02, k*9))
				c.blend(
					x, y, color.plus(s.weather.sun.times(0.05*p.noise.at(float32(x)/u*0.06, float32(y)/u*0.05))),
					a*clamp01(float32(y+1)-top),
				)
			}
		}
	}
}

// balloons paints striped hot-air balloons, lit from one side.
func (p *painter) balloons(s *sky, horizon float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	sets := [][]rgb{
		{hex(0xd83c30), hex(0xf4e4c8), hex(0xe8a030)}, {hex(0x2858a8), hex(0xf0f0e8), hex(0xe0b040)},
		{hex(0x7c3c90), hex(0xe87850), hex(0xf4d070)}, {hex(0x2c8c80), hex(0xf0e0b0), hex(0xd85838)},
	}
	side := float32(1)
	if s.sunX < float32(c.w)/2 {
		side = -1
	}
	light := s.ambient.times(0.9).plus(s.weather.sun.times(0.25))
	for i := range 3 + ch.IntN(6) {
		r := u * ch.between(12, 30)
		if i == 0 {
			r = u * ch.between(45, 85)
		}
		x, y := float32(c.w)*ch.between(0.08, 0.92), ch.between(0.18, 1.05)*horizon
		colors := pick(ch, sets...)
		haze := lerp(0.45, 0.02, min(1, r/(60*u)))
		for py := int(y - r); py <= int(y+r*1.35); py++ {
			dy := (float32(py) - y) / r
			half := sqrt(max(0, 1-dy*dy))
			if dy > 0.35 { // Drawn in below.
				half = 0.937 * (1 - (dy-0.35)*0.86)
			}
			for px := int(x - r*half); px <= int(x+r*half); px++ {
				dx := (float32(px) - x) / r
				k := dx / max(half, 0.01)
				gore := int(clamp01(k*0.5*(1.3-0.3*abs(k))+0.5)*8.99) % len(colors)
				shade := 0.55 + 0.5*clamp01(0.5+0.5*k*side) + 0.12*(-dy)
				cover := clamp01((half*r - abs(dx)*r) + 0.5)
				c.blend(px, py, mix(colors[gore].filter(light).times(shade*1.5), s.haze, haze), cover)
			}
		}
		basket := y + r*1.62
		c.line(x-r*0.12, y+r*1.3, x-r*0.08, basket, 0.8*u, hex(0x302820), 0.8)
		c.line(x+r*0.12, y+r*1.3, x+r*0.08, basket, 0.8*u, hex(0x302820), 0.8)
		c.line(x-r*0.06, basket, x+r*0.06, basket, r*0.14, mix(hex(0x4c3424), s.haze, haze), 1)
	}
}
