package bench

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
)

//go:embed report.html
var reportPage string

//go:embed report.css
var reportStyle string

// figure is one of the few numbers at the head of the report.
type figure struct{ Value, Unit, Label string }

// report is what report.html shows.
type report struct {
	*Result
	Policy  string // Content-Security-Policy: nothing but this very style sheet
	Style   template.CSS
	Figures []figure
	Plots   []plot
	Tables  []reportTable
	When    string
}

type reportTable struct {
	Title string
	Heads []string
	Rows  [][]string
}

// WriteReport writes the result as a page with plots that needs nothing else: no script, no picture, no font, nobody's server.
func (res *Result) WriteReport(w io.Writer) error {
	page, err := template.New("report").Funcs(template.FuncMap{"number": number}).Parse(reportPage)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	hash := sha256.Sum256([]byte(reportStyle))
	r := report{Result: res, Style: template.CSS(reportStyle), Figures: res.figures(), Plots: res.plots(), When: res.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"}
	for _, s := range res.sections() {
		r.Tables = append(r.Tables, reportTable{s.title, s.heads, s.rows})
	}
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

func (res *Result) figures() []figure {
	page := res.Kind(classNames[classPage]).Times
	all := []figure{{short(res.PagesPerSecond), "", "pages a second"}}
	if !res.Setup.PagesOnly {
		all = append(all, figure{short(res.RequestsPerSecond), "", "requests a second"})
	}
	all = append(all, figure{short(page.P50), "ms", "page, median"}, figure{short(page.P99), "ms", "page, 99th percentile"})
	if len(res.Servers) > 0 {
		all = append(all, figure{short(res.ServersPerRequest()), "µs", "servers’ processor time a request"})
	}
	return append(all, figure{number(res.Failed), "", "failures"})
}

// plots are throughput and latency over time, and the distribution of latencies.
func (res *Result) plots() []plot {
	if len(res.Series) == 0 {
		return nil
	}
	var at, pages, requests, p50, p99 []float64
	for _, p := range res.Series {
		at, pages, requests = append(at, p.At), append(pages, p.Pages), append(requests, p.Requests)
		p50, p99 = append(p50, positive(p.P50)), append(p99, positive(p.P99))
	}
	time := linearAxis(res.Series[len(res.Series)-1].At, func(s float64) string { return plain(s) + " s" })
	time.to = res.Series[len(res.Series)-1].At // the time ends where it ends, give or take a moment
	for len(time.ticks) > 0 && time.ticks[len(time.ticks)-1].at > 1.01*time.to {
		time.ticks = time.ticks[:len(time.ticks)-1]
	}
	all := []plot{{Title: "Pages a second", Note: "done in each part of the time", x: time, y: linearAxis(most(pages), plain), Lines: []line{{"pages", "c1", at, pages}}}}
	if !res.Setup.PagesOnly {
		all = append(all, plot{Title: "Requests a second", Note: "pages, files and pictures", x: time, y: linearAxis(most(requests), plain), Lines: []line{{"requests", "c2", at, requests}}})
	}
	all = append(all, plot{Title: "Latency of pages", Note: "of those done in each part of the time; logarithmic", x: time, y: logAxis(least(p50, p99), most(p99), duration),
		Lines: []line{{"median", "c1", at, p50}, {"99th percentile", "c4", at, p99}}})
	return append(all, res.distributionPlot())
}

// distributionPlot shows how slow the slowest are: each step to the right is one more nine.
func (res *Result) distributionPlot() plot {
	p := plot{Title: "Distribution of latencies", Note: "the part of answers that were not slower; both axes logarithmic"}
	colour := map[string]string{classNames[classPage]: "c1", classNames[classStatic]: "c3", classNames[classPicture]: "c2", KindLoad: "c4"}
	var all []float64
	deepest := 10.0
	for _, k := range res.Kinds {
		l := line{Name: k.Name, Class: colour[k.Name]}
		for _, q := range k.Distribution {
			l.x, l.y = append(l.x, q.OneIn), append(l.y, positive(q.Millis))
			deepest = max(deepest, q.OneIn)
		}
		p.Lines = append(p.Lines, l)
		all = append(all, l.y...)
	}
	p.x = axis{from: 1, to: deepest, log: true}
	for _, t := range [...]tick{{2, "50%"}, {10, "90%"}, {100, "99%"}, {1e3, "99.9%"}, {1e4, "99.99%"}, {1e5, "99.999%"}, {1e6, "99.9999%"}} {
		if t.at <= deepest {
			p.x.ticks = append(p.x.ticks, t)
		}
	}
	p.y = logAxis(least(all), most(all), duration)
	return p
}

// positive is a value of a logarithmic axis; what was not measured has none.
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
