package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestZipf(t *testing.T) {
	t.Parallel()
	const ranks, draws = 1000, 200_000
	for _, exponent := range []float64{0, 0.8, 1, 1.5} {
		sum := 0.0
		for r := range ranks {
			sum += math.Pow(float64(r+1), -exponent)
		}
		z, rng := newZipf(ranks, exponent), rand.New(rand.NewPCG(1, 2))
		var drawn [ranks]float64
		for range draws {
			drawn[z.draw(rng)]++
		}
		for _, r := range []int{0, 1, 2, 9, 99, 500, 999} {
			p := math.Pow(float64(r+1), -exponent) / sum
			want, deviation := draws*p, math.Sqrt(draws*p*(1-p))
			if math.Abs(drawn[r]-want) > 5*deviation {
				t.Errorf(
					"exponent %v: rank %d was drawn %v times, want %.0f, give or take %.0f", exponent, r, drawn[r],
					want, 5*deviation,
				)
			}
		}
	}
	if z := newZipf(1, 1); z.draw(rand.New(rand.NewPCG(1, 2))) != 0 {
		t.Error("of one there is only the first")
	}
}

// The same seed makes the same visits, page by page; another seed makes others.
func TestVisitsRepeat(t *testing.T) {
	t.Parallel()
	pages := []Page{PageAt("/photos/ansel"), PageAt("/photos/ansel/before/2")}
	asked := func(seed uint64) []string {
		s := &site{}
		cfg := some(listen(t, s), 40)
		cfg.Pages, cfg.VisitPages, cfg.PagesOnly, cfg.Seed, cfg.Exponent, cfg.Rate = pages, 2, true, seed, 0.5, 500
		cfg.Duration /= 10
		mustBeClean(t, mustRun(t, cfg))
		return s.asked
	}
	first := asked(1)
	if again := asked(1); !slices.Equal(first, again) {
		t.Errorf("one seed asked for\n%v and\n%v", first, again)
	}
	if other := asked(2); slices.Equal(first, other) {
		t.Errorf("two seeds asked for the same %v", first)
	}
}
