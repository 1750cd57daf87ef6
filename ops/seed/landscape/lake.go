package landscape

// lake paints mountains over still water.
func lake(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Dawn, Golden, Noon, Overcast, Sunset, BlueHour)
	horizon := float32(c.h) * ch.between(0.4, 0.52)
	s := newSky(c, ch, p.noise, w, horizon)
	side := float32(extent)
	v := &view{
		land: p.land.alps(), noise: p.noise, sky: &s, horizon: horizon, focal: float32(max(
			c.w, c.h,
		)) * ch.between(0.7, 1.3),
		near: 14, far: 900, step: 0.0052, haze: ch.between(0.0004, 0.0011), rough: 0.6, texture: 0.7,
		water: side * ch.between(0.028, 0.045),
	}
	v.place(ch, ch.between(3, 7), 0.26*float32(c.h)/v.focal)
	v.backlight(&s, c, ch)
	grass := pick(ch, hex(0x40542a), hex(0x344c26), hex(0x505a32))
	if ch.oneIn(4) {
		grass = pick(ch, hex(0xb0802c), hex(0xa8662a))
		p.subject("autumn")
	}
	v.ground = alpine(
		side*ch.between(0.08, 0.14), side*0.085, grass, pick(ch, hex(0x5e5a56), hex(0x545454), hex(0x6a5a4c)),
		ch.oneIn(6),
	)
	v.trees = forest(p.noise, side*0.08, 3.4)
	if w.light == Dawn && ch.oneIn(2) {
		v.fogTop, v.fog = v.water*1.15, 0.004
		p.subject("fog")
	}
	s.ambient = s.ambient.times(0.85)
	p.film.contrast = 0.45
	s.paint(c)
	mirror := v.mirrored(c)
	water := v.paint(c)
	calm := pick[float32](ch, 1, 0.97, 0.9, 0.7)
	reflect(c, mirror, ch, p.noise, water, horizon, pick(ch, hex(0x12303c), hex(0x1a3c40), hex(0x0e2434)), calm)
	p.subject("lake", "water", "mountain")
	if calm > 0.95 {
		p.subject("reflection", "calm")
	}
}
