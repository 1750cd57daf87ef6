package audit

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBetweenAndQuiet(t *testing.T) {
	t.Parallel()
	tr := &faultLog{
		list: []FaultEvent{
			{Began: 10 * second, Ended: 20 * second}, {Began: 30 * second, Ended: 31 * second}, {Began: 50 * second},
		},
	}
	for _, c := range []struct {
		from, to moment
		between  bool
		quiet    time.Duration
	}{
		{0, 5 * second, false, 5 * second},
		{0, 10 * second, false, 10 * second},
		{0, 11 * second, true, 10 * second},
		{12 * second, 13 * second, true, 0},
		{15 * second, 24 * second, true, 4 * second},
		{20 * second, 30 * second, false, 10 * second},
		{25 * second, 60 * second, true, 19 * second},
		{29 * second, 32 * second, true, second},
		{51 * second, 52 * second, true, 0},
	} {
		if got := tr.between(c.from, c.to); got != c.between {
			t.Errorf("between %v and %v: %v", c.from, c.to, got)
		}
		if got := tr.quiet(c.from, c.to); got != c.quiet {
			t.Errorf("quiet between %v and %v: %v, want %v", c.from, c.to, got, c.quiet)
		}
	}
	if n := tr.over(); n != 2 {
		t.Errorf("%d are over, want 2", n)
	}
}

func TestEachFaultHasItsTurn(t *testing.T) {
	t.Parallel()
	order := func(seed uint64) (names []string) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := time.Now()
			tr := &faultLog{now: func() moment { return time.Since(start) }, log: slog.New(slog.DiscardHandler)}
			var n atomic.Int32
			var faults []Fault
			for _, name := range []string{"a", "b", "c"} {
				faults = append(faults, Fault{Name: name, Inject: func(context.Context) error {
					time.Sleep(second)
					if n.Add(1) == 6 {
						cancel()
					}
					return errors.New("it is stuck")
				}})
			}
			tr.run(ctx, faults, second, rand.New(rand.NewPCG(seed, drawFault)))
			for i, h := range tr.events() {
				names = append(names, h.Name)
				if h.Ended-h.Began != second || (i < 5) != (h.Err == "it is stuck") {
					t.Errorf("%+v", h)
				}
			}
		})
		return names
	}
	first := order(1)
	if got := slices.Sorted(slices.Values(first[:3])); !slices.Equal(got, []string{"a", "b", "c"}) || len(first) != 6 {
		t.Errorf("broken were %v", first)
	}
	if again := order(1); !slices.Equal(again, first) {
		t.Errorf("the same seed gives %v, then %v", first, again)
	}
}

// However fast faults follow one another, the quiet bound is checked in between: for changes that are acknowledged
// FaultBound after one fault and must show before the next.
func TestQuietBoundIsCheckedBetweenFaults(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{100 * time.Millisecond, second, 4 * second, 5 * second, 16 * second} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*(every+FaultBound))
				defer cancel()
				start := time.Now()
				tr := &faultLog{now: func() moment { return time.Since(start) }, log: slog.New(slog.DiscardHandler)}
				faults := []Fault{{Name: "a", Inject: func(context.Context) error { return nil }}}
				tr.run(ctx, faults, every, rand.New(rand.NewPCG(1, drawFault)))
				all := tr.events()
				if len(all) < 10 {
					t.Fatalf("%d faults", len(all))
				}
				for i := range all[:len(all)-2] {
					if longest := tr.quiet(all[i].Ended, all[i+2].Began); longest < FaultBound+every/2 {
						t.Errorf("after fault %d the longest pause is %v", i, longest)
					}
				}
			})
		})
	}
}

// FaultBound is the edge's: how long it relies on the last good heartbeat, and how far the relay may be behind when it
// sends one.
func TestFaultBoundIsTheEdges(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../../edge/freshness/tracker.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`heartbeatGrace\s*= 3 \* time\.Second`, `maxRelayLag\s*= time\.Second`} {
		if !regexp.MustCompile(want).Match(source) {
			t.Errorf("edge/freshness/tracker.go does not have %s: FaultBound must follow it", want)
		}
	}
	if FaultBound != (3+1)*second {
		t.Error("FaultBound is not the sum of the two")
	}
}
