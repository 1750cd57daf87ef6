package edge

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"
)

// Pages that the visitor visits in a turn, and turns, of each kind.
const floodPages, floodTurns = 300, 8

// BenchmarkFlood measures how long others wait in three kinds of turns: alone, during a flood, and while a process that
// does not talk to the edge uses as much processor time as the flooder did. The last one is what a busy machine costs.
// The flooder has several connections, opens a further one for each that ends, and gives way to others (nice 19).
func BenchmarkFlood(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(floods)) {
		b.Run(name, func(b *testing.B) {
			e := floodSite(b)
			visitor := startPart(b, "visitor", e.Addr(), "")
			defer visitor.end()
			visitor.visit(b, 300) // so everything is warm
			var alone, busy, flooded []time.Duration
			var burned, took, spent time.Duration
			for b.Loop() {
				for range floodTurns {
					before := used(b)
					alone = append(alone, visitor.visit(b, floodPages)...)
					usual := used(b) - before
					flooder := startPart(b, "flooder", e.Addr(), name)
					start, before := time.Now(), used(b)
					flooded = append(flooded, visitor.visit(b, floodPages)...)
					turn := time.Since(start)
					spent += used(b) - before - usual
					of := flooder.end()
					burned, took = burned+of, took+turn
					burner := startPart(b, "burner", "", fmt.Sprint(of.Seconds()/turn.Seconds()))
					busy = append(busy, visitor.visit(b, floodPages)...)
					burner.end()
				}
			}
			p99s := [...]float64{p99(alone), p99(busy), p99(flooded)}
			b.ReportMetric(p99s[0], "ms-p99-alone")
			b.ReportMetric(p99s[1], "ms-p99-busy")
			b.ReportMetric(p99s[2], "ms-p99-flooded")
			b.ReportMetric(p99s[2]/p99s[0], "to-alone")
			b.ReportMetric(p99s[2]/p99s[1], "to-busy")
			b.ReportMetric(burned.Seconds()/took.Seconds(), "processors-of-flooder")
			b.ReportMetric(spent.Seconds()/took.Seconds(), "processors-of-edge-for-it")
		})
	}
}

// used is how much processor time this process has used.
func used(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// p99 is what one of 100 durations exceeds, in ms.
func p99(times []time.Duration) float64 {
	slices.Sort(times)
	return times[len(times)*99/100].Seconds() * 1000
}
