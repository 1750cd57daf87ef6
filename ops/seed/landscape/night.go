package landscape

import "math"

// stars paints stars above the row floor: many faint, few bright, most white, some warm or blue. They are denser in the
// band of the milky way, which goes through mid at the given angle (band is its half width; 0: none).
func (p *painter) stars(floor float32, count int, midX, midY, angle, band float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	nx, ny := -sin(angle), cos(angle)
	for range count {
		x, y := ch.Float32()*float32(c.w), ch.Float32()*floor
		if band > 0 {
			d := ((x-midX)*nx + (y-midY)*ny) / band
			if ch.Float32() > 0.3+0.9*exp(-d*d) {
				continue
			}
		}
		bright := float32(math.Pow(ch.Float64(), 12))*2.2 + 0.05
		tint := mix(rgb{0.75, 0.85, 1.2}, rgb{1.2, 0.95, 0.75}, ch.Float32())
		r := u*(0.34+0.3*bright) + 0.25
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				px, py := int(x)+dx, int(y)+dy
				d := hypot(float32(px)+0.5-x, float32(py)+0.5-y)
				c.add(px, py, tint.times(bright*clamp01(r-d+0.5)))
			}
		}
		if bright > 1.6 {
			c.glow(x, y, u*1.6, tint.times(0.1))
		}
	}
}

// milkyWay paints the band itself: light with dark lanes, brightest at the core.
func (p *painter) milkyWay(midX, midY, angle, band float32) {
	c, ch := p.canvas, p.chance
	const f = 2
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	tx, ty := cos(angle), sin(angle)
	shift := ch.between(0, 200)
	warm, cold := hex(0xf0c8a0), hex(0x8898d0)
	for y := range small.h {
		row := small.row(y)
		for x := range row {
			dx, dy := (float32(x*f)-midX)/band, (float32(y*f)-midY)/band
			along, across := dx*tx+dy*ty, -dx*ty+dy*tx
			across += (p.noise.at(along*0.7+shift, 5) - 0.5) * 0.5
			body := exp(-across * across * 1.1)
			if body < 0.02 {
				continue
			}
			core := exp(-(along*along*0.12 + across*across*1.6))
			cloud := smoothstep(0.2, 0.8, p.noise.fbm(along*2.1+shift, across*2.6+shift, 6))
			lane := smoothstep(0.42, 0.6, p.noise.ridge(along*1.1+shift, across*1.7+9, 6)) * exp(-across*across*5)
			v := body * (0.25 + 1.1*cloud) * (1 - 0.8*lane)
			row[x] = mix(cold, warm, clamp01(core*1.2)).times(v * (0.10 + 0.26*core))
		}
	}
	enlarge(c, small, 1, true)
}

// moon paints a full or gibbous moon with its seas.
func (p *painter) moon(x, y, r float32) {
	c := p.canvas
	phase := p.chance.between(-0.2, 0.9)
	side := p.chance.sign()
	shift := p.chance.between(0, 200)
	c.glow(x, y, r*1.4, hex(0xb8c4e0).times(0.22))
	for py := max(0, int(y-r)-1); py <= min(c.h-1, int(y+r)+1); py++ {
		for px := max(0, int(x-r)-1); px <= min(c.w-1, int(x+r)+1); px++ {
			dx, dy := (float32(px)+0.5-x)/r, (float32(py)+0.5-y)/r
			d := hypot(dx, dy)
			edge := clamp01((1-d)*r + 0.5)
			if edge <= 0 {
				continue
			}
			seas := smoothstep(0.42, 0.6, p.noise.fbm(dx*1.8+shift, dy*1.8+shift, 5))
			limb := sqrt(max(0, 1-d*d))
			shadow := smoothstep(-0.12, 0.12, dx*side*0.9+limb*0.5+phase-0.25)
			light := rgb{1.15, 1.1, 1.0}.times((0.75 - 0.33*seas + 0.2*limb) * (0.02 + shadow))
			c.blend(px, py, light, edge)
		}
	}
}

// night paints the night sky over land: the milky way, or the moon.
func night(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Night)
	u := c.unit()
	horizon := float32(c.h) * ch.between(0.68, 0.86)
	s := newSky(c, ch, p.noise, w, horizon)
	s.cover = 0
	s.paint(c)
	p.film.exposure = 1.25
	if ch.oneIn(3) {
		p.stars(horizon, 700, 0, 0, 0, 0)
		s.sunX, s.sunY = float32(c.w)*ch.between(0.2, 0.8), horizon*ch.between(0.2, 0.6)
		p.moon(s.sunX, s.sunY, u*ch.between(22, 70))
		p.subject("moon")
	} else {
		x, y := float32(c.w)*ch.between(0.3, 0.7), horizon*ch.between(0.4, 0.8)
		a, b := ch.sign()*ch.between(0.7, 1.4), u*ch.between(110, 170)
		p.milkyWay(x, y, a, b)
		p.stars(horizon, 5200, x, y, a, b*1.5)
		if ch.oneIn(2) { // A far town's light.
			c.glow(float32(c.w)*ch.between(0.1, 0.9), horizon, u*90, pick(ch, hex(0xd8803c), hex(0xc89058)).times(0.3))
		}
		p.subject("milky way", "astrophotography")
	}
	p.nightLand(&s, horizon)
	p.subject("night", "stars")
}

