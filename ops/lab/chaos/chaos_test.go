package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/mutant"
)

// TestCatalogue: each row has a name that a command line can take, says what is promised, and has a control.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	root, err := mutant.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range slices.Concat(catalogue(), fleetRows()) {
		t.Run(r.Name, func(t *testing.T) {
			if names[r.Name] || strings.ContainsAny(r.Name, `,"`) {
				t.Error("the name is taken, or has a comma or a quotation mark")
			}
			names[r.Name] = true
			onMachines := r.Setup.Machines > 0
			if r.Visitor == "" || r.Why == "" || (r.Setup.Edges == 0) != onMachines ||
				(len(r.Loads) == 0) == !r.Writes && !onMachines || onMachines && len(r.Loads) == 0 ||
				onMachines != (r.Writes && r.Fault.Turns > 0 && r.Ready > 0) ||
				(r.Fault.Inject == nil) == (r.Overload == 0 && !r.Setup.broken()) {
				t.Errorf("incomplete: %+v", r)
			}
			share := 0.0
			for _, l := range r.Loads {
				share += l.Share
				g := l.Target
				if g.P50+g.P99+g.P999+g.Max+g.Refused+g.Recovered == 0 && g.Cached == 0 && !g.StaleRequired {
					t.Error("a load has a target for bad answers only")
				}
			}
			if len(r.Loads) > 1 && share != 1 {
				t.Errorf("the loads have %v of the rate", share)
			}
			if c := r.Control; c.Off == "" || c.Setup == nil && len(c.Edits) == 0 {
				t.Errorf("the control changes nothing: %+v", c)
			}
			if err := mutant.Check(t.Context(), root, slices.Concat(r.Setup.Edits, r.Control.Edits)); err != nil {
				t.Error(err)
			}
			find, other := Find, FindFleet
			if onMachines {
				find, other = FindFleet, Find
			}
			if _, err := find([]string{r.Name}); err != nil {
				t.Error(err)
			}
			if _, err := other([]string{r.Name}); err == nil {
				t.Error("it is in both catalogues")
			}
		})
	}
	if _, err := Find([]string{"no such row"}); err == nil {
		t.Error("a row that is not in the catalogue was found")
	}
}

// TestFaultTimes: faults come as often as they should, and leave time to recover, in short runs too.
func TestFaultTimes(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		fault Fault
		whole time.Duration
		first time.Duration
		count int
		hold  time.Duration
	}{
		"every 2 s, for a minute":  {Fault{Every: 2 * s}, 60 * s, 2 * s, 22, 0},
		"every 2 s, for 4 s":       {Fault{Every: 2 * s}, 4 * s, s, 2, 0},
		"every 15 s, for a second": {Fault{Every: 15 * s}, s, s / 4, 1, 0},
		"once, for a minute":       {Fault{Hold: 8 * s}, 60 * s, 15 * s, 1, 8 * s},
		"once, for 4 s":            {Fault{Hold: 8 * s}, 4 * s, s, 1, 2 * s},
		"held, every 15 s":         {Fault{Every: 15 * s, Hold: s}, 60 * s, 15 * s, 2, s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin, hold := c.fault.times(c.whole)
			if len(begin) != c.count || begin[0] != c.first || hold != c.hold {
				t.Errorf("begin %v, hold %v; want %d from %v, hold %v", begin, hold, c.count, c.first, c.hold)
			}
		})
	}
}

// TestInject: each fault is injected at its time and recorded; none begins after the end of the context.
func TestInject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		var n int
		f := Fault{Every: 10 * time.Second, Hold: time.Second,
			Inject: func(ctx context.Context, _ *scene, number int, hold time.Duration) error {
				if number != n {
					t.Errorf("fault %d is called %d", n, number)
				}
				n++
				time.Sleep(hold)
				return nil
			}}
		events := f.inject(ctx, &scene{}, time.Now(), time.Minute)
		if want := []FaultEvent{{Began: 10, Ended: 11}, {Began: 20, Ended: 21}}; !slices.Equal(events, want) {
			t.Errorf("events %+v, want %+v", events, want)
		}
	})
}

// someFault is never injected.
var someFault = Fault{Inject: func(context.Context, *scene, int, time.Duration) error { return nil }}

