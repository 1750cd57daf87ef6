package chaos

import (
	"fmt"

	"flickrkillr/ops/lab/report"
)

// Report is the result as a page with each row's timeline.
func (res *Result) Report() report.Page {
	page := report.Page{Title: "chaos", When: res.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Summary: []string{res.summary(), res.total()}, Foot: "The shaded times are those of faults."}
	table := report.Table{Title: "Rows", TextLast: true,
		Heads: []string{"requests", "bad", "stale", "refused", "p50, ms", "p99, ms", "p99.9, ms", "max, ms", "target"}}
	for i := range res.Rows {
		o := &res.Rows[i]
		if o.Err != "" {
			page.Notes = append(page.Notes, o.title()+": "+o.Err)
		}
		if w := o.Writes; w != nil {
			table.Rows = append(table.Rows, []string{o.title(), fmt.Sprint(w.Answers), fmt.Sprint(w.False), "", "", "",
				"", "", "", fmt.Sprintf("%s: %d writes, %d kills", o.verdict(), w.Acknowledged, len(o.Faults))})
		}
		for j := range o.Loads {
			s := &o.Loads[j]
			verdict := o.verdict()
			if missed := o.missed(s.Load); missed != "" {
				verdict += ": " + missed
			}
			table.Rows = append(table.Rows, []string{
				prefix(s.Load) + o.title(), fmt.Sprint(s.Requests), fmt.Sprint(s.Bad), fmt.Sprint(s.Stale),
				fmt.Sprint(s.Refused.Count), number(s.Times.P50), number(s.Times.P99), number(s.Times.P999),
				number(s.Times.Max), verdict,
			})
			page.Plots = append(page.Plots, o.plot(s, res.Duration))
		}
	}
	rows, met, controls, missed := res.totals()
	page.Figures = []report.Figure{{Value: fmt.Sprintf("%d of %d", met, rows), Label: "rows met their targets"}}
	if controls > 0 {
		page.Figures = append(page.Figures, report.Figure{Value: fmt.Sprintf("%d of %d", missed, controls),
			Label: "controls missed theirs, as they should"})
	}
	page.Tables = []report.Table{table}
	return page
}

func number(ms float64) string { return fmt.Sprintf("%.1f", ms) }

// plot is the timeline of a load: answers and bad ones per second.
func (o *Outcome) plot(s *Seen, whole float64) report.Plot {
	answers := report.Line{Name: "answers", Class: "c1"}
	bad := report.Line{Name: "bad", Class: "c4"}
	stale := report.Line{Name: "stale", Class: "c3"}
	refused := report.Line{Name: "503 that says when to retry", Class: "c2"}
	most := 1.0
	for _, p := range perSecond(s.Series) {
		most = max(most, p.Pages)
		for _, at := range []struct {
			line  *report.Line
			value float64
		}{{&answers, p.Pages}, {&bad, float64(p.Failed)}, {&stale, float64(p.Stale)}, {&refused, float64(p.Refused)}} {
			at.line.X, at.line.Y = append(at.line.X, p.At+.5), append(at.line.Y, at.value)
		}
	}
	x := report.LinearAxis(whole, func(s float64) string { return report.Plain(s) + " s" })
	plot := report.Plot{Title: prefix(s.Load) + o.title(), Note: "answers per second; " + o.verdict(),
		X: x, Y: report.LinearAxis(most, report.Plain), Lines: []report.Line{answers, stale, bad}}
	if s.Refused.Count > 0 {
		plot.Lines = append(plot.Lines, refused)
	}
	for _, f := range o.Faults {
		plot.Spans = append(plot.Spans, report.Span{From: f.Began, To: f.Ended})
	}
	return plot
}
