package landscape

// blossom paints a branch or a tree in flower, or in autumn, in front of a blurred background.
func blossom(p *painter) {
	c, ch := p.canvas, p.chance
	u := c.unit()
	autumn := ch.oneIn(3)
	p.picture.Light = pick(ch, Noon, Golden, Overcast, Dawn)
	back := newGradient(0xcfe4ee, 0xa4cdea, 0x74b0e0)
	petals := []rgb{hex(0xf8c8d8), hex(0xf4a8c4), hex(0xfde4ec), hex(0xe88cb0)}
	bark := hex(0x3c2a26)
	switch {
	case autumn:
		back = pick(
			ch, newGradient(0x8c7a4c, 0xb8a878, 0xd8d8c4), newGradient(0x5c5a3c, 0x8c8250, 0xb8b898),
			newGradient(0xd8e0dc, 0xc4d4dc, 0xa8c4d8),
		)
		petals = pick(
			ch, []rgb{hex(0xd8541c), hex(0xe8882c), hex(0xb83418), hex(0xf0b040)},
			[]rgb{hex(0xe8b430), hex(0xf0cc50), hex(0xd89020), hex(0xc8a040)},
		)
	case ch.oneIn(2):
		back = pick(
			ch, newGradient(0x7c9468, 0xa0b48c, 0xd0dcc4), newGradient(0xf4e4e0, 0xe8d0d8, 0xd0c4dc),
			newGradient(0x485c50, 0x6c8470, 0x9cb09c),
		)
		petals = pick(ch, petals, []rgb{hex(0xfdfaf4), hex(0xf4ecec), hex(0xfff4f4), hex(0xf0e0e0)})
	}
	for y := range c.h {
		color := back.at(1 - float32(y)/float32(c.h))
		row := c.row(y)
		for x := range row {
			row[x] = color
		}
	}
	bokeh := append([]rgb{back.at(0), back.at(1).times(1.15), hex(0xfff4dc)}, petals...)
	for range 46 { // What is out of focus, farther ones first.
		x, y, r := ch.Float32()*float32(c.w), ch.Float32()*float32(c.h), u*ch.between(14, 70)
		color := pick(ch, bokeh...)
		c.disc(x, y, r, u*3, color, ch.between(0.06, 0.22))
		if ch.oneIn(3) { // A lens draws a rim around them.
			c.disc(x, y, r*0.93, u*8, back.at(0.5), 0.05)
		}
	}
	light := ch.between(-0.6, 0.6)
	flower := func(blur float32) func(x, y float32) {
		return func(x, y float32) {
			for range 1 + ch.IntN(2) {
				fx, fy := x+ch.between(-20, 20)*u, y+ch.between(-15, 15)*u
				color := pick(ch, petals...).times(ch.between(0.72, 1.12))
				if autumn {
					p.leaf(fx, fy, ch.between(7, 15)*u, ch.between(0, 6.28), color, blur)
				} else {
					p.flower(fx, fy, ch.between(8, 14)*u, ch.between(0, 6.28), color, light, blur)
				}
			}
		}
	}
	for i := range 3 {
		blur := []float32{7, 2.5, 1}[i] * u
		side := ch.sign()
		x := float32(c.w) * (0.5 - side*ch.between(0.42, 0.58))
		y := float32(c.h) * ch.between(-0.05, 0.75)
		angle := ch.between(-0.3, 0.5)
		if side < 0 {
			angle = 3.14 - angle
		}
		p.branch(
			x, y, angle, float32(max(c.w, c.h))*ch.between(0.16, 0.24), (7+float32(i)*2)*u, 4,
			mix(bark, back.at(0.5), 0.35-0.17*float32(i)), flower(blur),
		)
	}
	if autumn {
		p.subject("autumn", "leaves", "colours")
	} else {
		p.subject("blossom", "spring", "flowers", "cherry")
	}
	p.subject("bokeh", "tree")
	p.film.grain = 0.9
}

// flower paints one blossom with five petals.
func (p *painter) flower(x, y, r, turn float32, color rgb, light, blur float32) {
	c := p.canvas
	tilt := p.chance.between(0.55, 1)
	for i := range 5 {
		a := turn + float32(i)*1.2566
		px, py := x+cos(a)*r*0.5, y+sin(a)*r*0.5*tilt
		shade := 1 + 0.14*cos(a-light*3)
		c.disc(px, py, r*0.42, blur, color.times(shade), 0.9)
	}
	c.disc(x, y, r*0.2, blur, mix(color, hex(0xb83860), 0.55), 0.8)
	if blur < 2*c.unit() {
		for i := range 6 {
			a := turn + float32(i)
			c.disc(x+cos(a)*r*0.3, y+sin(a)*r*0.3*tilt, r*0.06, 1, hex(0xe8c050), 0.9)
		}
	}
}

// leaf paints one pointed leaf.
func (p *painter) leaf(x, y, r, turn float32, color rgb, blur float32) {
	c := p.canvas
	dx, dy := cos(turn), sin(turn)
	for i := -4; i <= 4; i++ {
		k := float32(i) / 4
		w := r * 0.42 * (1 - k*k)
		c.disc(x+dx*r*k*0.9, y+dy*r*k*0.9, max(w, 0.6), blur, color.times(1+0.1*k), 0.85)
	}
}
