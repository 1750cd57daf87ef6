package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Check is one figure and its target.
type Check struct {
	Load   string `json:"load,omitempty"`
	What   string `json:"what"`
	Target string `json:"target"`
	Seen   string `json:"seen"`
	Met    bool   `json:"met"`
}

// The checks that do not depend on how busy the machine is.
const (
	CheckFaults = "faults"
	CheckBad    = "bad answers"
)

// compare compares what was seen with the targets of a row.
func (o *Outcome) compare(row Row) {
	o.Met = o.Err == "" && len(o.Loads) == len(row.Loads)
	check := func(c Check) {
		o.Checks = append(o.Checks, c)
		o.Met = o.Met && c.Met
	}
	if row.Fault.Inject != nil {
		injected := len(o.Faults) > 0 && len(o.Faults) >= row.Fault.Turns
		for _, f := range o.Faults {
			injected = injected && f.Err == ""
		}
		check(Check{What: CheckFaults, Target: "injected and undone", Seen: fmt.Sprint(len(o.Faults)), Met: injected})
		if !injected {
			o.cannotTell("the fault was not injected, or not undone")
		}
	}
	if row.Ready > 0 && len(o.Faults) > 0 {
		worst := 0.
		for _, f := range o.Faults {
			worst = max(worst, f.Ready-f.Ended)
		}
		check(Check{What: "all as before after", Target: "at most " + row.Ready.String(), Seen: millis(1000 * worst),
			Met: worst <= row.Ready.Seconds()})
	}
	if row.Pause > 0 && len(o.Faults) > 0 {
		worst := 0.
		for _, f := range o.Faults {
			worst = max(worst, f.Pause)
		}
		check(Check{What: "without an acknowledged write", Target: "at most " + row.Pause.String(),
			Seen: millis(1000 * worst), Met: worst <= row.Pause.Seconds()})
	}
	if row.Even {
		for _, e := range o.Even {
			check(Check{What: e.What, Target: "within 20% of even",
				Seen: fmt.Sprintf("%d: %.0f%%", e.Counts, 100*e.off()), Met: e.off() <= .2})
		}
		if len(o.Even) == 0 {
			o.cannotTell("it was not measured how even connections and requests are")
		}
	}
	if row.Writes {
		seen := Writes{}
		if o.Writes != nil {
			seen = *o.Writes
		}
		check(Check{What: "writes", Target: "some", Seen: fmt.Sprint(seen.Acknowledged), Met: seen.Acknowledged > 0})
		check(Check{What: "false answers", Target: "0", Seen: fmt.Sprintf("%d of %d", seen.False, seen.Answers),
			Met: seen.False == 0 && seen.Answers > 0})
		if seen.Acknowledged == 0 || seen.Answers == 0 {
			o.cannotTell("no write was acknowledged, or no answer compared with one")
		}
	}
	if row.Trust {
		met := len(o.Distrust) > 0 && slices.Max(o.Distrust) == 0
		check(Check{What: "edges without trust", Target: "0 s", Seen: fmt.Sprintf("%.2f s", o.Distrust), Met: met})
		if len(o.Distrust) == 0 {
			o.cannotTell("no edge said for how long it trusted no copy")
		}
	}
	if row.Setup.Bucket {
		seen := Pictures{}
		if o.Pictures != nil {
			seen = *o.Pictures
		}
		for _, c := range seen.checks() {
			check(c)
		}
		if seen.Uploaded == 0 {
			o.cannotTell("no upload was acknowledged")
		}
	}
	for i := range o.Loads {
		if o.Loads[i].Requests == 0 {
			o.cannotTell("no visitor asked for a page")
		}
		target := row.Loads[i].Target
		if _, after := o.Loads[i].cached(target, o.Faults); target.Cached > 0 && after == 0 {
			o.cannotTell("nothing was seen after the fault")
		}
		for _, c := range o.Loads[i].checks(target, o.Faults, o.Peak) {
			c.Load = row.Loads[i].Name
			check(c)
		}
	}
}

