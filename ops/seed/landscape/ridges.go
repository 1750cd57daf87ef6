package landscape

// ridges paints hills behind hills, paler with distance.
func ridges(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Dawn, Golden, Sunset, BlueHour, Overcast)
	horizon := float32(c.h) * ch.between(0.3, 0.5)
	s := newSky(c, ch, p.noise, w, horizon)
	s.cover *= 0.7
	s.paint(c)
	layers := 5 + ch.IntN(4)
	far := s.sky.at(0.12).times(0.82)
	near := mix(pick(ch, hex(0x14202c), hex(0x1c2030), hex(0x10242a), hex(0x2a1c26)), far, 0.04)
	mist := mix(s.sky.at(0.03), w.haze, 0.4)
	sharp := ch.oneIn(2)
	for i := range layers {
		k := float32(i) / float32(layers-1)
		base := lerp(horizon+0.02*float32(c.h), float32(c.h)*1.02, pow(k, 1.25))
		line := p.skyline(base, float32(c.h)*lerp(0.1, 0.26, k), lerp(5, 2.2, k), sharp && k < 0.6)
		color := mix(far, near, pow(k, 0.8))
		p.fill(line, color, mix(color, mist, lerp(0.55, 0.25, k)), float32(c.h)*lerp(0.1, 0.3, k))
		if k > 0.55 {
			p.wood(line, float32(c.h)*lerp(0.02, 0.075, (k-0.5)*2), 0.9, color)
		}
	}
	if ch.oneIn(3) {
		p.birds(float32(c.w)*ch.between(0.2, 0.8), horizon*ch.between(0.3, 0.8), 60*c.unit(), 3+ch.IntN(7), near)
		p.subject("birds")
	}
	p.subject("hills", "mist", "layers")
}

// conifers paints a forest in fog, row behind row of spruces.
func conifers(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Overcast, Overcast, Golden, BlueHour, Noon)
	s := newSky(c, ch, p.noise, w, float32(c.h)*0.7)
	s.cover *= 0.6
	s.paint(c)
	mist := mix(s.sky.at(0.04), w.haze, 0.5)
	for i := range c.pix { // Fog lies over the sky as well.
		c.pix[i] = mix(c.pix[i], mist, 0.25+0.75*smoothstep(0, 0.5, float32(i/c.w)/float32(c.h)))
	}
	snow := ch.oneIn(3)
	deep := pick(ch, hex(0x10241e), hex(0x14282a), hex(0x1c2a1c), hex(0x182430))
	ground := mix(deep, mist, 0.4)
	if snow {
		ground = hex(0xdfe6ee).filter(mix(mist, rgb{1, 1, 1}, 0.4))
	}
	layers := 5 + ch.IntN(3)
	for i := range layers {
		k := float32(i) / float32(layers-1)
		base := float32(c.h) * lerp(0.5, 1.04, pow(k, 1.1))
		line := p.skyline(base, float32(c.h)*lerp(0.2, 0.12, k), lerp(3, 1.6, k), false)
		color := mix(mist, deep, 0.2+0.8*pow(k, 1.2))
		p.wood(line, float32(max(c.h, c.w))*lerp(0.07, 0.36, k*k), lerp(1.6, 1.05, k), color)
		foot := mix(mist, ground, 0.15+0.7*k*k)
		p.fill(line, foot, mix(foot, mist, 0.5*(1-k)), float32(c.h)*0.12)
	}
	p.subject("forest", "trees", "fog")
	if snow {
		p.subject("snow", "winter")
		p.snowfall(mist)
	}
}

// snowfall paints falling snow; near flakes are large and soft.
func (p *painter) snowfall(light rgb) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	wind := ch.between(-0.4, 0.4)
	for range 500 {
		near := ch.Float32()
		x, y := ch.Float32()*float32(c.w), ch.Float32()*float32(c.h)
		r := u * lerp(0.5, 2.6, near*near*near)
		white := mix(light, rgb{1.1, 1.1, 1.15}, 0.7)
		c.line(x, y, x+wind*r*3, y+r*2, r*1.5, white, 0.75-0.45*near)
	}
}
