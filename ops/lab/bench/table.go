package bench

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// tierOrder is the order of the columns; what X-Cache says besides comes behind.
var tierOrder = []string{"near", "memcached", "render", "stale", "none"}

// section is a part of the result with the names of its columns. The first column is a name, the others are numbers.
type section struct {
	title string
	heads []string
	rows  [][]string
}

// sections are the tables of both the text and the report.
func (res *Result) sections() []section {
	all := []section{res.latencies()}
	if caches := res.caches(); len(caches.rows) > 0 {
		all = append(all, caches)
	}
	if len(res.Parts) > 0 {
		all = append(all, res.partsSection())
	}
	return append(all, res.processors())
}

// partsSection compares parts of the answers: visitors of two kinds, or two times.
func (res *Result) partsSection() section {
	s := section{title: "Pages of a part, ms", heads: []string{
		"visitors", "requests", "failed", "pages", "from a cache", "average", "p50", "p95", "p99", "max",
	}}
	for _, p := range res.Parts {
		visitors, t := "", p.Times
		if p.Visitors > 0 {
			visitors = number(int64(p.Visitors))
		}
		s.rows = append(s.rows, []string{
			p.Name, visitors, number(p.Requests), number(p.Failed), number(p.Pages),
			fmt.Sprintf("%.1f%%", 100*p.HitRate()), short(t.Average), short(t.P50), short(t.P95), short(t.P99),
			short(t.Max),
		})
	}
	return s
}

func (res *Result) latencies() section {
	s := section{
		title: "Latency, ms", heads: []string{"answers", "average", "p50", "p95", "p99", "p99.9", "max", "bytes"},
	}
	for _, k := range res.Kinds {
		bytes := ""
		if k.Name != KindLoad {
			bytes = size(k.Bytes)
		}
		t := k.Times
		s.rows = append(
			s.rows,
			[]string{
				k.Name, number(k.Answers), short(t.Average), short(t.P50), short(t.P95), short(t.P99), short(t.P999),
				short(t.Max), bytes,
			},
		)
	}
	return s
}

func (res *Result) caches() section {
	s := section{title: "Answered by"}
	for _, k := range res.Kinds {
		for tier := range k.Tiers {
			if !slices.Contains(s.heads, tier) {
				s.heads = append(s.heads, tier)
			}
		}
	}
	rank := func(tier string) int {
		if i := slices.Index(tierOrder, tier); i >= 0 {
			return i
		}
		return len(tierOrder)
	}
	slices.Sort(s.heads)
	slices.SortStableFunc(s.heads, func(a, b string) int { return rank(a) - rank(b) })
	for _, k := range res.Kinds {
		if len(k.Tiers) == 0 {
			continue
		}
		row := []string{k.Name}
		for _, tier := range s.heads {
			row = append(row, fmt.Sprintf("%.1f%%", 100*float64(k.Tiers[tier])/float64(k.Answers)))
		}
		s.rows = append(s.rows, row)
	}
	return s
}

func (res *Result) processors() section {
	s := section{title: "Processor time", heads: []string{"processes", "seconds", "µs/request", "µs/page"}}
	add := func(c CPU) {
		s.rows = append(
			s.rows,
			[]string{c.Name, number(int64(c.Processes)), short(c.Seconds), short(c.PerRequest), short(c.PerPage)},
		)
	}
	all := CPU{Name: "all servers"}
	for _, c := range res.Servers {
		add(c)
		all.Processes += c.Processes
		all.Seconds += c.Seconds
		all.PerRequest += c.PerRequest
		all.PerPage += c.PerPage
	}
	if len(res.Servers) > 1 {
		add(all)
	}
	add(res.Generator)
	return s
}

// WriteTable prints the result for a terminal.
func (res *Result) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	for _, line := range res.Summary() {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "\n%s pages/s, %s requests/s: %s pages, %s requests, %s\n", short(res.PagesPerSecond),
		short(res.RequestsPerSecond),
		number(res.Pages), number(res.Requests), size(res.Bytes))
	for _, s := range res.sections() {
		fmt.Fprintln(&b)
		s.write(&b)
	}
	fmt.Fprintf(&b, "\nFailures  %s\n", number(res.Failed))
	for _, f := range res.Failures {
		fmt.Fprintf(&b, "  %s  %s, such as: %s\n", number(f.Count), f.Kind, f.Example)
	}
	for _, line := range res.Warnings() {
		fmt.Fprintln(&b, "Note:", line)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// write aligns the columns: names left, numbers right.
func (s section) write(b *bytes.Buffer) {
	all := append([][]string{append([]string{s.title}, s.heads...)}, s.rows...)
	widths := make([]int, len(all[0]))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range all {
		fmt.Fprintf(b, "%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
}
