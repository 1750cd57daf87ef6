package bench

import (
	"fmt"
	"math"

	"flickrkillr/ops/lab/report"
)

// Report is the result as a page with plots.
func (res *Result) Report() report.Page {
	page := report.Page{Title: "benchmark", When: res.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Summary: res.Summary(),
		Figures: res.figures(), Notes: res.Warnings(), Plots: res.plots(),
		Foot: fmt.Sprintf("%s visits begun, %s connections opened, %s requests repeated on a new one.",
			number(res.Visits), number(res.Connections), number(res.Repeated))}
	for _, s := range res.sections() {
		page.Tables = append(page.Tables, report.Table{Title: s.title, Heads: s.heads, Rows: s.rows})
	}
	if len(res.Failures) > 0 {
		failures := report.Table{Title: "Failures", Heads: []string{"count", "the first of them"}, TextLast: true}
		for _, f := range res.Failures {
			failures.Rows = append(failures.Rows, []string{f.Kind, number(f.Count), f.Example})
		}
		page.Tables = append(page.Tables, failures)
	}
	return page
}

func (res *Result) figures() []report.Figure {
	page := res.Kind(classNames[classPage]).Times
	all := []report.Figure{{Value: short(res.PagesPerSecond), Label: "pages a second"}}
	if !res.Setup.PagesOnly {
		all = append(all, report.Figure{Value: short(res.RequestsPerSecond), Label: "requests a second"})
	}
	all = append(all,
		report.Figure{Value: short(page.P50), Unit: "ms", Label: "page, median"},
		report.Figure{Value: short(page.P99), Unit: "ms", Label: "page, 99th percentile"})
	if len(res.Servers) > 0 {
		cost := short(res.ServersPerRequest())
		all = append(all, report.Figure{Value: cost, Unit: "µs", Label: "servers’ processor time a request"})
	}
	return append(all, report.Figure{Value: number(res.Failed), Label: "failures"})
}

// plots are throughput and latency over time, and the distribution of latencies.
func (res *Result) plots() []report.Plot {
	if len(res.Series) == 0 {
		return nil
	}
	var at, pages, requests, p50, p99 []float64
	for _, p := range res.Series {
		at, pages, requests = append(at, p.At), append(pages, p.Pages), append(requests, p.Requests)
		p50, p99 = append(p50, positive(p.P50)), append(p99, positive(p.P99))
	}
	end := res.Series[len(res.Series)-1].At
	time := report.LinearAxis(end, func(s float64) string { return report.Plain(s) + " s" })
	time.To = end // the time ends where it ends, give or take a moment
	for len(time.Ticks) > 0 && time.Ticks[len(time.Ticks)-1].At > 1.01*end {
		time.Ticks = time.Ticks[:len(time.Ticks)-1]
	}
	all := []report.Plot{{
		Title: "Pages a second", Note: "done in each part of the time",
		X: time, Y: report.LinearAxis(most(pages), report.Plain),
		Lines: []report.Line{{Name: "pages", Class: "c1", X: at, Y: pages}},
	}}
	if !res.Setup.PagesOnly {
		all = append(all, report.Plot{
			Title: "Requests a second", Note: "pages, files and pictures",
			X: time, Y: report.LinearAxis(most(requests), report.Plain),
			Lines: []report.Line{{Name: "requests", Class: "c2", X: at, Y: requests}},
		})
	}
	all = append(all, report.Plot{
		Title: "Latency of pages", Note: "of those done in each part of the time; logarithmic",
		X: time, Y: report.LogAxis(least(p50, p99), most(p99), report.Duration),
		Lines: []report.Line{
			{Name: "median", Class: "c1", X: at, Y: p50},
			{Name: "99th percentile", Class: "c4", X: at, Y: p99},
		},
	})
	return append(all, res.distributionPlot())
}

// nines are the ticks of a distribution: one in so many answers is slower.
var nines = []report.Tick{
	{At: 2, Label: "50%"}, {At: 10, Label: "90%"}, {At: 100, Label: "99%"}, {At: 1e3, Label: "99.9%"},
	{At: 1e4, Label: "99.99%"}, {At: 1e5, Label: "99.999%"}, {At: 1e6, Label: "99.9999%"},
}

// distributionPlot shows the slowest answers: each step to the right is one more nine.
func (res *Result) distributionPlot() report.Plot {
	p := report.Plot{
		Title: "Distribution of latencies",
		Note:  "the part of answers that were not slower; both axes logarithmic",
	}
	colour := map[string]string{
		classNames[classPage]: "c1", classNames[classStatic]: "c3", classNames[classPicture]: "c2", KindLoad: "c4",
	}
	var all []float64
	deepest := 10.0
	for _, k := range res.Kinds {
		l := report.Line{Name: k.Name, Class: colour[k.Name]}
		for _, q := range k.Distribution {
			l.X, l.Y = append(l.X, q.OneIn), append(l.Y, positive(q.Millis))
			deepest = max(deepest, q.OneIn)
		}
		p.Lines = append(p.Lines, l)
		all = append(all, l.Y...)
	}
	p.X = report.Axis{From: 1, To: deepest, Log: true}
	for _, t := range nines {
		if t.At <= deepest {
			p.X.Ticks = append(p.X.Ticks, t)
		}
	}
	p.Y = report.LogAxis(least(all), most(all), report.Duration)
	return p
}

// positive is a value of a logarithmic axis; NaN if it was not measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

func most(values []float64) float64 {
	m := 0.0
	for _, v := range values {
		if v > m {
			m = v
		}
	}
	return m
}

func least(lists ...[]float64) float64 {
	m := math.Inf(1)
	for _, values := range lists {
		for _, v := range values {
			if v < m {
				m = v
			}
		}
	}
	return m
}
