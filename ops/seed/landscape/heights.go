package landscape

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// heights is a square of land that repeats in both directions; its side and its heights are in cells.
type heights struct {
	side int
	h    []float32
}

// land holds the few pieces of land of all terrain pictures, which differ in place and light. Each takes about as long
// as five pictures, so it is made once.
type land struct {
	alps, hills, dunes, mesas func() *heights
}

// newLand prepares squares of land with side cells, a power of two. Each is made on first use.
func newLand(seed uint64, side int) *land {
	piece := func(n uint64, make func(chance, int) *heights) func() *heights {
		return sync.OnceValue(func() *heights { return make(chance{rand.New(rand.NewPCG(seed, 0x1a4d+n))}, side) })
	}
	return &land{alps: piece(1, alps), hills: piece(2, hills), dunes: piece(3, dunes), mesas: piece(4, mesas)}
}

// extent is the unit of large shapes, in cells: mountains and valleys are about a quarter of it apart, and heights are
// fractions of it. A smaller square repeats sooner.
const extent = 1024

// build fills a square from a function of coordinates in extents.
func build(side int, f func(x, y float32) float32) *heights {
	m := &heights{side: side, h: make([]float32, side*side)}
	for y := range side {
		for x := range side {
			m.h[y*side+x] = f(float32(x)/extent, float32(y)/extent)
		}
	}
	return m
}

// stretch scales the heights to 0 to top.
func (m *heights) stretch(top float32) *heights {
	low, high := slices.Min(m.h), slices.Max(m.h)
	for i, h := range m.h {
		m.h[i] = (h - low) / (high - low) * top
	}
	return m
}

// periodic sums octaves whose lattices fit the square a whole number of times, so that its edges meet. The steeper the
// sum, the less finer octaves add (after Inigo Quilez, "Value noise derivatives"): valleys stay smooth, ridges get
// rough, as with erosion.
func periodic(n *noise, side int, x, y float32, first, octaves int, fold bool) float32 {
	sum, amp, freq := float32(0), float32(1), first
	var gx, gy, total float32
	for o := range octaves {
		v, dx, dy := n.wrapped(x*float32(freq), y*float32(freq), max(1, freq*side/extent), o*37)
		if fold {
			s := float32(1)
			if v > 0.5 {
				s = -1
			}
			v = 1 - abs(2*v-1)
			dx, dy = 2*s*dx, 2*s*dy
		}
		gx, gy = gx+dx*0.55, gy+dy*0.55
		sum += amp * v / (1 + gx*gx + gy*gy)
		total += amp
		amp *= 0.5
		freq *= 2
	}
	return sum / total
}

// wrapped is noise with a given period (a power of two up to 256 of its lattice), and its slope.
func (n *noise) wrapped(x, y float32, period, offset int) (v, dx, dy float32) {
	fx, fy := floor(x), floor(y)
	tx, ty := x-fx, y-fy
	x0, y0 := int(fx)&(period-1), int(fy)&(period-1)
	x1, y1 := (x0+1)&(period-1), (y0+1)&(period-1)
	at := func(x, y int) float32 {
		return n.table[((y+offset)&(lattice-1))*lattice+(x+offset*3)&(lattice-1)]
	}
	a, b, c, d := at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1)
	ux, uy := tx*tx*tx*(tx*(tx*6-15)+10), ty*ty*ty*(ty*(ty*6-15)+10)
	wx, wy := 30*tx*tx*(tx*(tx-2)+1), 30*ty*ty*(ty*(ty-2)+1)
	k := a - b - c + d
	return a + (b-a)*ux + (c-a)*uy + k*ux*uy, wx * ((b - a) + k*uy), wy * ((c - a) + k*ux)
}

func alps(c chance, side int) *heights {
	n := newNoise(c.Rand)
	m := build(side, func(x, y float32) float32 {
		base := periodic(n, side, x, y, 4, 8, false)
		crest := periodic(n, side, x+0.37, y+0.11, 4, 8, true)
		return pow(base*0.75+crest*0.5, 1.5)
	}).stretch(extent * 0.2)
	m.erode(c.Rand, side*side/8)
	m.soften()
	return m.stretch(extent * 0.16)
}

func hills(c chance, side int) *heights {
	n := newNoise(c.Rand)
	return build(side, func(x, y float32) float32 {
		return periodic(n, side, x, y, 4, 3, false) + 0.08*periodic(n, side, x, y, 16, 3, false)
	}).stretch(extent * 0.07)
}

// dunes are asymmetric: a long windward and a short lee side, with a sharp, winding crest.
func dunes(c chance, side int) *heights {
	n := newNoise(c.Rand)
	return build(side, func(x, y float32) float32 {
		h := float32(0)
		for i, f := range []int{4, 8} {
			wander := 2.2*periodic(
				n, side, x+0.2*float32(i), y, 4, 3, false,
			) + 0.25*periodic(n, side, x, y, 16, 2, false)
			phase := y*float32(f) + wander
			t := phase - floor(phase)
			profile := t / 0.72
			if t > 0.72 {
				profile = (1 - t) / 0.28
			}
			// The foot is smooth, the crest sharp.
			profile = profile * profile * (1.6 - 0.6*profile)
			h += profile * (0.35 + 0.9*periodic(n, side, x, y+0.4*float32(i), 4, 2, false)) / float32(f) * 4
		}
		return h
	}).stretch(extent * 0.06)
}

