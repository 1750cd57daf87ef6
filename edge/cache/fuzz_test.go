package cache

import (
	"slices"
	"testing"

	"flickrkillr/schema/wire"
)

// FuzzAccept: whatever a client accepts, it gets a form that exists, and none that it refuses while another is
// acceptable.
func FuzzAccept(f *testing.F) {
	f.Add("gzip, deflate, br;q=0.9", "*;q=0")
	f.Add("identity;q=0, *;q=0.5", "x-gzip;q=1.000;Q=0")
	f.Fuzz(func(t *testing.T, first, second string) {
		a := ParseAccept([]string{first, second})
		for _, weight := range []int16{a.br, a.gzip, a.plain} {
			if weight < 0 || weight > fullWeight {
				t.Fatalf("%q, %q: %+v", first, second, a)
			}
		}
		weights := map[string]int16{"br": a.br, wire.EncodingGzip: a.gzip, "": a.plain}
		for _, brotli := range []bool{false, true} {
			chosen := a.choose(brotli)
			weight, ok := weights[chosen]
			if !ok {
				t.Fatalf("%q, %q: %q", first, second, chosen)
			}
			if weight == 0 && slices.Max([]int16{a.br, a.gzip, a.plain}) > 0 {
				t.Fatalf("%q, %q: %q is refused, and not all are: %+v", first, second, chosen, a)
			}
		}
	})
}
