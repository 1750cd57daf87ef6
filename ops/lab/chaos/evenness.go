package chaos

import "math"

// Evenness is how evenly something is spread over servers.
type Evenness struct {
	What   string  `json:"what"`
	Counts []int64 `json:"counts"`
}

// off is by which part of an even share the count differs that differs most; 1 if there is nothing to share.
func (e Evenness) off() (most float64) {
	sum := int64(0)
	for _, n := range e.Counts {
		sum += n
	}
	if sum == 0 {
		return 1
	}
	even := float64(sum) / float64(len(e.Counts))
	for _, n := range e.Counts {
		most = max(most, math.Abs(float64(n)-even)/even)
	}
	return most
}
