package landscape

// view is a camera in a piece of land. Lengths are cells of the land, angles on the picture are pixels.
type view struct {
	land    *heights
	noise   *noise
	sky     *sky
	x, y    float32 // Where the camera stands,
	up      float32 // how high (absolute),
	dirX    float32 // which way it looks (a unit vector),
	dirY    float32
	focal   float32 // and its focal length, in pixels.
	horizon float32 // The row of the horizon.
	near    float32
	far     float32
	step    float32 // Growth of the step with distance; finer is slower.
	sun     [3]float32
	haze    float32 // Part of the light lost per cell.
	fogTop  float32 // Valleys are full of fog up to this height,
	fog     float32 // of this density.
	water   float32 // Level of the water; 0 means none.
	rough   float32 // Strength of detail finer than a cell.
	texture float32 // Strength of mottling on faces,
	bands   float32 // and in it of layers, as in sandstone.
	ground  func(spot) rgb
	trees   func(spot) float32 // Height of what grows, in cells; may be nil.
}

// spot is a place on the ground to be drawn.
type spot struct {
	x, y, h, t float32 // Where it is, and how far from the camera.
	flat       float32 // The z of its normal: 1 is level ground.
	noise      float32 // Some noise for mottling, 0 to 1.
}

// place puts the camera at a place with a view: above cells over the ground, where the highest thing in view rises as a
// slope of rise (0.1 is a tenth of the focal length above the horizon) and no wall is close.
func (v *view) place(c chance, above, rise float32) {
	best := float32(-1e9)
	side := float32(v.land.side)
	for range 40 {
		x, y, a := c.Float32()*side, c.Float32()*side, c.Float32()*6.2832
		dx, dy := cos(a), sin(a)
		up := v.land.at(x, y)
		if v.water > 0 {
			up = max(up, v.water)
		}
		up += above
		score := float32(0)
		for across := float32(-0.35); across < 0.4; across += 0.175 {
			rx, ry := dx-dy*across, dy+dx*across
			top := float32(-1)
			for t := v.near; t < v.far*0.8; t *= 1.08 {
				slope := (v.land.at(x+rx*t, y+ry*t) - up) / t
				top = max(top, slope)
				if t < v.far*0.25 {
					score -= 8 * max(0, slope+0.04)
				}
				if v.water > 0 && t < v.far*0.3 {
					if v.land.at(x+rx*t, y+ry*t) < v.water {
						score += 0.05
					} else if t < v.far*0.12 {
						score -= 0.3
					}
				}
			}
			score -= 8 * abs(top-rise)
		}
		if score > best {
			best, v.x, v.y, v.dirX, v.dirY, v.up = score, x, y, dx, dy, up
		}
	}
}

// light sets the sun. side is its direction from the camera's: 0 is straight ahead, 1 from the right, -1 from the left;
// high is its height as a slope.
func (v *view) light(side, high float32) {
	ahead := 1 - abs(side)
	x := v.dirX*ahead - v.dirY*side
	y := v.dirY*ahead + v.dirX*side
	l := sqrt(x*x + y*y + high*high)
	v.sun = [3]float32{x / l, y / l, high / l}
}

// A picture narrower than fineWidth pixels cannot show as much, so its steps are longer, up to coarsest times as long.
const (
	fineWidth = 800
	coarsest  = 2.5
)

// paint draws the land over a painted sky, and returns which pixels are water (nil if none). It goes through each
// column from near to far and draws what rises above what is already drawn (the "voxel space" of NovaLogic's Comanche,
// 1992). It sums the cover of every row so that edges are smooth.
func (v *view) paint(c *canvas) (water []bool) {
	if v.water > 0 && v.up > v.water {
		water = make([]bool, len(c.pix))
	}
	for x := range c.w {
		v.paintColumn(c, x, water)
	}
	return water
}

