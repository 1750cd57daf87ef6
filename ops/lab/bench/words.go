package bench

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Summary describes the run in a few sentences, for the head of a table or report.
func (res *Result) Summary() []string {
	s := res.Setup
	what := "pages with what they need (" + s.Protocol + ")"
	if s.PagesOnly {
		what = "pages alone (" + s.Protocol + ")"
	}
	how := fmt.Sprintf("%s visitors, each waiting for their page (closed loop)", number(int64(s.Visitors)))
	if s.Think > 0 {
		how += fmt.Sprintf(" and thinking for %gs", s.Think)
	}
	if s.Loop == "open" {
		spacing := "at random (Poisson)"
		if s.Even {
			spacing = "evenly spaced"
		}
		how = fmt.Sprintf("%g pages begun a second, %s, at most %s at once (open loop; latency counts from when a page should have begun)",
			s.Rate, spacing, number(int64(s.Visitors)))
	}
	lines := []string{
		fmt.Sprintf(
			"%s for %.1f s after %g s of warming up: %s, %s.", strings.Join(s.Edges, ", "), res.Seconds, s.Warmup, what,
			how,
		),
		fmt.Sprintf("Visits of up to %d pages begin at one of %s by a Zipf law with exponent %g, seed %d; %s.",
			s.VisitPages, number(int64(s.Pages)), s.Exponent, s.Seed,
			map[bool]string{
				true: "connections are kept between visits", false: "each visit opens its own connections",
			}[s.KeepConns]),
	}
	if s.SignedIn > 0 {
		lines = append(lines, fmt.Sprintf("%g%% of the visitors are signed in.", s.SignedIn))
	}
	if c := res.Comparison; c != nil {
		lines = append(lines, fmt.Sprintf("They and the others take turns of %g s. A request of theirs costs %s µs of "+
			"the servers' processor time, one of the others %s: %.3f times as much, the median of %d pairs of turns, "+
			"half of which are between %.3f and %.3f.", s.Turns, short(c.SignedIn), short(c.Anonymous), c.Ratio,
			c.Pairs, c.Least, c.Most))
	}
	if storm := res.Storm; storm != nil {
		lines = append(lines, fmt.Sprintf("In the middle %s: %s in %.1f s, p50 %s ms, p99 %s ms.", storm.What,
			outcomes(storm.Outcomes), storm.Seconds, short(storm.Times.P50), short(storm.Times.P99)))
	}
	if !s.PagesOnly {
		lines = append(
			lines,
			fmt.Sprintf(
				"A window of %d by %d at density %g; lazy pictures in the first %g screens are fetched.",
				s.Viewport.Width, s.Viewport.Height, s.Viewport.Density, s.Screens,
			),
		)
	}
	return lines
}

// outcomes lists counts by what they count.
func outcomes(counts map[string]int64) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, number(counts[what])+" "+what)
	}
	return strings.Join(all, ", ")
}

// Warnings are reasons to distrust the figures.
func (res *Result) Warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if res.Interrupted {
		warn("Interrupted after %.1f s; %s requests under way were cut.", res.Seconds, number(res.Cut))
	} else if res.Cut > 0 {
		warn("%s requests were still under way one time limit after the end, and were cut.", number(res.Cut))
	}
	if res.Failed > 0 {
		warn(
			"%s of %s answers were wrong or missing: latencies are those of the others.", number(res.Failed),
			number(res.Requests),
		)
	}
	if a := res.Arrivals; a != nil {
		if a.Dropped > 0 {
			warn(
				"%s pages never began, since ten seconds' worth of others were waiting: the rate is more than was served, and the latencies flatter.",
				number(a.Dropped),
			)
		}
		if a.Late > 0 {
			warn(
				"%s pages began more than 10 ms late because the generator could not keep up (the worst %.0f ms); their latency includes that.",
				number(a.Late), a.Worst,
			)
		}
		if a.Waited > 0 {
			warn(
				"%s pages waited more than 10 ms for one of %s visitors to be free (the worst %.0f ms); their latency includes that.",
				number(a.Waited), number(int64(res.Setup.Visitors)), a.Worst,
			)
		}
	}
	if res.CPUUnknown != "" {
		warn("Processor time is not known: %s.", res.CPUUnknown)
	} else if len(res.Servers) == 0 {
		warn("Processor time of the servers is not known: no process of theirs was named or found.")
	}
	return all
}

// number formats 1234567 as 1,234,567.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size formats bytes in the largest fitting unit.
func size(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// short formats a figure with about three digits.
func short(f float64) string {
	switch {
	case f >= 1000:
		return number(int64(f + 0.5))
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
