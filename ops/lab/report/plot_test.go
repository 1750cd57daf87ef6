package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestAxes(t *testing.T) {
	t.Parallel()
	for _, most := range []float64{0, 0.003, 1, 7, 10, 99, 100, 1234, 5e6, math.NaN()} {
		check(t, LinearAxis(most, Plain), 0, most, 2, 6)
	}
	for _, c := range [][2]float64{
		{0.05, 0.06}, {1, 1}, {0.9, 11}, {2, 3}, {0.001, 600_000}, {3, 5000}, {math.Inf(1), 0},
	} {
		check(t, LogAxis(c[0], c[1], Duration), c[0], c[1], 2, 10)
	}
}

// check says whether an axis holds its values and has a reasonable number of rising ticks.
func check(t *testing.T, a Axis, least, most float64, fewest, many int) {
	t.Helper()
	if least <= most && (a.From > least || a.To < most) {
		t.Errorf("%v to %v: the axis goes from %v to %v", least, most, a.From, a.To)
	}
	if len(a.Ticks) < fewest || len(a.Ticks) > many {
		t.Errorf("%v to %v: ticks %v", least, most, a.Ticks)
	}
	for i, tick := range a.Ticks {
		if i > 0 && tick.At <= a.Ticks[i-1].At || tick.Label == "" {
			t.Errorf("%v to %v: ticks %v", least, most, a.Ticks)
		}
	}
	if p := a.place(most); !(p >= 0 && p <= 1) && !math.IsNaN(most) {
		t.Errorf("%v lies at %v", most, p)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"250 µs": Duration(0.25), "20 ms": Duration(20), "1.5 s": Duration(1500), "15k": Plain(15_000),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Bars are as long as their values, names are escaped, and a legend stands where colours differ.
func TestBars(t *testing.T) {
	t.Parallel()
	plot := Plot{Title: "Speed", Note: "<bars>", X: LogAxis(1, 100, Plain), Bars: []Group{
		{"a&b", []Bar{{"then", "c1", 10, "ten"}, {"now", "c2", 100, "<b>"}}}, {"c", []Bar{{"now", "c2", 0.5, "less"}}}}}
	var b bytes.Buffer
	if err := (Page{Title: "test", Plots: []Plot{plot}}).Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`class="c1" x="0" y="5.00%" width="50.00%"`, `class="c2" x="0" y="25.00%" width="100.00%"`, `width="0.00%"`,
		"a&amp;b", "&lt;b&gt;", "&lt;bars&gt;", `<li class="c1">then</li><li class="c2">now</li>`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if keys := (Plot{Bars: plot.Bars[1:]}).Legend(); keys != nil {
		t.Errorf("a legend for one colour: %v", keys)
	}
}
