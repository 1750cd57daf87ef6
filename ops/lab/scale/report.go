package scale

import (
	"fmt"

	"flickrkillr/ops/lab/report"
)

// Report is the result as a page with a plot.
func (res *Result) Report() report.Page {
	page := report.Page{
		Title: "more renderers",
		When:  res.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Summary: []string{fmt.Sprintf(
			"Album pages from an edge without an in-process cache. Each query takes %g ms longer than usual. "+
				"Renderers join while visitors request pages.",
			res.Delay,
		)},
	}
	table := report.Table{
		Title: "Renderers", Heads: []string{"pages/s", "part of linear", "p50, ms", "p99, ms", "failed"},
	}
	measured := report.Line{Name: "measured", Class: "c1"}
	linear := report.Line{Name: "linear", Class: "c2"}
	for _, s := range res.Steps {
		n, first := float64(s.Renderers), res.Steps[0]
		measured.X, measured.Y = append(measured.X, n), append(measured.Y, s.Pages)
		linear.X, linear.Y = append(linear.X, n), append(linear.Y, first.Pages*n/float64(first.Renderers))
		table.Rows = append(table.Rows, []string{fmt.Sprint(s.Renderers), fmt.Sprintf("%.0f", s.Pages),
			fmt.Sprintf("%.2f", s.Linear),
			fmt.Sprintf("%.1f", s.P50), fmt.Sprintf("%.1f", s.P99), fmt.Sprint(s.Failed)})
		if s.Failed > 0 {
			page.Notes = append(
				page.Notes,
				fmt.Sprintf("With %d renderers %d answers failed, such as: %s", s.Renderers, s.Failed, s.Failure),
			)
		}
	}
	page.Tables = []report.Table{table}
	if n := len(res.Steps); n > 0 {
		last := res.Steps[n-1]
		page.Figures = []report.Figure{
			{
				Value: fmt.Sprintf("%.0f", last.Pages),
				Label: fmt.Sprintf("pages a second, %d renderers", last.Renderers),
			},
			{Value: fmt.Sprintf("%.2f", last.Linear), Label: "part of linear"},
		}
		page.Plots = []report.Plot{{
			Title: "Pages a second", Note: "by the number of renderers",
			X:     report.LinearAxis(float64(last.Renderers), report.Plain),
			Y:     report.LinearAxis(max(last.Pages, linear.Y[n-1]), report.Plain),
			Lines: []report.Line{measured, linear},
		}}
	}
	return page
}
