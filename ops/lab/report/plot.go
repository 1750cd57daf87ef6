package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Plot is a chart of lines, or of horizontal bars. It is drawn as SVG whose curves scale with the page while its texts
// keep their size: the svg element is the plotting area, texts are placed in it by percentages, and the curves are in
// an inner svg of 1000 by 1000 units that fills it.
type Plot struct {
	Title string
	Note  string // what the axes are
	Lines []Line
	X, Y  Axis    // bars need no Y
	Bars  []Group // instead of lines
	Spans []Span  // shaded behind the lines
}

// Span is a part of the X axis.
type Span struct{ From, To float64 }

// Line is one curve. It is interrupted where Y is NaN.
type Line struct {
	Name  string
	Class string // its colour: c1, c2, c3 or c4
	X, Y  []float64
}

// Group is a named group of bars.
type Group struct {
	Name string
	Bars []Bar
}

// Bar is one bar, with its value written at its end.
type Bar struct {
	Name  string // of its colour, the same in each group
	Class string
	Value float64
	Label string
}

// Key is an entry of a legend.
type Key struct{ Name, Class string }

// Legend names the colours of a plot that has several.
func (p Plot) Legend() (keys []Key) {
	seen := map[string]bool{}
	add := func(k Key) {
		if !seen[k.Name] {
			keys = append(keys, k)
		}
		seen[k.Name] = true
	}
	for _, l := range p.Lines {
		add(Key{l.Name, l.Class})
	}
	for _, g := range p.Bars {
		for _, b := range g.Bars {
			add(Key{b.Name, b.Class})
		}
	}
	if len(keys) < 2 {
		return nil
	}
	return keys
}

// Axis maps values to the range from 0 to 1.
type Axis struct {
	From, To float64
	Log      bool
	Ticks    []Tick
}

// Tick is a labelled value of an axis.
type Tick struct {
	At    float64
	Label string
}

func (a Axis) place(value float64) float64 {
	from, to := a.From, a.To
	if a.Log {
		value, from, to = math.Log10(value), math.Log10(from), math.Log10(to)
	}
	return min(max((value-from)/(to-from), 0), 1)
}

// LinearAxis goes from 0 to a round number not below most, with about four ticks.
func LinearAxis(most float64, label func(float64) string) Axis {
	if !(most > 0) {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, times := range [...]float64{1, 2, 2.5, 5, 10} {
		if most/(step*times) <= 4 {
			step *= times
			break
		}
	}
	a := Axis{To: step * math.Ceil(most/step-1e-9)}
	for i := 0; float64(i)*step <= a.To+step/2; i++ {
		a.Ticks = append(a.Ticks, Tick{float64(i) * step, label(float64(i) * step)})
	}
	return a
}

// LogAxis holds all values from least to most. It begins and ends at 1, 2 or 5 times a power of ten, with a tick at
// each of these or, when there are many, at each power.
func LogAxis(least, most float64, label func(float64) string) Axis {
	if !(least > 0) || !(most >= least) {
		least, most = 1, 10
	}
	var all []float64
	for power := math.Floor(math.Log10(least)); len(all) == 0 || all[len(all)-1] < most || len(all) < 2; power++ {
		for _, times := range [...]float64{1, 2, 5} {
			value := times * math.Pow(10, power)
			for len(all) > 0 && all[0] < least && value <= least { // a tighter beginning
				all = all[1:]
			}
			if len(all) < 2 || all[len(all)-1] < most {
				all = append(all, value)
			}
		}
	}
	a := Axis{From: all[0], To: all[len(all)-1], Log: true}
	for _, value := range all {
		power := math.Log10(value)
		if len(all) <= 7 || math.Abs(power-math.Round(power)) < 1e-9 {
			a.Ticks = append(a.Ticks, Tick{value, label(value)})
		}
	}
	return a
}

// leastSpan keeps a moment visible, as a part of the width.
const leastSpan = .004

// SVG draws the plot.
func (p Plot) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" role="img" aria-label="%s">`, template.HTMLEscapeString(p.Title+": "+p.Note))
	for _, s := range p.Spans {
		x := p.X.place(s.From)
		width := max(p.X.place(s.To)-x, leastSpan)
		fmt.Fprintf(&b, `<rect class="span" x="%s" y="0" width="%s" height="100%%"/>`, percent(x), percent(width))
	}
	for _, t := range p.Y.Ticks {
		y := percent(1 - p.Y.place(t.At))
		fmt.Fprintf(&b, `<line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/>`, y, y)
		fmt.Fprintf(&b, `<text class="y" x="-8" y="%s" dy=".32em">%s</text>`, y, template.HTMLEscapeString(t.Label))
	}
	for _, t := range p.X.Ticks {
		x := percent(p.X.place(t.At))
		fmt.Fprintf(&b, `<line class="grid" x1="%s" x2="%s" y1="0" y2="100%%"/>`, x, x)
		fmt.Fprintf(&b, `<text class="x" x="%s" y="100%%" dy="1.5em">%s</text>`, x, template.HTMLEscapeString(t.Label))
	}
	p.bars(&b)
	b.WriteString(
		`<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">`,
	)
	for _, l := range p.Lines {
		fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, l.Class, p.path(l))
	}
	b.WriteString(`</svg></svg>`)
	return template.HTML(b.String()) // numbers, and texts that were escaped
}

// bars draws groups from top to bottom, each in an equal part of the height.
func (p Plot) bars(b *strings.Builder) {
	for i, g := range p.Bars {
		height := 1 / float64(len(p.Bars))
		top := float64(i) * height
		fmt.Fprintf(b, `<text class="y" x="-8" y="%s" dy=".32em">%s</text>`,
			percent(top+height/2), template.HTMLEscapeString(g.Name))
		thick := .8 * height / float64(len(g.Bars))
		for j, bar := range g.Bars {
			y := top + .1*height + float64(j)*thick
			width := percent(p.X.place(bar.Value))
			fmt.Fprintf(
				b, `<rect class="%s" x="0" y="%s" width="%s" height="%s"/>`, bar.Class, percent(y), width,
				percent(.9*thick),
			)
			fmt.Fprintf(b, `<text class="end" x="%s" y="%s" dx="4" dy=".32em">%s</text>`,
				width, percent(y+.45*thick), template.HTMLEscapeString(bar.Label))
		}
	}
}

func (p Plot) path(l Line) string {
	var b strings.Builder
	down := false // the pen
	for i := range l.X {
		if math.IsNaN(l.Y[i]) {
			down = false
			continue
		}
		x, y := 1000*p.X.place(l.X[i]), 1000*(1-p.Y.place(l.Y[i]))
		if down {
			fmt.Fprintf(&b, "L%.1f %.1f", x, y)
		} else {
			fmt.Fprintf(&b, "M%.1f %.1fh0", x, y) // by itself a dot
		}
		down = true
	}
	return b.String()
}

func percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 2, 64) + "%" }

// Plain formats a value as it is, and thousands as k.
func Plain(f float64) string {
	if f >= 10_000 {
		return strconv.FormatFloat(f/1000, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(f, 'g', 6, 64)
}

// Duration formats milliseconds.
func Duration(ms float64) string {
	switch {
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'g', 4, 64) + " s"
	case ms < 0.9999:
		return strconv.FormatFloat(ms*1000, 'g', 4, 64) + " µs"
	}
	return strconv.FormatFloat(ms, 'g', 4, 64) + " ms"
}
