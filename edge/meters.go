package edge

import (
	"strconv"
	"time"

	"flickrkillr/schema/page"

	"github.com/prometheus/client_golang/prometheus"
)

// tier is where an answer came from, as in the header X-Cache.
type tier uint8

const (
	tierNone tier = iota // nothing to do with caches: redirects, refusals, the apology
	tierNear
	tierMemcached
	tierRender
	tierStale
	tiers
)

var tierNames = [tiers]string{"none", "near", "memcached", "render", "stale"}

func (t tier) String() string { return tierNames[t] }

// meters are the edge's metrics. Those of the hot path are looked up once, here.
type meters struct {
	answers    [tiers][page.KindCount]prometheus.Counter
	durations  [tiers]prometheus.Observer
	status     map[int]prometheus.Counter // of the statuses that an edge gives
	bytes      prometheus.Counter
	express    prometheus.Counter
	delegated  [reasons]prometheus.Counter // requests that the handler answers
	halfClosed prometheus.Counter
	hedges     prometheus.Counter
	retries    prometheus.Counter
	shared     prometheus.Counter
	fills      prometheus.Counter
	refills    prometheus.Counter
	busErrors  *prometheus.CounterVec
	cache      *prometheus.CounterVec
	batch      prometheus.Histogram
	inFlight   prometheus.Gauge
	changes    prometheus.Histogram

	registry prometheus.Registerer
}

// changeBuckets are close where the aim is, 10 ms for 99 of 100.
var changeBuckets = []float64{
	.0005, .001, .0015, .002, .0025, .003, .0035, .004, .005, .006, .007, .008, .009, .01, .012, .014, .017, .02, .025,
	.03, .04, .05, .07, .1, .15, .2, .3, .5, 1, 2, 5, 10,
}

func newMeters(registry prometheus.Registerer) *meters {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "killr_edge_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "killr_edge_" + name, Help: help}, labels)
	}
	answers := counters("answers_total", "Answers by kind of page and by where they came from.", "tier", "kind")
	status := counters("status_total", "Answers by HTTP status; 0 for visitors who left first.", "status")
	delegated := counters("delegated_requests_total",
		"Requests that the fast path left to net/http, by the first reason.", "reason")
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "killr_edge_answer_seconds",
		Help:    "Time from a request's header to the end of its answer.",
		Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18),
	}, []string{"tier"})
	m := &meters{
		registry: registry,
		status:   map[int]prometheus.Counter{},
		bytes:    counter("body_bytes_total", "Bytes of bodies sent."),
		express:  counter("express_total", "Answers of the express, to plain requests for what was at hand."),
		halfClosed: counter("half_closed_total",
			"Visitors who closed their direction of the connection before they had their answer; some of them have left."),
		hedges:    counter("hedges_total", "Second requests sent because the first took longer than usual."),
		retries:   counter("retries_total", "Requests sent again because nobody answered or the renderer was busy."),
		shared:    counter("shared_total", "Requests that waited for a fetch that another one had begun."),
		fills:     counter("fills_total", "Notes to the cachefills."),
		refills:   counter("refills_total", "Of those, notes for hot pages that a change had overtaken."),
		busErrors: counters("bus_errors_total", "Requests on the bus that failed, by code.", "code"),
		cache: counters("memcached_total",
			"Look-ups in memcached by server and result: hit, miss, error, slow, open (circuit breaker).",
			"server", "result"),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "killr_edge_memcached_batch", Help: "Keys in one look-up in memcached.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "killr_edge_in_flight", Help: "Requests being answered.",
		}),
		changes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "killr_edge_change_seconds",
			Help: "Time from the writing of the oldest change of a batch, before its commit, to having read the batch " +
				"in the stream, by the cluster's clock. That runs behind by as long as the quickest of the last ticks " +
				"took.",
			Buckets: changeBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
			NativeHistogramMinResetDuration: time.Hour,
		}),
	}
	for _, code := range []int{0, 200, 301, 304, 400, 404, 405, 410, 414, 500, 503} {
		m.status[code] = status.WithLabelValues(strconv.Itoa(code))
	}
	for why := range reasons {
		m.delegated[why] = delegated.WithLabelValues(why.String())
	}
	registry.MustRegister(
		answers, durations, status, m.bytes, m.express, delegated, m.halfClosed, m.hedges, m.retries, m.shared, m.fills,
		m.refills, m.busErrors, m.cache, m.batch, m.inFlight, m.changes,
	)
	for t := range tiers {
		m.durations[t] = durations.WithLabelValues(t.String())
		m.answers[t][page.KindNone] = answers.WithLabelValues(t.String(), "none")
		for _, k := range page.Kinds() {
			m.answers[t][k] = answers.WithLabelValues(t.String(), k.String())
		}
	}
	return m
}

// watch adds the gauges that are read from the server when asked for.
func (m *meters) watch(s *Server) {
	gauge := func(name, help string, read func() float64) {
		opts := prometheus.GaugeOpts{Name: "killr_edge_" + name, Help: help}
		m.registry.MustRegister(prometheus.NewGaugeFunc(opts, read))
	}
	gauge("near_bytes", "Size of the near cache.", s.near.bytes)
	gauge("scopes", "Scopes whose versions are remembered.", func() float64 { return float64(s.fresh.scopes()) })
	gauge("hot_pages", "Pages whose demand is counted.", func() float64 { return float64(s.hot.size()) })
	gauge("blind", "1 while no tick of the relay comes, so that no copy is trusted.", func() float64 {
		if s.fresh.blind() {
			return 1
		}
		return 0
	})
	gauge("clock_offset_seconds", "Cluster time minus this machine's.", func() float64 {
		return s.clock.Offset().Seconds()
	})
}

func (m *meters) countStatus(status int) {
	if c := m.status[status]; c != nil {
		c.Inc()
	}
}

func (m *meters) answered(t tier, k page.Kind, since time.Time, bytes int) {
	m.answers[t][k].Inc()
	m.durations[t].Observe(time.Since(since).Seconds())
	m.bytes.Add(float64(bytes))
}
