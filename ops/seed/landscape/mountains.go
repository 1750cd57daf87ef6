package landscape

// alpine is ground with grass low down, rock where it is steep, and snow above a line.
func alpine(snowLine, treeLine float32, grass, rock rgb, snowAll bool) func(spot) rgb {
	snow := rgb{0.86, 0.9, 0.96}
	return func(s spot) rgb {
		green := mix(grass, grass.times(0.45), s.noise)
		level := smoothstep(0.6, 0.78, s.flat+(s.noise-0.5)*0.15)
		aboveTrees := smoothstep(treeLine*0.9, treeLine*1.25, s.h+(s.noise-0.5)*14)
		color := mix(rock.times(0.7+0.6*s.noise), green, level*(1-aboveTrees))
		line := snowLine + (s.noise-0.5)*34
		if snowAll {
			line = 0
		}
		white := smoothstep(line-6, line+16, s.h) * smoothstep(0.48, 0.72, s.flat+(s.noise-0.5)*0.2)
		return mix(color, snow, white)
	}
}

// peaks paints mountains over valleys, from a pass or from afar.
func peaks(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Golden, Golden, Noon, Noon, Overcast, Sunset, BlueHour)
	horizon := float32(c.h) * ch.between(0.42, 0.58)
	s := newSky(c, ch, p.noise, w, horizon)
	v := &view{
		land: p.land.alps(), noise: p.noise, sky: &s, horizon: horizon, focal: float32(max(
			c.w, c.h,
		)) * ch.between(0.8, 2.1),
		near: 16, far: 1150, step: 0.0052, haze: ch.between(0.0004, 0.0011), rough: 1, texture: 0.75,
	}
	side := float32(extent)
	v.place(ch, side*ch.between(0.015, 0.05), 0.24*float32(c.h)/v.focal)
	v.backlight(&s, c, ch)
	autumn, winter := ch.oneIn(5), ch.oneIn(5)
	grass := pick(ch, hex(0x46592c), hex(0x3a5028), hex(0x5c6438))
	if autumn {
		grass = pick(ch, hex(0xa8803c), hex(0x9c6a30))
	}
	v.ground = alpine(
		side*ch.between(0.09, 0.15), side*0.085, grass,
		pick(ch, hex(0x5e5a56), hex(0x6a6260), hex(0x545454), hex(0x70604e)), winter,
	)
	if !winter {
		v.trees = forest(p.noise, side*0.08, 3)
	}
	if ch.oneIn(5) {
		v.fogTop, v.fog = side*ch.between(0.03, 0.05), 0.006
	}
	s.ambient = s.ambient.times(0.8)
	p.film.contrast = 0.5
	s.paint(c)
	v.paint(c)
	p.subject("mountain", "peak")
	if winter {
		p.subject("snow", "winter")
	}
	if autumn {
		p.subject("autumn")
	}
	if v.fog > 0 {
		p.subject("fog", "valley")
	}
}

// forest adds trees where the ground is neither high nor steep. They only roughen the outline, as a forest does from
// afar.
func forest(n *noise, line, tall float32) func(spot) float32 {
	return func(s spot) float32 {
		if s.h > line || s.t > 700 {
			return 0
		}
		wood := smoothstep(0.5, 0.6, n.at(s.x*0.05, s.y*0.05)) * (1 - smoothstep(line*0.8, line, s.h))
		if wood == 0 {
			return 0
		}
		return wood * tall * n.at(s.x*2.3, s.y*2.3)
	}
}

// backlight sets the sun's direction: at the visible sun, or else from one side.
func (v *view) backlight(s *sky, c *canvas, ch chance) {
	if s.disc && ch.oneIn(2) {
		v.light((s.sunX/float32(c.w)-0.5)*1.6, 0.28)
		return
	}
	s.disc = false
	high := float32(0.42)
	if s.light == Noon || s.light == Overcast {
		high = ch.between(0.7, 1.3)
	}
	v.light(ch.sign()*ch.between(0.75, 1), high)
	if ch.oneIn(2) { // The sun behind the photographer.
		v.sun[0], v.sun[1] = -v.sun[0]*0.4-v.dirX*0.6*(1-v.sun[2]), -v.sun[1]*0.4-v.dirY*0.6*(1-v.sun[2])
	}
}
