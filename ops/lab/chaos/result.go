package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"flickrkillr/ops/lab/bench"
)

// Result is what the rows of a run came to.
type Result struct {
	Began       time.Time `json:"began"`
	Rate        float64   `json:"rate"`               // pages per second
	Duration    float64   `json:"duration"`           // of each row, in seconds
	Machines    int       `json:"machines,omitempty"` // of the fleet; 0: there was none
	Interrupted bool      `json:"interrupted"`
	Rows        []Outcome `json:"rows"` // each followed by its control
}

// Outcome is what a row, or its control, came to.
type Outcome struct {
	Row     string       `json:"row"`
	Without string       `json:"without,omitempty"` // of a control: the mechanism that is switched off
	Visitor string       `json:"visitor"`           // what a visitor may notice
	Why     string       `json:"why"`               // the mechanism
	Began   time.Time    `json:"began"`
	Peak    float64      `json:"peak,omitempty"` // pages per second, before an overload
	Faults  []FaultEvent `json:"faults"`
	Loads   []Seen       `json:"loads"`
	Writes  *Writes      `json:"writes,omitempty"`
	// For how long each edge trusted no copy, in seconds; of rows in which none may.
	Distrust []float64  `json:"distrust,omitempty"`
	Pictures *Pictures  `json:"pictures,omitempty"`
	Even     []Evenness `json:"even,omitempty"` // of rows in which something has to be even
	Checks   []Check    `json:"checks"`
	Met      bool       `json:"met"`             // all checks are; a control should not meet them
	Cut      bool       `json:"cut,omitempty"`   // it was interrupted, so that nothing follows from its checks
	Err      string     `json:"error,omitempty"` // why it could not be run
}

// Good reports that a row met its target, that a control missed it, or that nothing is known.
func (o *Outcome) Good() bool { return o.Cut || o.Err == "" && o.Met == (o.Without == "") }

// Seen is what the visitors of one load saw. Times are in milliseconds.
type Seen struct {
	Load     string          `json:"load,omitempty"`
	Requests int64           `json:"requests"`
	Bad      int64           `json:"bad"`
	Kinds    []bench.Failure `json:"kinds"`                  // of bad answers
	Tries    []bench.Failure `json:"failed_tries,omitempty"` // after which another edge was asked
	Refused  bench.Times     `json:"refused"`                // 503 that say when to retry; bad unless allowed
	Stale    int64           `json:"stale"`
	Right    float64         `json:"right_per_second"` // right answers
	Times    bench.Times     `json:"times"`            // of right answers and timeouts
	Series   []bench.Point   `json:"series"`
	Notes    []string        `json:"notes,omitempty"` // why figures may be wrong
}

// newSeen is what a benchmark says of a load.
func newSeen(l Load, b *bench.Result) Seen {
	pages := b.Kind("page")
	s := Seen{Load: l.Name, Requests: b.Requests, Bad: b.Failed, Refused: b.Refused, Stale: pages.Tiers["stale"],
		Times: pages.Times, Series: b.Series, Kinds: slices.Clone(b.Failures), Tries: b.Tries,
		Notes: notes(b)}
	if b.Seconds > 0 {
		s.Right = float64(b.Requests-b.Failed) / b.Seconds
	}
	if !l.Refusals {
		return s
	}
	s.Bad -= b.Refused.Count
	for i := range s.Kinds {
		if s.Kinds[i].Kind == "status 503" {
			s.Kinds[i].Count -= b.Refused.Count
		}
	}
	s.Kinds = slices.DeleteFunc(s.Kinds, func(f bench.Failure) bool { return f.Count == 0 })
	for i := range s.Series { // what is left of them is bad
		s.Series[i].Failed -= s.Series[i].Refused
	}
	return s
}

// notes say how far the generator of the load was late.
func notes(b *bench.Result) (all []string) {
	a := b.Arrivals
	if a == nil {
		return nil
	}
	for _, c := range []struct {
		count int64
		what  string
	}{
		{a.Late, fmt.Sprintf("pages began more than 10 ms late (%s at most), because the machine was busy; "+
			"their latency includes that", millis(a.Worst))},
		{a.Waited, "pages waited more than 10 ms for a free visitor; their latency includes that"},
		{a.Dropped, "pages never began, because 10 s of others were waiting"},
	} {
		if c.count > 0 {
			all = append(all, fmt.Sprintf("%d %s", c.count, c.what))
		}
	}
	return all
}

// add records an outcome and logs it.
func (res *Result) add(ctx context.Context, o Outcome, log *slog.Logger) {
	o.Cut = ctx.Err() != nil
	res.Rows = append(res.Rows, o)
	switch {
	case o.Cut:
	case o.Err != "":
		log.Error("could not be run", "name", o.title(), "err", o.Err)
	default:
		bad, all := o.counts()
		log.Info(o.verdict(), "name", o.title(), "bad", bad, "count", all)
	}
}

// counts adds up the answers that were bad or false, and all that were checked.
func (o *Outcome) counts() (bad, all int64) {
	if o.Writes != nil {
		bad, all = o.Writes.False, o.Writes.Answers
	}
	for _, s := range o.Loads {
		bad, all = bad+s.Bad, all+s.Requests
	}
	return bad, all
}

// verdict is one word or two about an outcome.
func (o *Outcome) verdict() string {
	switch {
	case o.Cut:
		return "interrupted"
	case o.Err != "":
		return "not run"
	case o.Without == "" && o.Met:
		return "met"
	case o.Without == "":
		return "missed"
	case o.Met:
		return "met, but should miss"
	}
	return "missed, as it should"
}

// Good reports that all rows met their targets and all controls missed theirs.
func (res *Result) Good() bool {
	return !slices.ContainsFunc(res.Rows, func(o Outcome) bool { return !o.Good() })
}
