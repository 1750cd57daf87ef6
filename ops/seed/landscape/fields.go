package landscape

// fields paints farmland on rolling hills: parcels of different crops in rows.
func fields(p *painter) {
	c, ch := p.canvas, p.chance
	w := p.weather(Golden, Golden, Dawn, Noon, Sunset, Overcast)
	horizon := float32(c.h) * ch.between(0.28, 0.45)
	s := newSky(c, ch, p.noise, w, horizon)
	v := &view{
		land: p.land.hills(), noise: p.noise, sky: &s, horizon: horizon, focal: float32(max(
			c.w, c.h,
		)) * ch.between(0.8, 1.8),
		near: 8, far: 800, step: 0.0055, haze: ch.between(0.0008, 0.0018),
	}
	v.place(ch, ch.between(5, 14), 0.05*float32(c.h)/v.focal)
	v.backlight(&s, c, ch)
	type crop struct {
		word string
		a, b rgb // The row and what is between.
	}
	wheat := crop{"wheat", hex(0xd8b060), hex(0xb08a40)}
	grass := crop{"meadow", hex(0x7c9440), hex(0x5c7c34)}
	young := crop{"field", hex(0x90a850), hex(0x88705a)}
	earth := crop{"field", hex(0x8a6c50), hex(0x74563e)}
	main := pick(ch, crop{"lavender", hex(0x7c5cb0), hex(0x6c7048)}, wheat,
		crop{"canola", hex(0xe6cc30), hex(0xb8b030)},
		grass, crop{"tulips", hex(0xd04050), hex(0x5c8040)}, crop{"poppies", hex(0xc44030), hex(0x7c9048)},
		crop{"vineyard", hex(0x6c8838), hex(0xa08c60)})
	crops := []crop{main, grass, wheat, main, young, earth, main, grass}
	size := ch.between(0.008, 0.016)
	turnBy := ch.between(0, 1.5)
	near := ch.oneIn(3) // The picture is of the one field.
	v.ground = func(s spot) rgb {
		bx := s.x + (p.noise.at(s.x*0.02, s.y*0.02)-0.5)*40
		by := s.y + (p.noise.at(s.x*0.02+40, s.y*0.02)-0.5)*40
		px, py := floor(bx*size), floor(by*size*1.6)
		which := int(p.noise.at(px*3.7+0.5, py*5.3+0.5)*16) & 7
		if near {
			which = 0
		}
		k := crops[which]
		angle := turnBy + float32(which)*0.8
		across := (s.x*cos(angle) + s.y*sin(angle)) * 2.4
		// Rows melt together where they are finer than the picture.
		sharp := 1 / (1 + s.t*s.t*0.00018)
		row := smoothstep(-0.4, 0.4, sin(across)) - 0.5
		color := mix(k.b, k.a, 0.5+row*sharp)
		fx, fy := bx*size-px, by*size*1.6-py
		if !near && min(min(fx, 1-fx), min(fy, 1-fy)) < 0.02 { // Hedges.
			color = hex(0x34482a)
		}
		return color.times(0.8 + 0.4*s.noise)
	}
	v.trees = func(s spot) float32 {
		clump := p.noise.at(s.x*0.06+9, s.y*0.06)
		if clump < 0.8 || s.t < 110 {
			return 0
		}
		return 4.5 * sqrt(smoothstep(0.8, 0.86, clump)) * (0.5 + 0.7*p.noise.at(s.x*0.8, s.y*0.8))
	}
	ground := v.ground
	v.ground = func(s spot) rgb {
		if s.t > 110 && p.noise.at(s.x*0.06+9, s.y*0.06) > 0.805 {
			return hex(0x33482a).times(0.7 + 0.6*s.noise)
		}
		return ground(s)
	}
	s.paint(c)
	v.paint(c)
	p.subject("countryside", main.word)
}
