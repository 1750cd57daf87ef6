package landscape

// mirrored paints what the water reflects: the land as seen from as far below the water as the camera is above it.
// Upside down this is the reflection, with near and far shores in their right places. sky is the sky alone.
func (v *view) mirrored(sky *canvas) *canvas {
	below := *v
	below.up = 2*v.water - v.up
	m := &canvas{w: sky.w, h: sky.h, pix: append([]rgb(nil), sky.pix...)}
	below.paint(m)
	return m
}

// level marks everything from a row down as water.
func level(c *canvas, row int) []bool {
	water := make([]bool, len(c.pix))
	for i := row * c.w; i < len(water); i++ {
		water[i] = true
	}
	return water
}

// reflect paints water: what is in mirror, upside down about the row line, broken by ripples, and darker at steeper
// angles. The mirror may be the canvas itself if all that is reflected stands on that line. deep is the colour of the
// water itself; calm is 1 for a mirror, 0 for a breeze.
func reflect(c, mirror *canvas, ch chance, n *noise, water []bool, line float32, deep rgb, calm float32) {
	u := c.unit()
	shift := ch.between(0, 200)
	for y := max(0, int(line)); y < c.h; y++ {
		row := c.row(y)
		depth := max(1, float32(y)-line) / (u * 100)
		dull := lerp(0.92, 0.5, smoothstep(0, 4, depth))
		amp := (1 - calm) * (4 + 34*depth) * u
		// Ripples look longer and lower the nearer they are to the horizon.
		k := 14 / (depth + 0.15)
		long := 0.012 * (0.4 + 1/(depth+0.3))
		for x := range row {
			if !water[y*c.w+x] {
				continue
			}
			fx := float32(x) / u
			r := n.at(fx*long+shift, k+shift) + 0.5*n.at(fx*0.05+shift, k*2.7) - 0.75
			from := 2*line - float32(y) + r*amp
			sx, sy := min(max(x+int(r*amp*0.25), 0), c.w-1), min(max(int(from), 0), int(line)-1)
			row[x] = mix(deep, mirror.pix[sy*c.w+sx], dull).times(1 + r*0.12*(1-calm))
		}
	}
}
