package landscape

// underwater paints light falling into the sea: rays, a shoal, bubbles, and the ground.
func underwater(p *painter) {
	c, ch := p.canvas, p.chance
	p.picture.Light = Noon
	u := c.unit()
	grad := pick(ch, newGradient(0x04182c, 0x0a3a5c, 0x1670a0, 0x48b4d4, 0xb8ecf0),
		newGradient(0x042424, 0x0a4a50, 0x188890, 0x58c8c0, 0xc8f4e4),
		newGradient(0x060c24, 0x101e58, 0x1c48a0, 0x3c8cd8, 0xa0d8f4))
	sunX := float32(c.w) * ch.between(0.2, 0.8)
	shift := ch.between(0, 200)
	const f = 2
	small := newCanvas((c.w+f-1)/f, (c.h+f-1)/f)
	for y := range small.h {
		k := float32(y) / float32(small.h)
		for x := range small.w {
			dx := (float32(x*f) - sunX) / float32(c.w)
			color := grad.at(clamp01(1.02 - k*0.95 - dx*dx*0.7))
			// Rays fan out from the sun over the water.
			a := dx / (k + 0.22)
			ray := p.noise.at(a*9+shift, 1+k*0.6)*0.6 + p.noise.at(a*23+shift, 7+k)*0.4
			color = color.plus(grad.at(0.8).times(smoothstep(0.45, 0.85, ray) * 0.7 * exp(-k*2.2) * exp(-dx*dx*3)))
			// The surface from below, in perspective.
			if k < 0.16 {
				n := p.noise.ridge(dx*14/(0.2-k)*0.12+shift, 1/(0.2-k)*0.3, 3)
				color = color.plus(rgb{0.9, 1, 1}.times(smoothstep(0.55, 0.95, n) * (0.16 - k) * 4 * exp(-dx*dx*6)))
			}
			small.pix[y*small.w+x] = color
		}
	}
	enlarge(c, small, 1, false)
	for i := range 3 { // Reefs.
		k := float32(i) / 2
		line := p.skyline(float32(c.h)*lerp(0.92, 1.06, k), float32(c.h)*lerp(0.14, 0.3, k), lerp(5, 3, k), false)
		color := mix(grad.at(0.32), grad.at(0).times(0.6), k)
		p.fill(line, color, color.times(0.6), 80*u)
		if k > 0.3 {
			p.kelp(line, color.times(0.9), k)
		}
	}
	p.shoal(grad)
	for range 40 {
		x, y := sunX+ch.between(-0.4, 0.4)*float32(c.w), ch.Float32()*float32(c.h)
		r := u * ch.between(0.8, 4)
		c.disc(x, y, r, 1, grad.at(0.95), 0.28)
		c.disc(x-r*0.3, y-r*0.3, r*0.3, 1, rgb{1.2, 1.3, 1.3}, 0.6)
	}
	p.subject("underwater", "sea", "diving", "light", "blue")
}

func (p *painter) kelp(line []float32, color rgb, near float32) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	for range 14 {
		x := ch.Float32() * float32(c.w-1)
		y := line[int(x)] + 5*u
		tall := ch.between(60, 260) * u * (0.4 + 0.6*near)
		phase := ch.between(0, 6)
		px, py := x, y
		for i := range 24 {
			k := float32(i+1) / 24
			nx, ny := x+sin(k*5+phase)*12*u*k, y-tall*k
			c.line(px, py, nx, ny, 2.2*u*(1-k*0.6), color, 1)
			side := float32(1 - 2*(i&1))
			c.line(nx, ny, nx+side*11*u*(1-k*0.5), ny-7*u, 3*u*(1-k*0.5), color, 1)
			px, py = nx, ny
		}
	}
}

// shoal paints fish, each a body and a tail, turned in the direction of the shoal.
func (p *painter) shoal(grad gradient) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	cx, cy := float32(c.w)*ch.between(0.25, 0.75), float32(c.h)*ch.between(0.35, 0.65)
	spread := 200 * u * ch.between(0.6, 1.2)
	way := ch.sign()
	for range 60 + ch.IntN(160) {
		a, d := ch.between(0, 6.2832), sqrt(ch.Float32())*spread
		x, y := cx+cos(a)*d*1.5, cy+sin(a)*d*0.6
		size := u * ch.between(4, 9)
		tilt := 0.3 * sin(x/u*0.012)
		color := mix(grad.at(0.05), grad.at(0.75), ch.Float32()*0.6)
		for i := -4; i <= 4; i++ {
			k := float32(i) / 4
			c.disc(x+way*k*size, y+k*size*tilt, size*0.3*sqrt(1.02-k*k), 1, color, 0.9)
		}
		tx, ty := x-way*size*1.1, y-size*tilt
		c.line(tx, ty, tx-way*size*0.5, ty-size*0.4, size*0.16, color, 0.9)
		c.line(tx, ty, tx-way*size*0.5, ty+size*0.4, size*0.16, color, 0.9)
	}
}
