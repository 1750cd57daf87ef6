package site

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/pool"
)

// TestScalingDecides runs the decision on a clock of its own, twice a second, for phases of load.
func TestScalingDecides(t *testing.T) {
	t.Parallel()
	type phase struct {
		lasts time.Duration
		load  pool.Load     // of which Renderers is that of the site
		want  int           // at its end
		by    time.Duration // after which the number is want, and stays so
		// what one renderer does is not known
		unheard bool
	}
	calm, half := pool.Load{Wait95: time.Millisecond, Used: .1}, pool.Load{Wait95: 2 * time.Millisecond, Used: .45}
	slow, full := pool.Load{Wait95: 50 * time.Millisecond, Used: 1}, pool.Load{Busy: 3, Wait95: time.Second, Used: 1}
	for name, phases := range map[string][]phase{
		"a burst of a second adds none": {
			{lasts: time.Second, load: slow, want: 2}, {lasts: time.Second, load: calm, want: 2},
			{lasts: time.Second, load: slow, want: 2},
		},
		"waits add renderers after 2 s": {
			{lasts: 1500 * time.Millisecond, load: slow, want: 2},
			{lasts: time.Minute, load: slow, want: 8, by: 5 * time.Second},
		},
		"a refusal adds them at once": {{lasts: time.Second, load: full, want: 4, by: time.Millisecond}},
		"waits count, although between them a renderer answers too late": {
			{lasts: time.Second, load: slow, want: 2}, {lasts: time.Second, load: calm, unheard: true, want: 2},
			{lasts: time.Second, load: slow, want: 4},
		},
		"none leaves while one answers too late": {
			{lasts: time.Second, load: full, want: 4}, {lasts: 10 * time.Minute, load: calm, unheard: true, want: 4},
		},
		"they leave one by one, a minute apart": {
			{lasts: 10 * time.Second, load: full, want: 8, by: 3 * time.Second},
			{lasts: 59 * time.Second, load: calm, want: 8},
			{lasts: 2 * time.Second, load: calm, want: 7},
			{lasts: 58 * time.Second, load: calm, want: 7},
			{lasts: 10 * time.Minute, load: calm, want: 2, by: 6 * time.Minute},
		},
		"a short burst starts the minute again": {
			{lasts: 10 * time.Second, load: full, want: 8, by: 3 * time.Second},
			{lasts: 50 * time.Second, load: calm, want: 8},
			{lasts: time.Second, load: slow, want: 8},
			{lasts: 50 * time.Second, load: calm, want: 8},
		},
		"none leaves whose work the others could not do": {
			{lasts: 10 * time.Second, load: full, want: 8, by: 3 * time.Second},
			{lasts: 10 * time.Minute, load: half, want: 8},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scaling{least: 2, most: 8, quietFor: quietFor}
			now, have := time.Unix(1_800_000_000, 0), 2
			for i, p := range phases {
				begun, changed := now, time.Duration(0)
				for now.Sub(begun) < p.lasts {
					p.load.Renderers = have
					if p.unheard {
						p.load.Known = have - 1
					} else {
						p.load.Known = have
					}
					if want := s.decide(now, have, p.load); want != have {
						have, changed = want, now.Sub(begun)
					}
					now = now.Add(sampleEvery)
				}
				if have != p.want || p.by > 0 && changed > p.by {
					t.Errorf("phase %d: %d renderers since %s, want %d by %s", i, have, changed, p.want, p.by)
				}
			}
		})
	}
}

// TestScalingWaitsForThoseAdded: renderers that were added and do not work yet are no reason to add more, for a while.
func TestScalingWaitsForThoseAdded(t *testing.T) {
	t.Parallel()
	s := scaling{least: 2, most: 8, quietFor: quietFor}
	now, full := time.Unix(1_800_000_000, 0), pool.Load{Renderers: 2, Busy: 3, Wait95: time.Second, Used: 1}
	if have := s.decide(now, 2, full); have != 4 {
		t.Fatalf("%d renderers, want 4", have)
	}
	for after := settleFor; after < beginFor; after += settleFor {
		if have := s.decide(now.Add(after), 4, full); have != 4 {
			t.Fatalf("%d renderers after %v, want 4", have, after)
		}
	}
	if have := s.decide(now.Add(beginFor), 4, full); have != 8 {
		t.Errorf("%d renderers once two have not begun for long, want 8", have)
	}
}

// TestScalingDoesNotFlap: under each constant load, on a site where a worker's time is what is scarce, the number of
// renderers rises to what is needed and stays there.
func TestScalingDoesNotFlap(t *testing.T) {
	t.Parallel()
	for need := .5; need <= 12; need += .25 { // renderers' worth of work
		t.Run(fmt.Sprint(need), func(t *testing.T) {
			t.Parallel()
			s := scaling{least: 2, most: 8, quietFor: quietFor}
			now, have, changes := time.Unix(1_800_000_000, 0), 2, 0
			for range int(10 * time.Minute / sampleEvery) {
				used := need / float64(have)
				load := pool.Load{Renderers: have, Known: have, Used: min(used, 1), Wait95: time.Millisecond}
				if used > .9 {
					load.Wait95 = 100 * time.Millisecond
				}
				if used > 1 {
					load.Busy = 1
				}
				if want := s.decide(now, have, load); want != have {
					have = want
					changes++
				}
				now = now.Add(sampleEvery)
			}
			if changes > 2 { // 2, 4, 8
				t.Errorf("%d changes, at last %d renderers", changes, have)
			}
		})
	}
}

func TestRoomForRenderers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   resources
		n    int
		fit  int
		says string
	}{
		"enough":               {resources{used: .5, connections: 500, others: 5, each: 40, renderers: 2}, 4, 4, ""},
		"processors are full":  {resources{used: .97, connections: 500, each: 40, renderers: 2}, 4, 0, "processors"},
		"connections for some": {resources{connections: 200, others: 5, each: 40, renderers: 2}, 4, 2, "connections"},
		"for none":             {resources{connections: 100, others: 30, each: 40, renderers: 4}, 1, 0, "connections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fit, why := c.of.room(c.n)
			if fit != c.fit || (c.says == "") != (why == "") || !strings.Contains(why, c.says) {
				t.Errorf("%d fit, because %q; want %d and %q", fit, why, c.fit, c.says)
			}
		})
	}
}

func TestProcessorTimes(t *testing.T) {
	t.Parallel()
	before := parseProcessorTimes("cpu  100 50 100 1000 50 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n", false)
	after := parseProcessorTimes("cpu  160 70 120 1040 60 10 10 30 0 0\n", false)
	if used := after.usedSince(before); used < .649 || used > .651 { // 130 of 200
		t.Errorf("%g of the time was used, want 0.65", used)
	}
	low := parseProcessorTimes("cpu  160 70 120 1040 60 10 10 30 0 0\n", true)
	if low.busy != after.busy+70 {
		t.Errorf("at a low priority %+v, want the work of that priority counted: %+v", low, after)
	}
	for _, text := range []string{"", "cpu", "cpu a b c d e f g h", "intr 1 2 3 4 5 6 7 8 9"} {
		if got := parseProcessorTimes(text, false); got != (processorTimes{}) || after.usedSince(got) != 0 {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}
