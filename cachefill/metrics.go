package cachefill

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/wire"
)

// result is how a fill ended.
type result uint8

const (
	resultFilled     result = iota
	resultHeld              // memcached had a copy that is new enough, or another cachefill is making one
	resultJoined            // another note for the page waited already, and its fill will do for both
	resultPrivate           // the page may not be kept
	resultTooLarge          // larger than memcached takes
	resultFailed            // no renderer answered
	resultCacheError        // memcached did not
	resultRefused           // the note named no page
	resultDropped           // too many notes waited
	results
)

var resultNames = [results]string{wire.FillFilled, wire.FillHeld, "joined", wire.FillPrivate, wire.FillTooLarge,
	"failed", "cache_error", "refused", "dropped"}

func (r result) String() string { return resultNames[r] }

// metrics count for Prometheus and for `nats micro stats`.
type metrics struct {
	counts   [results]atomic.Int64
	counters [results]prometheus.Counter
	seconds  prometheus.Histogram
	refill   prometheus.Histogram
	replayed prometheus.Counter
	replays  atomic.Int64

	mu      sync.Mutex
	spent   time.Duration           // on all jobs
	failure string                  // why the last job that failed did
	times   *hdrhistogram.Histogram // of fills, in microseconds
	refills *hdrhistogram.Histogram // of those that a change was the reason for, from when an edge heard of it
}

func newMetrics(registry prometheus.Registerer) *metrics {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	fills := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "killr_cachefill_fills_total",
		Help: "Notes by how they ended."}, []string{"result"})
	m := &metrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "killr_cachefill_fill_seconds",
			Help:    "Time of a fill, from note to memcached.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14)}),
		refill: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "killr_cachefill_refill_seconds",
			Help: "Time of a refill after a change, from when an edge had heard of the change, and the page was in " +
				"demand again since its last refill, to memcached.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14)}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{Name: "killr_cachefill_replayed_total",
			Help: "Notes that this cachefill published because a memcached server was empty."}),
		times:   hdrhistogram.New(1, slowest.Microseconds(), 2),
		refills: hdrhistogram.New(1, slowest.Microseconds(), 2),
	}
	registry.MustRegister(fills, m.seconds, m.refill, m.replayed)
	for r := range results {
		m.counters[r] = fills.WithLabelValues(r.String())
	}
	return m
}

func (m *metrics) count(r result) {
	m.counts[r].Add(1)
	m.counters[r].Inc()
}

// slowest is the longest time that the histograms hold.
const slowest = time.Minute

// filled records how long a job took; one that follows a change also counts from when the edge heard of the change.
func (m *metrics) filled(j *job, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.times.RecordValue(min(took, slowest).Microseconds()) // within the histogram's range, as below
	if j.Waited > 0 {
		whole := time.Since(j.came) + j.Waited
		m.refill.Observe(whole.Seconds())
		_ = m.refills.RecordValue(min(whole, slowest).Microseconds())
	}
}

// worked records how long a job took, however it ended, and why it failed.
func (m *metrics) worked(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent += took
	if err != nil {
		m.failure = err.Error()
	}
}

// endpoint is what `nats micro stats cachefill` shows. It counts notes that are finished.
func (m *metrics) endpoint(queued int, servers map[string]string) discovery.Endpoint {
	e := discovery.Endpoint{Name: "fill", Subject: wire.SubjectFills, Queue: wire.QueueCachefill,
		Data: m.snapshot(queued, servers)}
	for r := range results {
		n := int(m.counts[r].Load())
		e.Requests += n
		switch r {
		case resultFailed, resultCacheError, resultRefused, resultDropped:
			e.Errors += n
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.LastError, e.Processing = m.failure, m.spent
	return e
}

// snapshot is the endpoint's further data, which count filled pages too.
func (m *metrics) snapshot(queued int, servers map[string]string) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]any{"queued": queued, "servers": servers, "replays": m.replays.Load(),
		"refills": m.refills.TotalCount()}
	for r := range results {
		out[r.String()] = m.counts[r].Load()
	}
	for prefix, h := range map[string]*hdrhistogram.Histogram{"": m.times, "refill_": m.refills} {
		for name, q := range map[string]float64{"p50_ms": 50, "p95_ms": 95, "p99_ms": 99} {
			out[prefix+name] = float64(h.ValueAtQuantile(q)) / 1000
		}
	}
	return out
}
