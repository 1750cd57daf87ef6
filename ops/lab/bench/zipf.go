package bench

import (
	"math"
	"math/rand/v2"
	"sort"
)

// zipf draws ranks from 0 to n-1, rank r with a probability proportional to 1/(r+1)^exponent. rand.Zipf only supports
// exponents above 1, but the popularity of pages has exponents of about 0.8 to 1.
type zipf struct {
	sums []float64 // of the weights of all ranks up to this one
}

func newZipf(n int, exponent float64) *zipf {
	z := &zipf{sums: make([]float64, n)}
	sum := 0.0
	for r := range z.sums {
		sum += math.Pow(float64(r+1), -exponent)
		z.sums[r] = sum
	}
	return z
}

func (z *zipf) draw(rng *rand.Rand) int {
	at := rng.Float64() * z.sums[len(z.sums)-1]
	return sort.Search(len(z.sums)-1, func(r int) bool { return z.sums[r] > at })
}
