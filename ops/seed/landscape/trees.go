package landscape

// skyline returns a ridge's height for each column: fractal, between base and base - rise (rows; smaller is higher).
func (p *painter) skyline(base, rise, scale float32, sharp bool) []float32 {
	line := make([]float32, p.canvas.w)
	u := p.canvas.unit()
	shift, row := p.chance.between(0, 200), p.chance.between(0, 200)
	for x := range line {
		fx := float32(x)/u/1000*scale + shift
		v := p.noise.fbm(fx, row, 8)
		if sharp {
			v = 0.55*p.noise.ridge(fx*0.7, row, 7) + 0.45*v
		}
		t := (v - 0.48) * 4 // Pressed softly into -1 to 1: a clamp would cut plateaus.
		line[x] = base - rise*(0.5+0.5*t/sqrt(1+t*t))
	}
	return line
}

// fill paints a ridge: its colour at the crest fades to another one within depth rows.
func (p *painter) fill(line []float32, crest, foot rgb, depth float32) {
	for x, top := range line {
		p.canvas.column(x, top, float32(p.canvas.h), func(y int) rgb {
			return mix(crest, foot, smoothstep(0, 1, (float32(y)-top)/depth))
		})
	}
}

// conifer paints a spruce: a stem with whorls of drooping branches, wider below, each tree different.
func (p *painter) conifer(x, foot, tall float32, color rgb, cover float32) {
	c, ch := p.canvas, p.chance
	width := tall * ch.between(0.15, 0.24)
	seed := ch.Uint32()
	whorl := max(tall*0.045, 2.2)
	lean := ch.between(-0.02, 0.02)
	for y := max(0, int(foot-tall)); y < min(c.h, int(foot)+1); y++ {
		d := float32(y) - (foot - tall) // Down from the tip.
		k := d / tall
		// The outline is narrower between whorls; each side of each whorl has its own length.
		step := d / whorl
		f := step - floor(step)
		reach := width * pow(k, 0.85) * (0.45 + 0.55*f)
		mid := x + lean*d
		left := reach * (0.8 + 0.3*grain(int(step), 1, seed))
		right := reach * (0.8 + 0.3*grain(int(step), 2, seed))
		stem := max(0.5, tall*0.008)
		a, b := mid-max(left, stem), mid+max(right, stem)
		if k > 0.96 {
			a, b = mid-stem*1.5, mid+stem*1.5
		}
		for px := max(0, int(a)); px <= min(c.w-1, int(b)); px++ {
			in := min(float32(px+1), b) - max(float32(px), a)
			if in > 0 {
				c.blend(px, y, color, in*cover)
			}
		}
	}
}

// wood paints conifers along a ridge, smaller ones behind.
func (p *painter) wood(line []float32, tall, density float32, color rgb) {
	whole := p.chance
	defer func() { p.chance = whole }()
	p.chance = whole.fork() // How many trees there are depends on the size of the picture.
	ch := p.chance
	spacing := tall * 0.16 / density
	clump := ch.between(0, 200)
	for x := float32(0); x < float32(p.canvas.w); x += spacing * ch.between(0.4, 1.6) {
		here := p.noise.at(x/tall*0.35+clump, 0.5)
		if here < 0.28 {
			continue
		}
		i := min(int(x), p.canvas.w-1)
		p.conifer(x, line[i]+tall*0.1, tall*ch.between(0.45, 1.05)*(0.6+0.6*here), color, 1)
	}
}

// branch paints a bough that forks, and calls leaf at its ends.
func (p *painter) branch(x, y, angle, length, width float32, depth int, color rgb, leaf func(x, y float32)) {
	ch := p.chance
	const parts = 4
	for range parts {
		angle += ch.between(-0.18, 0.18)
		nx, ny := x+cos(angle)*length/parts, y+sin(angle)*length/parts
		p.canvas.line(x, y, nx, ny, width, color, 1)
		x, y = nx, ny
		width *= 0.94
		if depth <= 3 && !ch.oneIn(3) {
			leaf(x+ch.between(-9, 9), y+ch.between(-9, 9))
		}
	}
	if depth == 0 {
		leaf(x, y)
		return
	}
	for range 2 + ch.IntN(2) {
		turn := ch.sign() * ch.between(0.2, 0.75)
		p.branch(x, y, angle+turn, length*ch.between(0.66, 0.92), width*0.66, depth-1, color, leaf)
	}
}

// birds paints a few distant birds as two strokes each.
func (p *painter) birds(cx, cy, spread float32, n int, color rgb) {
	u := p.canvas.unit()
	for range n {
		x, y := cx+p.chance.between(-1, 1)*spread, cy+p.chance.between(-0.5, 0.5)*spread
		s := u * p.chance.between(2.5, 5)
		up := s * p.chance.between(0.15, 0.6)
		p.canvas.line(x-s, y-up, x, y, u*1.1, color, 0.85)
		p.canvas.line(x, y, x+s, y-up, u*1.1, color, 0.85)
	}
}
