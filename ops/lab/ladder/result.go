package ladder

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"flickrkillr/ops/lab/bench"
)

// Result is the result of a ladder.
type Result struct {
	Began     time.Time `json:"began"`
	User      string    `json:"user"`
	PageBytes int       `json:"page_bytes"`
	Page      string    `json:"page_sha256"`
	Proxy     string    `json:"proxy"` // of 0.3 and 0.4
	Visitors  int       `json:"visitors"`
	Seconds   float64   `json:"seconds"` // for each measurement
	Rungs     []Rung    `json:"rungs"`
	Index     *Lesson   `json:"index,omitempty"`
	Versus    *Versus   `json:"versus,omitempty"`
}

// Rung is one version of the site, in 2007 and today.
type Rung struct {
	Version string  `json:"version"`
	What    string  `json:"what"`
	Wrong   string  `json:"wrong"`          // what is wrong with this picture
	Then    float64 `json:"then,omitempty"` // requests a second in 2007
	Today   Measure `json:"today"`
	Served  Served  `json:"served"`
}

// Served is what a rung served before it was measured.
type Served struct {
	Page  string `json:"page_sha256"`
	Files int    `json:"files"` // files and thumbnails, each with the right bytes
}

// Measure is one measurement. Times are of pages, in milliseconds; costs are microseconds of processor time per request
// of any kind.
type Measure struct {
	Requests float64 `json:"requests_per_second"`
	Pages    float64 `json:"pages_per_second"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Servers  float64 `json:"servers_micros"` // all but Postgres
	Postgres float64 `json:"postgres_micros"`
	Failed   int64   `json:"failed"`
	Failure  string  `json:"failure,omitempty"` // the first
}

// postgres is the name of the server that is counted separately.
const postgres = "postgres"

func measured(res *bench.Result) Measure {
	times := res.Kind("page").Times
	m := Measure{
		Requests: res.RequestsPerSecond, Pages: res.PagesPerSecond, P50: times.P50, P99: times.P99, Failed: res.Failed,
	}
	for _, s := range res.Servers {
		if s.Name == postgres {
			m.Postgres += s.PerRequest
		} else {
			m.Servers += s.PerRequest
		}
	}
	if len(res.Failures) > 0 {
		m.Failure = res.Failures[0].Kind + ": " + res.Failures[0].Example
	}
	return m
}

// WriteTable prints the result for a terminal.
func (r *Result) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(
		&b,
		"The page of %s (%d bytes) with its files and thumbnails; visitors: %d, each waiting for their page; %g s a rung.\n",
		r.User, r.PageBytes, r.Visitors, r.Seconds,
	)
	b.WriteString(
		"A request is one for a page, a file or a thumbnail; p50 and p99 are those of pages; µs are processor time a request.\n",
	)
	fmt.Fprintf(&b, "The proxy of 0.3 and 0.4 is %s.\n\n", r.Proxy)
	fmt.Fprintf(
		&b, "%-4s %-51s %9s %9s %8s %8s %8s %8s %8s %7s\n", "", "", "2007 r/s", "today r/s", "pages/s", "p50 ms",
		"p99 ms", "µs", "Postgres", "failed",
	)
	for _, g := range r.Rungs {
		then := "-"
		if g.Then > 0 {
			then = fmt.Sprintf("%.0f", g.Then)
		}
		fmt.Fprintf(&b, "%-4s %-51s %9s ", g.Version, g.What, then)
		g.Today.write(&b)
	}
	r.chart(&b)
	b.WriteString("\nWhat is wrong with this picture?\n")
	for _, g := range r.Rungs {
		fmt.Fprintf(&b, "%-4s %s\n", g.Version, g.Wrong)
		if g.Today.Failed > 0 {
			fmt.Fprintf(&b, "     %d answers failed, such as: %s\n", g.Today.Failed, g.Today.Failure)
		}
	}
	if l := r.Index; l != nil {
		b.WriteString("\nThe index on photos by user (0.2, pages alone)\n")
		for _, m := range []struct {
			name string
			Measure
		}{{"with it", l.With}, {"without", l.Without}} {
			fmt.Fprintf(&b, "%-4s %-51s %9s ", "", m.name, "")
			m.write(&b)
		}
	}
	if v := r.Versus; v != nil {
		fmt.Fprintf(&b, "\nOne thumbnail of %d bytes, µs      p50     p99\n", v.Bytes)
		fmt.Fprintf(
			&b, "  from a file in the page cache %7.1f %7.1f\n  from memcached                %7.1f %7.1f\n",
			v.File.P50, v.File.P99, v.Memcached.P50, v.Memcached.P99,
		)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (m Measure) write(b *bytes.Buffer) {
	fmt.Fprintf(
		b, "%9.0f %8.0f %8.1f %8.1f %8.0f %8.0f %7d\n", m.Requests, m.Pages, m.P50, m.P99, m.Servers, m.Postgres,
		m.Failed,
	)
}

// chart draws requests per second as bars on a logarithmic scale.
func (r *Result) chart(b *bytes.Buffer) {
	const width, least = 64, 10.0
	most := least
	for _, g := range r.Rungs {
		most = max(most, g.Then, g.Today.Requests)
	}
	bar := func(year string, value float64, mark string) {
		n := int(math.Round(width * math.Log(max(value, least)/least) / math.Log(most/least)))
		fmt.Fprintf(b, "%9s %s %.0f\n", year, strings.Repeat(mark, max(n, 1)), value)
	}
	b.WriteString("\nRequests a second, logarithmic\n")
	for _, g := range r.Rungs {
		year := "today"
		if g.Then > 0 {
			bar(g.Version+" 2007", g.Then, "░")
		} else {
			year = g.Version + " today"
		}
		bar(year, g.Today.Requests, "█")
	}
}
