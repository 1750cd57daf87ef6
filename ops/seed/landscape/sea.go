package landscape

// sea paints the open sea or a shore: waves that reflect the sky and the sun.
func sea(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Dawn, Golden, Sunset, Sunset, Noon, Overcast, BlueHour)
	horizon := float32(int(float32(c.h) * ch.between(0.36, 0.6)))
	s := newSky(c, ch, p.noise, w, horizon)
	s.paint(c)
	u := c.unit()
	if ch.oneIn(3) { // A far coast.
		line := p.skyline(horizon+2*u, float32(c.h)*ch.between(0.03, 0.08), 3, true)
		from, to := ch.between(-0.2, 0.4), ch.between(0.5, 1.2)
		for x := range line {
			k := float32(x) / float32(c.w)
			line[x] = lerp(horizon+1, line[x], smoothstep(from, from+0.3, k)*(1-smoothstep(to-0.3, to, k)))
		}
		p.fill(line, mix(s.sky.at(0.1), w.haze, 0.5).times(0.62), w.haze.times(0.8), 60*u)
		p.subject("coast")
	}
	calm := ch.Float32()
	p.waves(&s, horizon, float32(c.h), calm, pick(ch, hex(0x0c3444), hex(0x10303c), hex(0x123848), hex(0x0a2838)))
	switch ch.IntN(5) {
	case 0:
		p.stacks(&s, horizon)
		p.subject("rocks", "sea stack")
	case 1:
		p.sailboat(&s, horizon)
		p.subject("sailboat")
	case 2:
		p.beach(&s)
		p.subject("beach", "sand")
	case 3:
		p.pier(&s, horizon)
		p.subject("pier")
	}
	if ch.oneIn(3) {
		p.birds(float32(c.w)*ch.between(0.2, 0.8), horizon*ch.between(0.4, 0.8), 50*u, 2+ch.IntN(5), w.haze.times(0.15))
		p.subject("birds")
	}
	p.subject("sea", "ocean", "waves")
}

// waves paints water from the row horizon to the row end. Each pixel is a facet of water whose slope is noise in
// perspective: it reflects the sky at twice its slope, and glitters where it reflects the sun.
func (p *painter) waves(s *sky, horizon, end, calm float32, deep rgb) {
	c := p.canvas
	u := c.unit()
	shift := p.chance.between(0, 200)
	strength := lerp(1, 0.25, calm)
	sunX := s.sunX
	for y := int(horizon); y < min(c.h, int(end)); y++ {
		row := c.row(y)
		down := (float32(y) - horizon + 0.5) / (u * 1000) // 0 at the horizon, about 0.4 at the foot.
		far := 0.02 / (down + 0.0025)
		fresnel := lerp(0.9, 0.35, smoothstep(0, 0.4, down))
		for x := range row {
			wx := (float32(x)/float32(c.w) - 0.5) * (far + 0.12) * 26
			wz := far * 60
			n := p.noise.at(wx+shift, wz+shift) - 0.5
			n += 0.6 * (p.noise.at(wx*2.7+shift, wz*2.3+9) - 0.5)
			n += 0.45 * (p.noise.at(wx*6.5, wz*5.1+shift) - 0.5)
			if down > 0.05 { // Nearer, finer ripples can be told apart.
				k := smoothstep(0.05, 0.3, down) * 0.5
				n += k * (p.noise.at(wx*17+shift, wz*13) + p.noise.at(wx*37, wz*29+shift) - 1)
			}
			slope := n * strength
			from := horizon - (float32(y)-horizon)*0.9 - (0.25+slope*0.8)*horizon*0.5
			sy := min(max(int(from), 0), int(horizon)-1)
			sx := min(max(x+int(slope*30*u), 0), c.w-1)
			color := mix(deep, c.pix[sy*c.w+sx], fresnel*(0.85+slope*0.5))
			if s.disc {
				dx := (float32(x) - sunX) / (float32(c.w) * (0.018 + 0.16*down + 0.05*strength))
				g := exp(-dx*dx) * smoothstep(0.02, 0.3, n+0.12)
				color = color.plus(s.sun.times(g * 0.9 / (1 + down*3)))
			}
			row[x] = color
		}
	}
}

// stacks paints rocks in the water, dark against the light.
func (p *painter) stacks(s *sky, horizon float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	dark := mix(s.haze.times(0.12), hex(0x1a1614), 0.5)
	for range 1 + ch.IntN(4) {
		x, wide := float32(c.w)*ch.between(0.05, 0.95), u*ch.between(25, 120)
		foot := horizon + ch.between(2, 60)*u
		tall := wide * ch.between(0.5, 1.9)
		shift := ch.between(0, 200)
		for px := int(x - wide); px < int(x+wide); px++ {
			k := (float32(px) - x) / wide
			h := tall * clamp01(
				1.15*pow(max(0, 1-abs(k)), 0.55)-0.3+0.5*(p.noise.fbm(float32(px)/u*0.03+shift, 1, 5)-0.5),
			)
			if h <= 0 {
				continue
			}
			base := foot + 2*u*p.noise.at(float32(px)/u*0.1, 7)
			c.column(px, base-h, base, func(y int) rgb {
				return dark.plus(s.weather.sun.times(0.02 * p.noise.fbm(float32(px)/u*0.1, float32(y)/u*0.06, 3)))
			})
			for y := int(base); y < min(c.h, int(base+h*0.8)); y++ { // Its reflection.
				c.blend(
					px+int(3*u*(p.noise.at(float32(px)/u*0.05, float32(y)/u*0.4)-0.5)), y, dark,
					0.55*(1-(float32(y)-base)/h),
				)
			}
		}
		for px := int(x - wide*1.1); px < int(x+wide*1.1); px++ { // The surf around it.
			f := p.noise.at(float32(px)/u*0.09+shift, 3)
			c.blend(px, int(foot+f*3*u), s.haze.plus(s.ambient), 0.5*f)
			c.blend(px, int(foot+f*3*u)+1, s.haze.plus(s.ambient), 0.3*f)
		}
	}
}