// cannotTell notes why the row says nothing: it is neither met nor, as a control, rightly missed.
func (o *Outcome) cannotTell(why string) {
	o.Met = false
	o.Err = cmp.Or(o.Err, why)
}

// checks are all figures of a load that have a target.
func (s *Seen) checks(t Target, faults []FaultEvent, peak float64) []Check {
	most := int64(t.Bad * float64(s.Requests))
	all := []Check{{What: CheckBad, Target: fmt.Sprintf("at most %d", most), Seen: fmt.Sprint(s.Bad),
		Met: s.Bad <= most && s.Requests > 0}}
	within := func(what string, seen float64, target time.Duration) {
		if target > 0 {
			all = append(all, Check{What: what, Target: "at most " + target.String(),
				Seen: millis(seen), Met: seen <= float64(target.Microseconds())/1000})
		}
	}
	within("p50", s.Times.P50, t.P50)
	within("p99", s.Times.P99, t.P99)
	within("p99.9", s.Times.P999, t.P999)
	within("slowest", s.Times.Max, t.Max)
	within("slowest 503", s.Refused.Max, t.Refused)
	if t.Goodput > 0 {
		all = append(all, Check{What: "right answers per second", Seen: fmt.Sprintf("%.0f", s.Right),
			Target: fmt.Sprintf("at least %.0f", t.Goodput*peak), Met: s.Right >= t.Goodput*peak})
	}
	if t.NoStale {
		all = append(all, Check{What: "stale answers", Target: "none", Seen: fmt.Sprint(s.Stale), Met: s.Stale == 0})
	}
	if t.StaleRequired {
		all = append(all, Check{What: "stale answers", Target: "some", Seen: fmt.Sprint(s.Stale), Met: s.Stale > 0})
	}
	if t.Recovered > 0 {
		within("recovered after", 1000*s.recovered(t, faults), t.Recovered)
	}
	if t.Cached > 0 {
		share, n := s.cached(t, faults)
		what := "in a cache"
		if len(faults) > 0 {
			what += ", " + t.CachedWithin.String() + " after the fault"
		}
		all = append(all, Check{What: what,
			Target: fmt.Sprintf("at least %.0f%%", 100*t.Cached), Seen: fmt.Sprintf("%.1f%% of %d", 100*share, n),
			Met: n > 0 && share >= t.Cached})
	}
	return all
}

// recovered is the time in seconds from the end of a fault to the end of the last part of the timeline without an
// answer, or with one that is bad, refused, stale or slow; the longest of all faults. What is seen after the next fault
// began is its own.
func (s *Seen) recovered(t Target, faults []FaultEvent) (longest float64) {
	for i, f := range faults {
		last := 0.0
		for _, p := range s.Series {
			took := p.At - last
			last = p.At
			if p.At <= f.Ended || i+1 < len(faults) && p.At > faults[i+1].Began {
				continue
			}
			silent := p.Pages == 0 && took >= step.Seconds()/2 // the last part may be a moment only
			slow := t.P999 > 0 && p.Max > float64(t.P999.Microseconds())/1000
			if p.Failed > 0 || p.Refused > 0 || p.Stale > 0 || slow || silent {
				longest = max(longest, p.At-f.Ended)
			}
		}
	}
	return longest
}

// cached is the part of n answers that a cache has given, from some time after the last fault on, or all the time where
// the site itself is what is wrong.
func (s *Seen) cached(t Target, faults []FaultEvent) (share float64, n int64) {
	whole := 0.0
	if n := len(s.Series); n > 0 {
		whole = s.Series[n-1].At
	}
	from := min(t.CachedWithin.Seconds(), whole/2) // short runs have less time
	if len(faults) > 0 {
		from += faults[len(faults)-1].Ended
	}
	var rendered, all, last float64
	for _, p := range s.Series {
		if p.At > from {
			all += p.Pages * (p.At - last)
			rendered += float64(p.Rendered)
		}
		last = p.At
	}
	if all == 0 {
		return 0, 0
	}
	return 1 - rendered/all, int64(all + .5)
}
