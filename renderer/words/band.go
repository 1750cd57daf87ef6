package words

import (
	"math/bits"
	"strconv"
)

// Band divides all photos by something they are ordered by into bands of neighbours in that order. A photo's bands are
// among its lexemes, so that the best of a frequent word are found without fetching all that it has: those of the first
// band, or of the first few.
type Band byte

// What photos are divided by. The letter is the beginning of the lexemes, after Filter.
const (
	ByQuality Band = 'q'
	ByFaves   Band = 'f'
	ByID      Band = 'i'
)

// Sample is the lexeme, after Filter, of one photo in 50, whatever it shows: by it counts are estimated.
const Sample = "s"

// SampleOf is how many photos one with the lexeme Sample stands for.
const SampleOf = 50

func sampled(id int64) bool { return uint64(id)*0x9e3779b97f4a7c15>>32%SampleOf == 0 }

// Number gives the band that a value is in. Greater values are in greater bands.
func (b Band) Number(value int64) int64 {
	switch b {
	case ByQuality:
		return value >> 3
	case ByID:
		return value >> 13
	}
	if value < singleFaves {
		return value
	}
	octave := bits.Len64(uint64(value)) - 1
	return singleFaves + 4*int64(octave-5) + value>>(octave-2)&3
}

// singleFaves: numbers of faves below are each a band of their own.
const singleFaves = 32

// End gives the least value that is above a band.
func (b Band) End(number int64) int64 {
	switch {
	case b == ByQuality:
		return (number + 1) << 3
	case b == ByID:
		return (number + 1) << 13
	case number < singleFaves:
		return number + 1
	}
	octave, quarter := (number-singleFaves)/4+5, (number-singleFaves)%4
	return (4 + quarter + 1) << (octave - 2)
}

// Single reports whether all photos of a band have the same value, so that they are ordered by their ids.
func (b Band) Single(number int64) bool { return b == ByFaves && number < singleFaves }

// Of gives the lexeme, after Filter, of the band that a value is in.
func (b Band) Of(value int64) string { return b.Name(b.Number(value)) }

// Name gives the lexeme, after Filter, of a band by its number.
func (b Band) Name(number int64) string { return string(b) + strconv.FormatInt(number, 10) }
