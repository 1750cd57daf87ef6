package landscape

// dune paints sand dunes in low light.
func dune(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Golden, Golden, Sunset, Dawn, Noon, BlueHour)
	horizon := float32(c.h) * ch.between(0.3, 0.5)
	s := newSky(c, ch, p.noise, w, horizon)
	s.cover *= 0.5
	v := &view{
		land: p.land.dunes(), noise: p.noise, sky: &s, horizon: horizon, focal: float32(max(
			c.w, c.h,
		)) * ch.between(0.8, 1.8),
		near: 12, far: 900, step: 0.005, haze: ch.between(0.0005, 0.0012),
	}
	v.place(ch, ch.between(7, 16), 0.12*float32(c.h)/v.focal)
	s.disc = s.disc && ch.oneIn(3)
	if s.disc {
		v.light((s.sunX/float32(c.w)-0.5)*1.5, 0.2)
	} else {
		v.light(ch.sign()*ch.between(0.8, 1), ch.between(0.22, 0.4))
	}
	sand := pick(ch, hex(0xd09a5c), hex(0xc88848), hex(0xd8b080), hex(0xc06c3c), hex(0xe0d0b8))
	v.ground = func(s spot) rgb {
		color := mix(sand, sand.times(0.9), s.noise)
		if s.t > 150 {
			return color
		}
		// Wind ripples, across the wind and bent a little, too fine to see from afar.
		bend := p.noise.at(s.x*0.3, s.y*0.3) * 3
		k := sin((s.y*0.8+s.x*0.25)*7+bend*2) * (1 - s.t/150)
		return color.times(1 + 0.09*k)
	}
	s.paint(c)
	v.paint(c)
	p.subject("desert", "dunes", "sand")
}

// canyon paints layered red rock: tableland, walls and towers.
func canyon(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Golden, Golden, Sunset, Noon, Noon, Dawn)
	horizon := float32(c.h) * ch.between(0.3, 0.48)
	s := newSky(c, ch, p.noise, w, horizon)
	side := float32(extent)
	v := &view{
		land: p.land.mesas(), noise: p.noise, sky: &s, horizon: horizon, focal: float32(max(
			c.w, c.h,
		)) * ch.between(0.7, 1.5),
		near: 7, far: 900, step: 0.0045, haze: ch.between(0.0003, 0.0009), rough: 0.35, texture: 0.45, bands: 1.6,
	}
	v.place(ch, side*ch.between(0.012, 0.05), ch.between(0.06, 0.16)*float32(c.h)/v.focal)
	v.backlight(&s, c, ch)
	red := pick(ch, newGradient(0x8c4a30, 0xb8683c, 0xa0522e, 0xd09060, 0xb0603a, 0x94482c),
		newGradient(0x9a5a3c, 0xc88a58, 0xb06a40, 0xe0b484, 0xc07a4c, 0xa05c3c),
		newGradient(0xa08468, 0xc8ac88, 0xb09070, 0xd8c4a0, 0xb89878))
	brush := pick(ch, hex(0x6c6840), hex(0x7c6c48), hex(0x8c7850))
	v.ground = func(s spot) rgb {
		layer := s.h/side*9 + (p.noise.at(s.x*0.05, s.y*0.05)-0.5)*0.25
		fine := p.noise.at(s.h*1.7, 3.3)
		rock := red.at(layer - floor(layer)).times(0.75 + 0.5*fine)
		plain := mix(red.at(0.3), brush, smoothstep(0.35, 0.65, s.noise))
		return mix(rock, plain, smoothstep(0.8, 0.95, s.flat)*0.8)
	}
	s.paint(c)
	v.paint(c)
	p.subject("canyon", "desert", "rock")
}
