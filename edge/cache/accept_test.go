package cache

import (
	"fmt"
	"testing"
)

// TestAccept: the header Accept-Encoding selects an encoding.
func TestAccept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines         []string
		want, popular string // the encoding of a page, and that of a popular page
	}{
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{"gzip, deflate, br, zstd"}, "gzip", "br"},
		{[]string{"gzip;q=0.9, br;q=0.1"}, "gzip", "gzip"},
		{[]string{"gzip;q=0.1, br;q=0.9"}, "gzip", "br"},
		{[]string{"gzip;q=0.1", "br;q=0.9"}, "gzip", "br"},
		{[]string{"br;q=0.5, gzip;q=0.5, identity;q=0.5"}, "gzip", "br"},
		{[]string{"identity, gzip;q=0.5"}, "", ""},
		{[]string{"identity;q=0.5, gzip;q=0.501"}, "gzip", "gzip"},
		{[]string{"GZIP ; Q=0.5"}, "gzip", "gzip"},
		{[]string{"x-gzip"}, "gzip", "gzip"},
		{[]string{"gzip;q=0.001"}, "gzip", "gzip"},
		{[]string{"gzip;q=0"}, "", ""},
		{[]string{"gzip;q=0.000, br;q=0.0"}, "", ""},
		{[]string{"gzip;q=1.000"}, "gzip", "gzip"},
		{[]string{"gzip;q=high"}, "", ""},
		{[]string{"gzip;q=0.x"}, "", ""},
		{[]string{"gzip;q=-1"}, "", ""},
		{[]string{"gzip;foo=bar;q=0, br;q="}, "", ""},
		{[]string{"*"}, "gzip", "br"},
		{[]string{"gzip;q=0, *"}, "", "br"},
		{[]string{"gzip;q=0.3, *"}, "", "br"},
		{[]string{"*;q=0, gzip"}, "gzip", "gzip"},
		{[]string{"*;q=0"}, "", ""},
		{[]string{"identity;q=0"}, "gzip", "br"},
		{[]string{"identity;q=0, gzip"}, "gzip", "gzip"},
		{[]string{"identity;q=0, br"}, "br", "br"},
		{[]string{"identity;q=0, gzip;q=0"}, "", ""},
		{[]string{"zstd, deflate"}, "", ""},
	} {
		t.Run(fmt.Sprintf("%q", c.lines), func(t *testing.T) {
			accept := ParseAccept(c.lines)
			if got := accept.choose(false); got != c.want {
				t.Errorf("%+v: %q, want %q", accept, got, c.want)
			}
			if got := accept.choose(true); got != c.popular {
				t.Errorf("%+v, popular: %q, want %q", accept, got, c.popular)
			}
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	lines := []string{"gzip, deflate, br, zstd"}
	b.ReportAllocs()
	for b.Loop() {
		if ParseAccept(lines).choose(true) != "br" {
			b.Fatal("not br")
		}
	}
}