// seen is a load with some bad and refused answers, and a slow part from the second 2 to 3.
func seen(bad, refused int64) Seen {
	return Seen{Right: 80, Requests: 1000, Bad: bad, Refused: bench.Times{Count: refused, Max: 400}, Stale: 3,
		Times: bench.Times{P50: 1, P99: 50, P999: 90, Max: 120}, Series: []bench.Point{
			{At: 1, Pages: 250, Max: 20},
			{At: 2, Pages: 250, Max: 120, Failed: bad, Refused: refused, Stale: 3, Rendered: 100},
			{At: 3, Pages: 250, Max: 95, Rendered: 50},
			{At: 4, Pages: 250, Max: 20, Rendered: 5},
		}}
}

// TestJudge: a load that sees more than its target is said to have missed it, for each kind of target.
func TestJudge(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		target       Target
		bad, refused int64
		misses       string // "": met
	}{
		"nothing bad":        {Target{}, 0, 0, ""},
		"one bad":            {Target{}, 1, 0, CheckBad},
		"as many bad as may": {Target{Bad: .001}, 1, 0, ""},
		"more bad than may":  {Target{Bad: .001}, 2, 0, CheckBad},
		"p99":                {Target{P99: 50 * ms}, 0, 0, ""},
		"p99 too long":       {Target{P99: 49 * ms}, 0, 0, "p99"},
		"p99.9 too long":     {Target{P999: 89 * ms}, 0, 0, "p99.9"},
		"slowest too long":   {Target{Max: 119 * ms}, 0, 0, "slowest"},
		"503 in time":        {Target{Refused: 400 * ms}, 0, 9, ""},
		"503 late":           {Target{Refused: 399 * ms}, 0, 9, "slowest 503"},
		"goodput":            {Target{Goodput: .8}, 0, 0, ""},
		"too little goodput": {Target{Goodput: .81}, 0, 0, "right answers per second"},
		"stale":              {Target{StaleRequired: true}, 0, 0, ""},
		"stale, not allowed": {Target{NoStale: true}, 0, 0, "stale answers"},
		"recovered":          {Target{Recovered: 1000 * ms}, 0, 0, ""},
		"recovered too late": {Target{Recovered: 499 * ms}, 0, 0, "recovered after"},
		"slow for too long":  {Target{Recovered: 1000 * ms, P999: 94 * ms}, 0, 0, "recovered after"},
		"soon cached":        {Target{Cached: .9, CachedWithin: 1500 * ms}, 0, 0, ""},
		"not cached soon":    {Target{Cached: .9, CachedWithin: 500 * ms}, 0, 0, "in a cache, 500ms after the fault"},
		"not cached":         {Target{Cached: .99, CachedWithin: 2000 * ms}, 0, 0, "in a cache, 2s after the fault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := seen(c.bad, c.refused)
			o := Outcome{Row: "a row", Faults: []FaultEvent{{Began: 1.2, Ended: 1.5}}, Loads: []Seen{s}, Peak: 100}
			o.compare(Row{Loads: []Load{{Target: c.target}}, Fault: someFault})
			var missed []string
			for _, check := range o.Checks {
				if !check.Met {
					missed = append(missed, check.What)
				}
			}
			if got := strings.Join(missed, ", "); got != c.misses || o.Met != (c.misses == "") || o.Good() != o.Met {
				t.Errorf("missed are %q, met %v; want %q", got, o.Met, c.misses)
			}
			cut := o
			if cut.Cut = true; !cut.Good() {
				t.Error("a row that was interrupted counts as missed")
			}
			control := o
			if control.Without = "anything"; control.Good() == o.Good() {
				t.Error("a control is good if it misses, and only then")
			}
		})
	}
}

