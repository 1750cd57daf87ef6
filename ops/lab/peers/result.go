package peers

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"flickrkillr/ops/lab/bench"
)

// Result is the result of a comparison.
type Result struct {
	Page     string   `json:"page"`
	Bytes    int      `json:"bytes"` // as they are kept
	Gzip     bool     `json:"gzip"`  // kept compressed
	Visitors int      `json:"visitors"`
	Rounds   int      `json:"rounds"`
	Seconds  float64  `json:"seconds"` // of each server in each round
	Users    int      `json:"users"`   // whose pages are made anew
	Peers    []Peer   `json:"peers"`
	Targets  []Target `json:"targets"`
	Load     string   `json:"load_average,omitempty"` // of the machine at the end, over 1, 5 and 15 minutes
}

// Peer has the medians of all rounds of one server. Costs are microseconds of processor time per page, latencies
// milliseconds.
type Peer struct {
	Name     string  `json:"name"`
	Protocol string  `json:"protocol,omitempty"` // "": HTTP/1.1 without TLS, the only one
	Missing  string  `json:"missing,omitempty"`  // the program that is not installed
	Cold     bool    `json:"cold"`               // each page is made anew
	Bytes    int     `json:"bytes"`              // of its page, decompressed
	Servers  float64 `json:"servers_micros"`     // all server processes together
	Least    float64 `json:"least_micros"`       // of all rounds
	Most     float64 `json:"most_micros"`
	Postgres float64 `json:"postgres_micros"` // the part of it that is Postgres'
	Pages    float64 `json:"pages_per_second"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Stray    float64 `json:"stray"` // the part of the answers that came from another cache than was meant
	Failed   int64   `json:"failed"`
	Failure  string  `json:"failure,omitempty"` // the first
}

// Target is an upper limit of a ratio.
type Target struct {
	Protocol string  `json:"protocol,omitempty"`
	Of       string  `json:"of"`
	Against  string  `json:"against"`
	Most     float64 `json:"most"`
	Ratio    float64 `json:"ratio"` // 0: not known
	Alone    float64 `json:"alone"` // likewise, without Postgres' part
	Met      bool    `json:"met"`
}

// targets are those of the project, on two processors.
var targets = []Target{
	{Of: oursNear, Against: nginxMemcached, Most: 0.5},
	{Of: oursNear, Against: varnishCache, Most: 0.75},
	{Of: oursNear, Against: nginxFile, Most: 1},
	{Of: oursMemcached, Against: nginxMemcached, Most: 1},
	{Of: oursTogether, Against: plain, Most: 0.9},
	{Of: oursApart, Against: plainNginx, Most: 0.9},
}

// postgres is the name of the server whose part is shown.
const postgres = "postgres"

// result takes the medians of the first rounds.
func (r *run) result(rounds int) *Result {
	res := &Result{
		Page: r.cfg.Page.Path, Bytes: len(r.kept), Gzip: r.cfg.Gzip, Visitors: r.cfg.Visitors, Rounds: rounds,
		Seconds: r.cfg.Round.Seconds(), Users: len(r.cfg.Users),
	}
	for _, p := range r.peers {
		if !p.found {
			res.Peers = append(res.Peers, Peer{
				Name: p.name, Protocol: string(p.protocol), Missing: p.program, Cold: p.cold,
			})
			continue
		}
		res.Peers = append(res.Peers, p.summary(rounds))
	}
	against := targets
	if r.cfg.Protocols != nil {
		against, res.Load = protocolTargets, loadAverage()
	}
	res.compareTargets(against)
	return res
}

func (p *peer) summary(rounds int) Peer {
	s := Peer{Name: p.name, Protocol: string(p.protocol), Cold: p.cold, Bytes: p.bytes}
	var servers, ofPostgres, pages, p50, p99 []float64
	for _, r := range p.rounds[:min(rounds, len(p.rounds))] {
		servers, pages = append(servers, r.ServersPerRequest()), append(pages, r.PagesPerSecond)
		ofPostgres = append(ofPostgres, costOf(r.Servers, postgres))
		kind := r.Kind("page")
		if p.tier != "" && kind.Answers > 0 {
			s.Stray = max(s.Stray, 1-float64(kind.Tiers[p.tier])/float64(kind.Answers))
		}
		times := kind.Times
		p50, p99 = append(p50, times.P50), append(p99, times.P99)
		if s.Failed += r.Failed; len(r.Failures) > 0 && s.Failure == "" {
			s.Failure = r.Failures[0].Kind + ": " + r.Failures[0].Example
		}
	}
	if len(servers) > 0 {
		s.Least, s.Most = slices.Min(servers), slices.Max(servers)
	}
	s.Servers, s.Postgres, s.Pages = median(servers), median(ofPostgres), median(pages)
	s.P50, s.P99 = median(p50), median(p99)
	return s
}

func costOf(servers []bench.CPU, name string) float64 {
	for _, s := range servers {
		if s.Name == name {
			return s.PerRequest
		}
	}
	return 0
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// compareTargets compares the ratios with the targets.
func (res *Result) compareTargets(targets []Target) {
	costs := map[string]Peer{} // by protocol and name
	for _, p := range res.Peers {
		costs[p.Protocol+p.Name] = p
	}
	for _, t := range targets {
		a, b := costs[t.Protocol+t.Of], costs[t.Protocol+t.Against]
		if a.Servers > 0 && b.Servers > b.Postgres {
			t.Ratio, t.Alone = a.Servers/b.Servers, (a.Servers-a.Postgres)/(b.Servers-b.Postgres)
			t.Met = t.Ratio <= t.Most
		}
		res.Targets = append(res.Targets, t)
	}
}

// WriteTable prints the result for a terminal.
func (res *Result) WriteTable(w io.Writer) error {
	if len(res.Peers) > 0 && res.Peers[0].Protocol != "" {
		return res.writeProtocols(w)
	}
	var b bytes.Buffer
	form := map[bool]string{false: "not compressed", true: "compressed by gzip"}[res.Gzip]
	fmt.Fprintf(&b,
		"%s, %d bytes, %s; visitors on kept connections: %d; medians of rounds: %d, of %g s each, in turn.\n",
		res.Page, res.Bytes, form, res.Visitors, res.Rounds, res.Seconds)
	for _, part := range [...]struct {
		cold  bool
		title string
	}{{false, "The same page, cached"}, {true, fmt.Sprintf("Pages of %d users, made anew", res.Users)}} {
		fmt.Fprintf(
			&b, "\n%-36s %12s %15s %11s %9s %8s %8s %7s\n", part.title, "CPU µs/page", "least-most", "of it PG",
			"pages/s", "p50 ms", "p99 ms", "failed",
		)
		for _, p := range res.Peers {
			switch {
			case p.Cold != part.cold:
			case p.Missing != "":
				fmt.Fprintf(&b, "%-36s missing: %s is not installed\n", p.Name, p.Missing)
			default:
				fmt.Fprintf(
					&b, "%-36s %12.1f %15s %11.1f %9.0f %8.2f %8.2f %7d\n", p.Name, p.Servers,
					fmt.Sprintf("%.0f-%.0f", p.Least, p.Most), p.Postgres, p.Pages, p.P50, p.P99, p.Failed,
				)
			}
		}
	}
	fmt.Fprintf(&b, "\n%-36s %-30s %7s %7s %9s\n", "Ratios of processor time", "against", "target", "is", "but PG")
	for _, t := range res.Targets {
		if t.Ratio == 0 {
			fmt.Fprintf(&b, "%-36s %-30s %7.2f not known\n", t.Of, t.Against, t.Most)
			continue
		}
		fmt.Fprintf(
			&b, "%-36s %-30s %7.2f %7.2f %9.2f  %s\n", t.Of, t.Against, t.Most, t.Ratio, t.Alone,
			map[bool]string{true: "met", false: "missed"}[t.Met],
		)
	}
	res.writeNotes(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// writeNotes writes what makes figures doubtful.
func (res *Result) writeNotes(w io.Writer) {
	for _, p := range res.Peers {
		name := strings.TrimSpace(p.Name + " " + p.Protocol)
		if p.Stray > 0.01 {
			fmt.Fprintf(
				w, "Note: in a round of %s, %.1f%% of the answers came from another cache than intended.\n", name,
				100*p.Stray,
			)
		}
		if p.Failed > 0 {
			fmt.Fprintf(w, "Note: %s failed %d times, such as: %s\n", name, p.Failed, p.Failure)
		}
	}
}
