package seed

import (
	"math"
	"math/rand/v2"
)

// dice draws for one thing at a time: a user, a session, a photo. The draws depend only on the seed, the kind and the
// id, so several goroutines can make rows in any order with the same result.
type dice struct {
	seed uint64
	pcg  *rand.PCG
	*rand.Rand
}

// The kinds of things to draw for.
const (
	forPlan = iota + 1
	forUser
	forStyle
	forSession
	forPhoto
	forAlbum
	forLikes
)

func newDice(seed uint64) *dice {
	pcg := rand.NewPCG(seed, 0)
	return &dice{seed: seed, pcg: pcg, Rand: rand.New(pcg)}
}

// of selects the thing to draw for.
func (d *dice) of(kind, id uint64) *dice {
	d.pcg.Seed(mix64(d.seed+kind*0x9e3779b97f4a7c15), mix64(id))
	return d
}

// mix64 is the finalizer of SplitMix64 (Sebastiano Vigna): neighbouring ids give unrelated numbers.
func mix64(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) chance(p float64) bool { return d.Float64() < p }

// geometric is 1 or more, with the given mean.
func (d *dice) geometric(mean float64) int {
	if mean <= 1 {
		return 1
	}
	return 1 + int(math.Log(1-d.Float64())/math.Log(1-1/mean))
}

// few draws an index below n, small ones more often (density falling as 1/sqrt): a cheap approximation of a Zipf
// distribution.
func (d *dice) few(n int) int {
	u := d.Float64()
	return int(u * u * float64(n))
}

// zipf draws an index below n, about as often as 1/(index+1).
func (d *dice) zipf(n int) int {
	return int(math.Exp(d.Float64()*math.Log(float64(n)+1))) - 1
}

func one[T any](d *dice, of []T) T { return of[d.IntN(len(of))] }
