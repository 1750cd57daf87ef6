package discovery

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimes compares quantiles with the times themselves.
func TestTimes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, time.Minute.Microseconds()).Draw(t, "µs")) * time.Microsecond
		var times Times
		times.Add(d)
		if got := times.Counts().Quantile(.99); got <= d || got > d+d/quarters+time.Microsecond {
			t.Fatalf("%s is counted as at most %s", d, got)
		}
	})
	var times Times
	times.Add(-time.Second)
	times.Add(time.Hour)
	for range 98 {
		times.Add(time.Millisecond)
	}
	before := times.Counts()
	if p50, max := before.Quantile(.5), before.Quantile(1); p50 < time.Millisecond || p50 > 2*time.Millisecond || max < time.Minute {
		t.Errorf("p50 %s, longest %s", p50, max)
	}
	for range 10 {
		times.Add(100 * time.Millisecond)
	}
	after := times.Counts()
	after.Add(before, -1)
	if p50 := after.Quantile(.01); p50 < 100*time.Millisecond || p50 > 130*time.Millisecond {
		t.Errorf("between two readings requests took %s", p50)
	}
	if got := (TimeCounts{}).Quantile(.99); got != 0 {
		t.Errorf("no requests took %s", got)
	}
}
