package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// maxRenderers is how many renderers `up` starts at most.
const maxRenderers = 100

// rendererRange is how many renderers `up` runs: a number, or "2..8", between which it follows the load.
type rendererRange struct{ least, most int }

// UnmarshalText reads the value of the flag.
func (r *rendererRange) UnmarshalText(text []byte) error {
	low, high, isRange := strings.Cut(string(text), "..")
	if !isRange {
		high = low
	}
	least, errLow := strconv.Atoi(low)
	most, errHigh := strconv.Atoi(high)
	switch {
	case errLow != nil || errHigh != nil:
		return fmt.Errorf("%q is neither a number nor a range such as 2..8", text)
	case least < 0 || most > maxRenderers:
		return fmt.Errorf("%s is not allowed: at least 0, at most %d", text, maxRenderers)
	case isRange && least < 1:
		return fmt.Errorf("%s is not allowed: a range begins at 1 or more", text)
	case least > most:
		return fmt.Errorf("%s is not allowed: the smaller number comes first", text)
	}
	r.least, r.most = least, most
	return nil
}

// String is what UnmarshalText reads.
func (r rendererRange) String() string {
	if r.least == r.most {
		return strconv.Itoa(r.least)
	}
	return fmt.Sprintf("%d..%d", r.least, r.most)
}