// mesas is tableland: noise pressed into a plain and a few plateaus with stepped walls.
func mesas(c chance, side int) *heights {
	n := newNoise(c.Rand)
	return build(side, func(x, y float32) float32 {
		v := periodic(n, side, x, y, 8, 7, false)*1.1 + 0.12*periodic(n, side, x, y, 32, 4, true)
		plateau := smoothstep(0.40, 0.47, v)*0.62 + smoothstep(0.52, 0.56, v)*0.38
		steps := float32(6)
		s := plateau * steps
		f := floor(s)
		plateau = lerp(plateau, (f+smoothstep(0.35, 0.75, s-f))/steps, 0.75)
		return plateau*0.16 + 0.03*v
	}).stretch(extent * 0.12)
}

// at interpolates the height between cells.
func (m *heights) at(x, y float32) float32 {
	fx, fy := floor(x), floor(y)
	tx, ty := x-fx, y-fy
	mask := m.side - 1
	x0, y0 := int(fx)&mask, int(fy)&mask
	x1, y1 := (x0+1)&mask, (y0+1)&mask
	a, b := m.h[y0*m.side+x0], m.h[y0*m.side+x1]
	c, d := m.h[y1*m.side+x0], m.h[y1*m.side+x1]
	a += (b - a) * tx
	c += (d - c) * tx
	return a + (c-a)*ty
}

// erode lets drops of rain run down, which take soil where they are fast and leave it where they are slow. After Hans
// Theobald Beyer, "Implementation of a method for hydraulic erosion", 2015.
func (m *heights) erode(rng *rand.Rand, drops int) {
	const (
		inertia, capacity, deposit, erosion, evaporate = 0.08, 5, 0.25, 0.28, 0.025
		life                                           = 38
	)
	mask := m.side - 1
	for range drops {
		x, y := rng.Float32()*float32(m.side), rng.Float32()*float32(m.side)
		var dx, dy, sediment float32
		speed, water := float32(1), float32(1)
		for range life {
			ix, iy := int(x)&mask, int(y)&mask
			tx, ty := x-floor(x), y-floor(y)
			i00, i10 := iy*m.side+ix, iy*m.side+(ix+1)&mask
			i01, i11 := ((iy+1)&mask)*m.side+ix, ((iy+1)&mask)*m.side+(ix+1)&mask
			a, b, c, d := m.h[i00], m.h[i10], m.h[i01], m.h[i11]
			gx, gy := (b-a)*(1-ty)+(d-c)*ty, (c-a)*(1-tx)+(d-b)*tx
			dx, dy = dx*inertia-gx*(1-inertia), dy*inertia-gy*(1-inertia)
			l := hypot(dx, dy)
			if l < 1e-5 {
				break
			}
			dx, dy = dx/l, dy/l
			old := a*(1-tx)*(1-ty) + b*tx*(1-ty) + c*(1-tx)*ty + d*tx*ty
			x, y = wrap(x+dx, m.side), wrap(y+dy, m.side)
			fall := m.at(x, y) - old
			room := max(-fall, 0.01) * speed * water * capacity
			move := float32(0)
			switch {
			case fall > 0:
				move = min(fall, sediment)
			case sediment > room:
				move = (sediment - room) * deposit
			default:
				move = -min((room-sediment)*erosion, -fall)
			}
			sediment -= move
			m.h[i00] += move * (1 - tx) * (1 - ty)
			m.h[i10] += move * tx * (1 - ty)
			m.h[i01] += move * (1 - tx) * ty
			m.h[i11] += move * tx * ty
			speed = float32(math.Sqrt(float64(max(0, speed*speed-fall*0.6))))
			water *= 1 - evaporate
		}
	}
}

// soften removes the spikes that single drops leave: half of each height comes from its neighbours.
func (m *heights) soften() {
	mask := m.side - 1
	out := make([]float32, len(m.h))
	for y := range m.side {
		up, here, down := m.h[(y-1)&mask*m.side:], m.h[y*m.side:], m.h[(y+1)&mask*m.side:]
		for x := range m.side {
			l, r := (x-1)&mask, (x+1)&mask
			out[y*m.side+x] = here[x]*0.4 + (here[l]+here[r]+up[x]+down[x])*0.1 + (up[l]+up[r]+down[l]+down[r])*0.05
		}
	}
	m.h = out
}

func wrap(v float32, side int) float32 {
	s := float32(side)
	for v < 0 {
		v += s
	}
	for v >= s {
		v -= s
	}
	return v
}