// TestNothingSeen: a row that was not run, or whose fault was not injected, is not met.
func TestNothingSeen(t *testing.T) {
	t.Parallel()
	right := seen(0, 0)
	for name, o := range map[string]Outcome{
		"no fault":           {Loads: []Seen{right}},
		"a fault that fails": {Loads: []Seen{right}, Faults: []FaultEvent{{Err: "it does not run"}}},
		"no load":            {Faults: []FaultEvent{{Ended: 1}}},
		"no request":         {Loads: []Seen{{}}, Faults: []FaultEvent{{Ended: 1}}},
		"an error":           {Loads: []Seen{right}, Faults: []FaultEvent{{Ended: 1}}, Err: "the site does not start"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if o.compare(Row{Loads: []Load{{}}, Fault: someFault}); o.Met || o.Good() {
				t.Errorf("it counts as met: %+v", o)
			}
		})
	}
	t.Run("nothing cached after the fault", func(t *testing.T) {
		t.Parallel()
		before := seen(0, 0)
		o := Outcome{Faults: []FaultEvent{{Began: 4, Ended: 5}}, Loads: []Seen{before}, Without: "cachefills"}
		o.compare(Row{Loads: []Load{{Target: Target{Cached: .9, CachedWithin: time.Second}}}, Fault: someFault})
		if o.Err == "" || o.Good() {
			t.Errorf("a control that saw nothing counts as rightly missed: %+v", o)
		}
	})
	for name, w := range map[string]*Writes{
		"no audit": nil, "no write": {Answers: 1}, "no answer": {Acknowledged: 1},
		"a lost write": {Acknowledged: 5, Answers: 9, False: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Outcome{Faults: []FaultEvent{{Ended: 1}}, Writes: w}
			if o.compare(Row{Writes: true, Fault: someFault}); o.Met {
				t.Errorf("it counts as met: %+v", o)
			}
		})
	}
}

// TestMachines: a machine that is not as before in time misses the row, and so does what is not even, and a long time
// without writes.
func TestMachines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ready  float64
		pause  float64
		counts [][]int64
		misses string
		err    bool
	}{
		"as before, and even": {9, 20, [][]int64{{100, 110, 90}, {3, 3, 3}}, "", false},
		"too late":            {40, 0, [][]int64{{100, 100, 100}}, "all as before after", false},
		"a third more":        {9, 0, [][]int64{{3, 3, 3}, {400, 250, 250}}, "1", false},
		"nothing was counted": {9, 0, [][]int64{{0, 0, 0}}, "0", false},
		"not measured":        {9, 0, nil, "", true},
		"writes wait":         {9, 20.1, [][]int64{{1, 1, 1}}, "without an acknowledged write", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Outcome{Faults: []FaultEvent{{What: "m1", Began: 1, Ended: 3, Ready: c.ready, Pause: c.pause}},
				Loads: []Seen{seen(0, 0)}}
			for i, counts := range c.counts {
				o.Even = append(o.Even, Evenness{What: fmt.Sprint(i), Counts: counts})
			}
			o.compare(Row{Loads: []Load{{}}, Fault: someFault, Ready: 30 * time.Second, Even: true,
				Pause: 20 * time.Second})
			var missed []string
			for _, check := range o.Checks {
				if !check.Met {
					missed = append(missed, check.What)
				}
			}
			if got := strings.Join(missed, ", "); got != c.misses || (o.Err != "") != c.err ||
				o.Met != (c.misses == "" && !c.err) {
				t.Errorf("missed are %q, met %v, error %q; want %q", got, o.Met, o.Err, c.misses)
			}
		})
	}
}

// TestPause: the longest time without an acknowledged write is that of which a part was during the fault.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, start := &writeTimes{}, time.Now()
		for _, s := range []time.Duration{0, 30, 31, 33, 40, 41, 90} {
			time.Sleep(time.Until(start.Add(s * time.Second)))
			w.note()
		}
		for name, c := range map[string]struct{ from, to, want time.Duration }{
			"within":                    {31, 35, 2},
			"begun before":              {36, 41, 7},
			"not over yet":              {41, 60, 19},
			"none before":               {-5, 0, 5},
			"begins and ends at writes": {30, 40, 7},
		} {
			got := w.pause(start.Add(c.from*time.Second), start.Add(c.to*time.Second))
			if got != c.want*time.Second {
				t.Errorf("%s: %v, want %v s", name, got, int64(c.want))
			}
		}
	})
}

