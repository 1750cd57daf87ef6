package landscape

import "math/rand/v2"

// noise is a lattice of random values, for clouds, ridges and ripples. It repeats every 256 units. It is value noise
// from a table, because that is the cheapest kind and its octaves look as good as those of gradient noise.
type noise struct {
	table []float32 // 256 x 256 values in 0 to 1.
}

const lattice = 256

func newNoise(rng *rand.Rand) *noise {
	n := &noise{table: make([]float32, lattice*lattice)}
	for i := range n.table {
		n.table[i] = float32(rng.Uint32()>>8) / (1 << 24)
	}
	return n
}

// at returns smooth noise, 0 to 1.
func (n *noise) at(x, y float32) float32 {
	fx, fy := floor(x), floor(y)
	ix, iy := int(fx), int(fy)
	tx, ty := x-fx, y-fy
	tx, ty = tx*tx*(3-2*tx), ty*ty*(3-2*ty)
	x0, x1 := ix&(lattice-1), (ix+1)&(lattice-1)
	r0, r1 := iy&(lattice-1)*lattice, (iy+1)&(lattice-1)*lattice
	a, b := n.table[r0+x0], n.table[r0+x1]
	c, d := n.table[r1+x0], n.table[r1+x1]
	a += (b - a) * tx
	c += (d - c) * tx
	return a + (c-a)*ty
}

// fbm sums octaves of noise, each twice as fine and half as strong: 0 to 1, mostly 0.3 to 0.7.
func (n *noise) fbm(x, y float32, octaves int) float32 {
	sum, weight, total := float32(0), float32(1), float32(0)
	for range octaves {
		sum += weight * n.at(x, y)
		total += weight
		weight /= 2
		// Not exactly twice, and shifted: otherwise the lines of the lattices coincide and show.
		x, y = x*2.03+17.3, y*2.03+5.1
	}
	return sum / total
}

// ridge is fbm folded at its middle, so that it has sharp crests: 0 to 1.
func (n *noise) ridge(x, y float32, octaves int) float32 {
	sum, weight, total := float32(0), float32(1), float32(0)
	for range octaves {
		v := 1 - abs(2*n.at(x, y)-1)
		sum += weight * v * v
		total += weight
		weight /= 2
		x, y = x*2.07+11.9, y*2.07+3.7
	}
	return sum / total
}

// grain is white noise for a pixel: -1 to 1, by a hash (lowbias32, Chris Wellons) instead of a generator.
func grain(x, y int, seed uint32) float32 {
	h := uint32(x)*0x9e3779b1 ^ uint32(y)*0x85ebca77 ^ seed
	h ^= h >> 16
	h *= 0x7feb352d
	h ^= h >> 15
	h *= 0x846ca68b
	h ^= h >> 16
	return float32(int32(h)) / (1 << 31)
}

// chance makes random choices.
type chance struct{ *rand.Rand }

func (c chance) between(a, b float32) float32 { return a + (b-a)*c.Float32() }
func (c chance) oneIn(n int) bool             { return c.IntN(n) == 0 }

// fork returns a separate sequence, for parts that take more or fewer random numbers at other sizes of the picture.
func (c chance) fork() chance { return chance{rand.New(rand.NewPCG(c.Uint64(), 0xf0))} }

func (c chance) sign() float32 {
	if c.oneIn(2) {
		return -1
	}
	return 1
}

func pick[T any](c chance, of ...T) T { return of[c.IntN(len(of))] }
