package ladder

import (
	"fmt"

	"flickrkillr/ops/lab/report"
)

// Report is the result as a page with plots.
func (r *Result) Report() report.Page {
	page := report.Page{
		Title: "the ladder of 2007",
		When:  r.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Summary: []string{
			fmt.Sprintf("The page of %s (%d bytes) with its files and thumbnails. %d visitors, each waiting for their page, %g s a step.",
				r.User, r.PageBytes, r.Visitors, r.Seconds),
			fmt.Sprintf("A request is one for a page, a file or a thumbnail. The proxy of 0.3 and 0.4 is %s. "+
				"The figures of 2007 are from the talk, on a machine of that year; everything else was measured here, load included.", r.Proxy),
		},
		Figures: r.figures(),
		Plots:   r.plots(),
		Tables:  r.tables(),
	}
	for _, g := range r.Rungs {
		if g.Today.Failed > 0 {
			page.Notes = append(
				page.Notes,
				fmt.Sprintf("%s: %d answers failed, such as: %s", g.Version, g.Today.Failed, g.Today.Failure),
			)
		}
	}
	return page
}

func (r *Result) figures() (all []report.Figure) {
	if len(r.Rungs) == 0 {
		return nil
	}
	first, last := r.Rungs[0], r.Rungs[len(r.Rungs)-1]
	all = append(
		all,
		report.Figure{Value: report.Plain(round(last.Today.Requests)), Label: last.Version + ", requests a second"},
	)
	if first.Today.Requests > 0 && len(r.Rungs) > 1 {
		all = append(all, report.Figure{Value: fmt.Sprintf("%.0f", last.Today.Requests/first.Today.Requests), Unit: "×",
			Label: "as many as " + first.Version + " today"})
	}
	return append(all, report.Figure{Value: cost(last.Today.Servers + last.Today.Postgres), Unit: "µs",
		Label: last.Version + ", processor time a request"})
}

func (r *Result) plots() []report.Plot {
	const least = 10.0
	most := least
	requests := report.Plot{Title: "Requests a second", Note: "logarithmic"}
	costs := report.Plot{Title: "Processor time a request", Note: "µs, logarithmic"}
	dearest := 1.0
	for _, g := range r.Rungs {
		speed, price := report.Group{Name: g.Version}, report.Group{Name: g.Version}
		if g.Then > 0 {
			speed.Bars = append(
				speed.Bars, report.Bar{Name: "2007", Class: "c2", Value: g.Then, Label: report.Plain(g.Then)},
			)
		}
		today := round(g.Today.Requests)
		speed.Bars = append(
			speed.Bars, report.Bar{Name: "today", Class: "c1", Value: max(today, least), Label: report.Plain(today)},
		)
		price.Bars = []report.Bar{
			{Name: "all but Postgres", Class: "c1", Value: max(g.Today.Servers, 1), Label: cost(g.Today.Servers)},
			{Name: "Postgres", Class: "c3", Value: max(g.Today.Postgres, 1), Label: cost(g.Today.Postgres)},
		}
		most, dearest = max(most, g.Then, today), max(dearest, g.Today.Servers, g.Today.Postgres)
		requests.Bars, costs.Bars = append(requests.Bars, speed), append(costs.Bars, price)
	}
	requests.X, costs.X = report.LogAxis(least, most, report.Plain), report.LogAxis(1, dearest, report.Plain)
	all := []report.Plot{requests, costs}
	if l := r.Index; l != nil {
		with, without := round(l.With.Pages), round(l.Without.Pages)
		all = append(all, report.Plot{Title: "The index on photos by user", Note: "0.2, pages a second",
			X: report.LinearAxis(max(with, without), report.Plain),
			Bars: []report.Group{
				{
					Name: "with",
					Bars: []report.Bar{{Name: "pages", Class: "c1", Value: with, Label: report.Plain(with)}},
				},
				{
					Name: "without",
					Bars: []report.Bar{{Name: "pages", Class: "c1", Value: without, Label: report.Plain(without)}},
				},
			}})
	}
	if v := r.Versus; v != nil {
		group := func(name string, s Spread) report.Group {
			return report.Group{Name: name, Bars: []report.Bar{
				{Name: "median", Class: "c1", Value: s.P50, Label: cost(s.P50)},
				{Name: "99th percentile", Class: "c4", Value: s.P99, Label: cost(s.P99)},
			}}
		}
		all = append(all, report.Plot{Title: "One thumbnail", Note: fmt.Sprintf("%d bytes, µs", v.Bytes),
			X:    report.LinearAxis(max(v.File.P99, v.Memcached.P99), report.Plain),
			Bars: []report.Group{group("file", v.File), group("memcached", v.Memcached)}})
	}
	return all
}

func (r *Result) tables() []report.Table {
	measured := report.Table{
		Title: "Version",
		Heads: []string{
			"2007, requests/s", "today", "pages/s", "p50, ms", "p99, ms", "µs/request", "Postgres", "failed",
		},
	}
	wrong := report.Table{Title: "What is wrong with this picture?", Heads: []string{"what is wrong"}, TextLast: true}
	for _, g := range r.Rungs {
		then, m := "", g.Today
		if g.Then > 0 {
			then = report.Plain(g.Then)
		}
		measured.Rows = append(measured.Rows, []string{g.Version, then, report.Plain(round(m.Requests)),
			report.Plain(round(m.Pages)),
			fmt.Sprintf("%.1f", m.P50), fmt.Sprintf("%.1f", m.P99), cost(m.Servers), cost(m.Postgres),
			fmt.Sprint(m.Failed)})
		wrong.Rows = append(wrong.Rows, []string{g.Version + ", " + g.What, g.Wrong})
	}
	return []report.Table{measured, wrong}
}

func round(f float64) float64 { return float64(int64(f + .5)) }

// cost formats microseconds, with a decimal where it matters.
func cost(us float64) string {
	if us < 10 {
		return fmt.Sprintf("%.1f", us)
	}
	return fmt.Sprintf("%.0f", us)
}
