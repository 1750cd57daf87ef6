package bench

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// plot is a chart of lines. It is drawn as SVG whose curves stretch with the page while its texts keep their size: the svg element is the
// plotting area itself, texts lie in it by percentages, and the curves are in an inner svg of 1000 by 1000 that fills it.
type plot struct {
	Title string
	Note  string // what the axes are
	Lines []line
	x, y  axis
}

// line is one curve. Where y is not a number, it is broken.
type line struct {
	Name  string
	Class string // gives its colour
	x, y  []float64
}

// axis maps values to the range from 0 to 1.
type axis struct {
	from, to float64
	log      bool
	ticks    []tick
}

type tick struct {
	at    float64 // a value
	label string
}

func (a axis) place(value float64) float64 {
	from, to := a.from, a.to
	if a.log {
		value, from, to = math.Log10(value), math.Log10(from), math.Log10(to)
	}
	return min(max((value-from)/(to-from), 0), 1)
}

// linearAxis begins at 0 and ends at a round number not below most, with a tick at about each fourth.
func linearAxis(most float64, label func(float64) string) axis {
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
	a := axis{to: step * math.Ceil(most/step-1e-9)}
	for i := 0; float64(i)*step <= a.to+step/2; i++ {
		a.ticks = append(a.ticks, tick{float64(i) * step, label(float64(i) * step)})
	}
	return a
}

// logAxis holds all values from least to most, between 1, 2 or 5 times a power of ten, with a tick at each of these or, when there are many,
// at each power.
func logAxis(least, most float64, label func(float64) string) axis {
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
	a := axis{from: all[0], to: all[len(all)-1], log: true}
	for _, value := range all {
		power := math.Log10(value)
		if len(all) <= 7 || math.Abs(power-math.Round(power)) < 1e-9 {
			a.ticks = append(a.ticks, tick{value, label(value)})
		}
	}
	return a
}

// SVG draws the plot.
func (p plot) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" role="img" aria-label="%s">`, template.HTMLEscapeString(p.Title+": "+p.Note))
	for _, t := range p.y.ticks {
		y := percent(1 - p.y.place(t.at))
		fmt.Fprintf(&b, `<line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/><text class="y" x="-8" y="%s" dy=".32em">%s</text>`, y, y, y, template.HTMLEscapeString(t.label))
	}
	for _, t := range p.x.ticks {
		x := percent(p.x.place(t.at))
		fmt.Fprintf(&b, `<line class="grid" x1="%s" x2="%s" y1="0" y2="100%%"/><text class="x" x="%s" y="100%%" dy="1.5em">%s</text>`, x, x, x, template.HTMLEscapeString(t.label))
	}
	b.WriteString(`<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">`)
	for _, l := range p.Lines {
		fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, l.Class, p.path(l))
	}
	b.WriteString(`</svg></svg>`)
	return template.HTML(b.String()) // numbers, and texts that were escaped
}

func (p plot) path(l line) string {
	var b strings.Builder
	down := false // the pen
	for i := range l.x {
		if math.IsNaN(l.y[i]) {
			down = false
			continue
		}
		x, y := 1000*p.x.place(l.x[i]), 1000*(1-p.y.place(l.y[i]))
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

// plain labels a value as it is, and thousands as k.
func plain(f float64) string {
	if f >= 10_000 {
		return strconv.FormatFloat(f/1000, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(f, 'g', 6, 64)
}

// duration labels milliseconds.
func duration(ms float64) string {
	switch {
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'g', 4, 64) + " s"
	case ms < 0.9999:
		return strconv.FormatFloat(ms*1000, 'g', 4, 64) + " µs"
	}
	return strconv.FormatFloat(ms, 'g', 4, 64) + " ms"
}
