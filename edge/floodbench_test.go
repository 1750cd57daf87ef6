package edge

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkFlood measures how long others wait without a flood and with it, alternately: pages in memory and pages that
// are not. The floods come from one connection after another, from this process, whose processors they share.
func BenchmarkFlood(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(floods)) {
		b.Run(name, func(b *testing.B) {
			e := floodSite(b)
			v := &floodVisitor{b: b, e: e, transport: &http.Transport{
				TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true,
			}}
			defer v.transport.CloseIdleConnections()
			v.visit(100) // so everything is warm
			var alone, flooded []time.Duration
			ended := 0
			for b.Loop() {
				alone = append(alone, v.visit(200)...)
				times := make(chan []time.Duration, 1)
				go func() { times <- v.visit(200) }()
				for more := true; more; {
					select {
					case t := <-times:
						flooded, more = append(flooded, t...), false
					default:
						c := flood(b, e)
						floods[name].flood(c)
						_ = c.conn.Close()
						<-c.done
						ended++
					}
				}
			}
			without, with := p99(alone), p99(flooded)
			b.ReportMetric(without.Seconds()*1000, "ms-p99-without")
			b.ReportMetric(with.Seconds()*1000, "ms-p99-with")
			b.ReportMetric(float64(with)/float64(without), "ratio")
			b.ReportMetric(float64(ended)/float64(b.N), "floods/op")
		})
	}
}

// floodVisitor visits an edge, one page after another.
type floodVisitor struct {
	b         *testing.B
	e         *Server
	transport *http.Transport
	pages     int
}

// visit returns how long each of n pages took.
func (v *floodVisitor) visit(n int) (times []time.Duration) {
	for range n {
		v.pages++
		path := "/photos/ansel"
		if v.pages%2 == 0 {
			path = fmt.Sprintf("/photos/cold%d", v.pages)
		}
		start := time.Now()
		r, err := http.NewRequestWithContext(v.b.Context(), http.MethodGet, origin(v.e)+path, nil)
		if err != nil {
			v.b.Error(err)
			return times
		}
		resp, err := v.transport.RoundTrip(r)
		if err != nil {
			v.b.Error(err)
			return times
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || err != nil {
			v.b.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
		times = append(times, time.Since(start))
	}
	return times
}

// p99 is the duration that one of 100 exceeds.
func p99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}