func (v *view) paintColumn(c *canvas, x int, water []bool) {
	across := (float32(x) - float32(c.w)/2) / v.focal
	rx, ry := v.dirX-v.dirY*across, v.dirY+v.dirX*across
	hazeColor := mix(v.sky.haze, v.sky.sky.at(0.03), 0.5)
	if v.sky.disc { // Air before the sun shines.
		near := (float32(x) - v.sky.sunX) / float32(c.w)
		hazeColor = hazeColor.plus(v.sky.weather.sun.times(0.05 / (1 + near*near*7)))
	}
	bottom := float32(c.h) // What is below is drawn.
	var sum, last rgb      // Light gathered for the row in work, and the colour drawn last.
	var cover float32
	drawn, wasWater := false, false
	step := v.step * max(1, min(coarsest, fineWidth/float32(c.w)))
	for t := v.near; t < v.far && bottom > 0; t += t * step {
		s := spot{x: v.x + rx*t, y: v.y + ry*t, t: t}
		s.h = v.height(&s)
		isWater := v.water > 0 && s.h < v.water
		if isWater && v.up < v.water {
			continue // Seen from below, for reflections: only what stands out of the water.
		}
		if isWater {
			s.h = v.water
		}
		top := v.horizon - (s.h-v.up)*v.focal/t
		if top >= bottom {
			drawn = false
			continue
		}
		color, clear := v.shade(&s, isWater, hazeColor)
		if !drawn || isWater != wasWater {
			last = color
		}
		top = max(top, 0)
		span := bottom - top
		grainy := float32(0)
		if v.texture > 0 && !isWater {
			grainy = v.texture * clear * clear * exp(-t*0.001)
		}
		for y := int(bottom); y >= int(top); y-- {
			low, high := min(bottom, float32(y+1)), max(top, float32(y))
			part := low - high
			if part <= 0 {
				continue
			}
			along := (bottom - (low+high)/2) / span
			light := mix(last, color, along)
			if grainy > 0 { // A steep face is but one sample of the land: what is on it varies by height as well.
				h := (v.horizon - float32(y)) * t / v.focal
				n := v.noise.at(s.x*0.7+s.y*0.7, h*0.9) + 0.6*v.noise.at(s.x*1.9-s.y*1.9, h*2.3) - 0.8
				if v.bands > 0 {
					wobble := v.noise.at(s.x*0.08, s.y*0.08) * 3
					n += v.bands * (v.noise.at(h*0.55+wobble, 7) + 0.7*v.noise.at(h*1.7+wobble, 9) - 0.85)
				}
				light = light.times(1 + n*grainy)
			}
			sum = sum.plus(light.times(part))
			cover += part
			if high == float32(y) { // The row is full.
				if y < c.h {
					c.pix[y*c.w+x] = sum.times(1 / cover)
					if isWater && water != nil {
						water[y*c.w+x] = true
					}
				}
				sum, cover = rgb{}, 0
			}
		}
		bottom, last, drawn, wasWater = top, color, true, isWater
	}
	if y := int(bottom); cover > 0 && y < c.h { // The last row, with the sky behind it.
		p := &c.pix[y*c.w+x]
		*p = p.times(1 - cover).plus(sum)
	}
}

func (v *view) height(s *spot) float32 {
	h := v.land.at(s.x, s.y)
	if v.rough > 0 && s.t < 260 {
		h += (v.land.at(s.x*6.7+31, s.y*6.7+11)*0.05 - 2) * v.rough * (1 - s.t/260)
	}
	if v.trees != nil && s.t > 70 && h > v.water+0.3 {
		s.h = h
		h += v.trees(*s)
	}
	return h
}

// shade returns the light from a spot to the camera, and how much of it is from the spot and not from the air.
func (v *view) shade(s *spot, isWater bool, haze rgb) (light rgb, clear float32) {
	var color rgb
	if isWater {
		color = v.sky.haze.times(0.3) // Water is painted by reflect.
	} else {
		e := max(0.7, s.t*0.003)
		gx := (v.land.at(s.x+e, s.y) - v.land.at(s.x-e, s.y)) / (2 * e)
		gy := (v.land.at(s.x, s.y+e) - v.land.at(s.x, s.y-e)) / (2 * e)
		s.noise = v.noise.at(s.x*0.9, s.y*0.9)*0.5 + v.noise.at(s.x*0.13, s.y*0.13)*0.5
		if s.t < 200 { // Bumps that the land is too coarse for.
			k := (1 - s.t/200) * v.rough * 0.9
			gx += (v.noise.at(s.x*3.1, s.y*3.1) - 0.5) * k
			gy += (v.noise.at(s.x*3.1+50, s.y*3.1) - 0.5) * k
		}
		s.flat = 1 / sqrt(1+gx*gx+gy*gy)
		direct := max(0, (-gx*v.sun[0]-gy*v.sun[1]+v.sun[2])*s.flat)
		if direct > 0 {
			direct *= v.shadow(s)
		}
		around := 0.55 + 0.45*s.flat
		bounce := max(0, 0.3-direct) * 0.12
		light = v.sky.weather.sun.times(direct).plus(v.sky.ambient.times(around)).plus(v.sky.weather.sun.times(bounce))
		color = v.ground(*s).filter(light)
	}
	thick := v.haze * s.t
	if v.fog > 0 {
		edge := (v.noise.at(s.x*0.03, s.y*0.03) - 0.5) * 0.5 * v.fogTop
		thick += v.fog * s.t * (1 - smoothstep(v.fogTop*0.7, v.fogTop*1.3, s.h+edge))
	}
	clear = exp(-thick)
	return mix(haze, color, clear), clear
}

// shadow is how much of the sun reaches a spot: 0 to 1, soft at the edges.
func (v *view) shadow(s *spot) float32 {
	flat := hypot(v.sun[0], v.sun[1])
	if flat < 0.05 {
		return 1
	}
	dx, dy, rise := v.sun[0]/flat, v.sun[1]/flat, v.sun[2]/flat
	open := float32(1)
	for d := float32(2.5); d < 160; d *= 1.75 {
		over := v.land.at(s.x+dx*d, s.y+dy*d) - (s.h + rise*d)
		open = min(open, 1-clamp01(over/(0.06*d)+0.3))
		if open <= 0 {
			return 0
		}
	}
	return open
}