// TestRefusalsThatAreAllowed: they are not bad, in the timeline neither; other failures are.
func TestRefusalsThatAreAllowed(t *testing.T) {
	t.Parallel()
	b := &bench.Result{Requests: 10, Failed: 5, Refused: bench.Times{Count: 3},
		Failures: []bench.Failure{{Kind: "status 503", Count: 4}, {Kind: "timeout", Count: 1}},
		Series:   []bench.Point{{At: 1, Failed: 5, Refused: 3}}}
	s := newSeen(Load{Refusals: true}, b)
	if want := []bench.Failure{{Kind: "status 503", Count: 1}, {Kind: "timeout", Count: 1}}; s.Bad != 2 ||
		!slices.Equal(s.Kinds, want) || s.Series[0].Failed != 2 {
		t.Errorf("%d bad, %+v, %+v", s.Bad, s.Kinds, s.Series)
	}
	if s := newSeen(Load{}, &bench.Result{Requests: 10, Failed: 5, Refused: b.Refused}); s.Bad != 5 {
		t.Errorf("%d bad where none is allowed, want 5", s.Bad)
	}
}

// TestForms: a result can be printed in each form, and says what was missed.
func TestForms(t *testing.T) {
	t.Parallel()
	bad, good := Outcome{Row: "a row", Visitor: "nothing", Why: "luck"}, Outcome{Row: "a row", Without: "luck"}
	for _, o := range []*Outcome{&bad, &good} {
		o.Faults = []FaultEvent{{What: "m2", Began: 1.2, Ended: 1.5, Ready: 2.75, Pause: 21.5}}
		o.Loads = []Seen{seen(2, 1)}
		o.Loads[0].Tries = []bench.Failure{{Kind: "connection lost", Count: 5, Example: "http://m2: reset"}}
		o.Loads[0].Kinds = []bench.Failure{{Kind: "timeout", Count: 2, Example: "page <b>"}}
		o.compare(Row{Loads: []Load{{}}})
	}
	res := &Result{Duration: 4, Rate: 250, Rows: []Outcome{bad, good}}
	if res.Good() {
		t.Error("a missed row counts as good")
	}
	var table, markdown, page, encoded bytes.Buffer
	for _, err := range []error{
		res.WriteTable(&table), res.WriteMarkdown(&markdown), res.WriteJSON(&encoded), res.Report().Write(&page),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"table": {table.String(), []string{
			"MISSED: a row", "m2: from 1.2 to 1.5 s", "more than 1 s for 0.8 s; no write was acknowledged for 21.5 s",
			"all was as before 1.2 s after",
			"5 tries, then another edge: connection lost",
			"MISSED, AS IT SHOULD: a row; control, without luck", "2 timeout", "bad answers: 2",
			"0 of 1 rows met", "1 of 1 controls",
		}},
		"Markdown": {markdown.String(), []string{
			"| a row |  | 2 of 1000, 5 tries failed | 1, max 400 ms |", "missed: bad answers 2 (at most 0)",
			"without luck: missed, as it should",
		}},
		"page": {page.String(), []string{`class="span"`, "a row; control, without luck", "0 of 1", "1 of 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, want := range c.says {
				if !strings.Contains(c.text, want) {
					t.Errorf("no %q in\n%s", want, c.text)
				}
			}
		})
	}
	var back Result
	if err := json.Unmarshal(encoded.Bytes(), &back); err != nil || len(back.Rows) != 2 || back.Rows[0].Met {
		t.Errorf("JSON reads back as %+v, %v", back, err)
	}
}

// TestSilenceIsNotRecovery: a site that answers nobody after a fault has not recovered. The moment at the end of a run
// says nothing.
func TestSilenceIsNotRecovery(t *testing.T) {
	t.Parallel()
	fault := []FaultEvent{{Ended: 1}}
	answers := func(rates ...float64) (s Seen) {
		for i, rate := range rates {
			s.Series = append(s.Series, bench.Point{At: 1 + float64(i+1)*step.Seconds(), Pages: rate})
		}
		return s
	}
	silent := answers(500, 0, 500)
	if got := silent.recovered(Target{}, fault); math.Abs(got-2*step.Seconds()) > 1e-9 {
		t.Errorf("recovered after %v s, want %v", got, 2*step.Seconds())
	}
	whole := answers(500, 500)
	whole.Series = append(whole.Series, bench.Point{At: 1 + 2.01*step.Seconds()})
	if got := whole.recovered(Target{}, fault); got != 0 {
		t.Errorf("recovered after %v s, want 0", got)
	}
}
