package words

import (
	"math"
	"time"
)

// MaxFaves is the greatest number of faves that makes a difference to a search.
const MaxFaves = 500_000

// MaxQuality is the greatest result of [Quality].
const MaxQuality = 1<<14 - 1

// Quality orders photos that fit a query equally well, from 0: twice the faves count as much as being posted one year
// later. It does not change as time goes by.
func Quality(faves int, posted time.Time) int {
	const perYear = 32
	years := posted.Sub(time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)).Hours() / (24 * 365.25)
	return int(math.Round(min(max(perYear*(years+math.Log2(1+float64(max(0, faves)))), 0), MaxQuality)))
}
