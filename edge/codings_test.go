package edge

import (
	"net/http"
	"testing"
)

func TestCodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines      []string
		want, near string // the form of a page that has just come, and of one that the near cache has
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
		accepted := readCodings(c.lines)
		if got, near := accepted.choose(false), accepted.choose(true); got != c.want || near != c.near {
			t.Errorf("%q (%+v): %q, and %q when near; want %q and %q", c.lines, accepted, got, near, c.want, c.near)
		}
	}
}

// TestCodingsOfAnswers: an asset, a page made for the visitor and one from the near cache go out in the form that was asked for, by either way.
func TestCodingsOfAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	e := s.edge()
	visitor := dial(t, e)
	for i, path := range []string{"/static/app.0123abcd.css", "/photos/ansel", "/photos/ansel"} {
		for accept, want := range map[string]string{"gzip;q=0.9, br;q=0.1": "gzip", "identity, *;q=0.5": "", "identity;q=0, gzip": "gzip"} {
			for _, more := range []string{"DNT: 1", "X-Note: a\ttab"} {
				visitor.say(plainly(path, "Accept-Encoding: "+accept, more))
				a := visitor.hear(http.MethodGet)
				if got := a.header.Get("Content-Encoding"); got != want {
					t.Errorf("%d: %s for %q: %q, want %q", i, path, accept, got, want)
				}
			}
		}
	}
}

func BenchmarkCodings(b *testing.B) {
	lines := []string{"gzip, deflate, br, zstd"}
	b.ReportAllocs()
	for b.Loop() {
		if readCodings(lines).choose(true) != "br" {
			b.Fatal("not br")
		}
	}
}