// aurora paints northern lights: curtains from a winding line that fade upwards.
func aurora(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Night)
	u := c.unit()
	horizon := float32(c.h) * ch.between(0.66, 0.8)
	s := newSky(c, ch, p.noise, w, horizon)
	s.cover = 0
	s.paint(c)
	p.stars(horizon, 1500, 0, 0, 0, 0)
	green := pick(ch, hex(0x50f090), hex(0x48e8a0), hex(0x70f080))
	top := pick(ch, hex(0xb050d0), hex(0xe05090), hex(0x6068e0), hex(0x40c0b0))
	const f = 2
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	for range 2 + ch.IntN(3) {
		shift := ch.between(0, 200)
		base := horizon * ch.between(0.45, 0.95)
		bend := horizon * ch.between(0.2, 0.5)
		tall := horizon * ch.between(0.35, 0.75)
		power := ch.between(0.35, 0.8)
		for x := range small.w {
			fx := float32(x*f) / u / 1000
			foot := base + (p.noise.fbm(fx*1.7+shift, 1, 3)-0.5)*bend*2
			rays := p.noise.at(fx*26+shift, 3)*0.55 + p.noise.at(fx*90+shift, 3)*0.45
			glow := smoothstep(0.25, 0.75, p.noise.at(fx*2.3+shift, 9)) * power
			high := tall * (0.4 + 0.9*rays)
			for y := max(0, int((foot-high)/f)); y < min(small.h, int((foot+18*u)/f)); y++ {
				d := (foot - float32(y*f)) / high
				v := glow * (0.35 + 0.65*rays)
				if d < 0 {
					v *= smoothstep(-18*u/high, 0, d)
				} else {
					v *= exp(-d*2.6) * (1 - d)
				}
				p := &small.pix[y*small.w+x]
				*p = p.plus(mix(green, top, smoothstep(0.15, 0.75, d)).times(v))
			}
		}
	}
	enlarge(c, small, 1, true)
	s.ambient = s.ambient.plus(green.times(0.12))
	p.film.bloom = 0.4
	p.nightLand(&s, horizon)
	p.subject("aurora", "northern lights", "night", "stars")
}

// nightLand paints the dark foreground: ridges, trees, a lake, a cabin with a lit window.
func (p *painter) nightLand(s *sky, horizon float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	dark := hex(0x080c14)
	far := mix(s.sky.at(0.05), dark, 0.55)
	line := p.skyline(horizon+float32(c.h)*0.02, float32(c.h)*ch.between(0.06, 0.16), 3, ch.oneIn(2))
	p.fill(line, far, mix(far, dark, 0.6), float32(c.h)*0.15)
	if ch.oneIn(2) { // A lake.
		shore := horizon + float32(c.h)*0.03
		reflect(c, c, ch, p.noise, level(c, int(shore)), shore, hex(0x04080e), ch.between(0.75, 0.97))
		p.subject("lake", "reflection")
	} else {
		near := p.skyline(float32(c.h)*1.02, float32(c.h)*ch.between(0.1, 0.2), 2, false)
		p.wood(near, float32(c.h)*ch.between(0.08, 0.2), 0.9, dark)
		p.fill(near, dark, dark.times(0.6), 100*u)
		if ch.oneIn(3) {
			x := float32(c.w) * ch.between(0.2, 0.8)
			p.cabin(x, near[int(x)]+6*u, u*ch.between(22, 40))
			p.subject("cabin")
		}
	}
}

func (p *painter) cabin(x, foot, size float32) {
	c := p.canvas
	wall, roof := hex(0x14100e), hex(0x1c2028)
	c.line(x-size*0.6, foot-size*0.3, x+size*0.6, foot-size*0.3, size*0.6, wall, 1)
	for i := range int(size * 0.5) {
		half := size*0.95 - float32(i)*1.7
		c.line(x-half, foot-size*0.6-float32(i), x+half, foot-size*0.6-float32(i), 1.5, roof, 1)
	}
	light := rgb{2.6, 1.5, 0.5}
	for _, side := range []float32{-0.45, 0.4} {
		c.line(x+side*size-size*0.1, foot-size*0.32, x+side*size+size*0.1, foot-size*0.32, size*0.22, light, 1)
		c.glow(x+side*size, foot-size*0.3, size*0.28, light.times(0.25))
	}
}
