package cachefill

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
)

// result is how a fill ended.
type result uint8

const (
	resultFilled     result = iota
	resultHeld              // memcached had a copy that is new enough, or another cachefill is making one
	resultPrivate           // the page may not be kept
	resultTooLarge          // larger than memcached takes
	resultFailed            // no renderer answered
	resultCacheError        // memcached did not
	resultRefused           // the note named no page
	resultDropped           // too many notes waited
	results
)

var resultNames = [results]string{"filled", "held", "private", "too_large", "failed", "cache_error", "refused", "dropped"}

func (r result) String() string { return resultNames[r] }

// meters count for Prometheus and for `nats micro stats`.
type meters struct {
	counts   [results]atomic.Int64
	counters [results]prometheus.Counter
	seconds  prometheus.Histogram

	mu    sync.Mutex
	times *hdrhistogram.Histogram // microseconds
}

func newMeters(registry prometheus.Registerer) *meters {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	fills := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "killr_cachefill_fills_total", Help: "Notes by how they ended."}, []string{"result"})
	m := &meters{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "killr_cachefill_fill_seconds", Help: "Time of a fill, from note to memcached.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14)}),
		times: hdrhistogram.New(1, 60_000_000, 2),
	}
	registry.MustRegister(fills, m.seconds)
	for r := range results {
		m.counters[r] = fills.WithLabelValues(r.String())
	}
	return m
}

func (m *meters) count(r result) {
	m.counts[r].Add(1)
	m.counters[r].Inc()
}

func (m *meters) took(d time.Duration) {
	m.seconds.Observe(d.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.times.RecordValue(min(d.Microseconds(), 60_000_000)) // within the histogram's range
}

// snapshot is what `nats micro stats cachefill` shows beside the library's own numbers, which count notes taken, not pages filled.
func (m *meters) snapshot(queued int) any {
	out := map[string]any{"queued": queued}
	for r := range results {
		out[r.String()] = m.counts[r].Load()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, q := range map[string]float64{"p50_ms": 50, "p95_ms": 95, "p99_ms": 99} {
		out[name] = float64(m.times.ValueAtQuantile(q)) / 1000
	}
	return out
}