// sailboat paints one boat near the horizon.
func (p *painter) sailboat(s *sky, horizon float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	x, y, size := float32(c.w)*ch.between(0.2, 0.8), horizon+ch.between(3, 40)*u, ch.between(25, 60)*u
	dark := s.haze.times(0.1)
	sail := mix(dark, s.haze.plus(s.weather.sun.times(0.15)), ch.between(0, 0.8))
	for i := range int(size) {
		k := float32(i) / size
		py := int(y - size*0.1 - float32(i))
		for px := range int(size * 0.42 * (1 - k)) {
			c.blend(int(x)+px+1, py, sail, 1)
		}
		for px := range int(size * 0.26 * (1 - k) * (0.4 + 0.6*k)) {
			c.blend(int(x)-px-1, py, sail.times(0.85), 1)
		}
		c.blend(int(x), py, dark, 1)
	}
	for i := range int(size * 0.12) {
		half := size*0.34 - float32(i)*0.9
		c.line(x-half, y-size*0.1+float32(i), x+half*0.95, y-size*0.1+float32(i), 1.2, dark, 1)
	}
	for i := range int(size * 0.9) {
		k := float32(i) / size
		wob := (p.noise.at(float32(i)/u*0.5, x) - 0.5) * 8 * u
		c.line(
			x+wob-size*0.15*(1-k), y+float32(i), x+wob+size*0.2*(1-k), y+float32(i), 1.2, mix(dark, sail, 0.5),
			0.5*(1-k),
		)
	}
}

// beach paints wet sand at the bottom of the picture, with the edge of a wave.
func (p *painter) beach(s *sky) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	sand := pick(ch, hex(0xb89870), hex(0x9c8468), hex(0xc8b08c), hex(0x58504c))
	line := float32(c.h) * ch.between(0.76, 0.88)
	tilt := ch.between(-0.14, 0.14)
	shift := ch.between(0, 200)
	for x := range c.w {
		edge := line + tilt*(float32(x)-float32(c.w)/2) + (p.noise.fbm(float32(x)/u*0.006+shift, 2, 4)-0.5)*90*u
		for y := max(0, int(edge-10*u)); y < c.h; y++ {
			d := (float32(y) - edge) / u
			light := s.ambient.plus(s.weather.sun.times(0.45))
			dry := sand.filter(light).times(0.9 + 0.2*p.noise.at(float32(x)/u*0.3, float32(y)/u*0.6))
			wet := mix(dry.times(0.5), s.sky.at(0.25), 0.4)
			color := mix(wet, dry, smoothstep(40, 150, d+30*p.noise.at(float32(x)/u*0.01+shift, 8)))
			cover := smoothstep(-8, 0, d)
			c.blend(x, y, color, cover)
			lace := p.noise.fbm(float32(x)/u*0.06, float32(y)/u*0.12+shift, 3)
			foam := exp(-d*d/40) + 0.5*exp(-(d+12)*(d+12)/300)*smoothstep(0.4, 0.6, lace)
			c.blend(x, y, light.times(0.9), clamp01(foam))
		}
	}
}

// pier paints planks out to the horizon.
func (p *painter) pier(s *sky, horizon float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	foot := float32(c.w) * ch.between(0.3, 0.7)
	goal := foot + float32(c.w)*ch.between(-0.06, 0.06)
	end := horizon + ch.between(20, 50)*u
	wood := hex(0x6c5a48).filter(s.ambient.plus(s.weather.sun.times(0.3)))
	depth := float32(c.h) - horizon
	for y := int(end); y < c.h; y++ {
		k := (float32(y) - horizon) / depth
		mid := lerp(goal, foot, k)
		half := 150 * u * k
		plank := floor(6 / max(k, 0.02))
		tint := 0.75 + 0.25*grain(int(plank), 3, 9)
		gap := 6/max(k, 0.02) - plank
		if gap < 0.12 {
			tint *= 0.55
		}
		c.line(mid-half, float32(y), mid+half, float32(y), 1.6, wood.times(tint), 1)
	}
	for i := range 7 {
		k := 0.16 * pow(1.36, float32(i))
		y := horizon + depth*k
		if y < end || k > 1.1 {
			continue
		}
		mid, half := lerp(goal, foot, k), 150*u*k
		for _, side := range []float32{-1, 1} {
			c.line(mid+side*half, y+20*u*k, mid+side*half, y-110*u*k, 14*u*k, wood.times(0.5), 1)
		}
	}
}
