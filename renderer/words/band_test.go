package words_test

import (
	"testing"

	"flickrkillr/renderer/words"
)

// Bands follow one another without a gap.
func TestBands(t *testing.T) {
	t.Parallel()
	for _, band := range []words.Band{words.ByQuality, words.ByFaves, words.ByID} {
		last := int64(-1)
		for value := int64(0); value < 600_000; value++ {
			number := band.Number(value)
			if number < last || value >= band.End(number) || number > last && last >= 0 && band.End(last) != value {
				t.Fatalf("%c: %d is in band %d, which ends at %d; the one before was %d", band, value, number,
					band.End(number), last)
			}
			last = number
		}
	}
}
