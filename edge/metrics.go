package edge

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
)

// tier is where an answer came from, as in the header X-Cache.
type tier uint8

const (
	tierNone tier = iota // no cache: redirects, error pages
	tierMemory
	tierMemcached
	tierRender
	tierStale
	tiers
)

var tierNames = [tiers]string{"none", "near", "memcached", "render", "stale"}

func (t tier) String() string { return tierNames[t] }

// metrics are the edge's metrics. Those that every answer needs are looked up once, here.
type metrics struct {
	answers         [tiers][page.KindCount]prometheus.Counter
	durations       [tiers]prometheus.Histogram
	status          map[int]prometheus.Counter // by status, for those that an edge sends
	bytes           prometheus.Counter
	fast            prometheus.Counter
	delegated       [fastpath.Reasons]prometheus.Counter
	halfClosed      prometheus.Counter
	hedges          prometheus.Counter
	retries         prometheus.Counter
	shared          prometheus.Counter
	fills           prometheus.Counter
	refills         prometheus.Counter
	busErrors       *prometheus.CounterVec
	lookups         *prometheus.CounterVec
	batch           prometheus.Histogram
	inFlight        prometheus.Gauge
	changes         prometheus.Histogram
	unreadable      prometheus.Counter
	pauses          prometheus.Counter
	refused         prometheus.Counter
	refusedRequests prometheus.Counter
	paced           prometheus.Counter
	badHeaders      prometheus.Counter
	signIns         *prometheus.CounterVec
	uploaded        prometheus.Counter

	registry prometheus.Registerer
}

// changeBuckets are narrow around the goal, a 99th percentile of 10 ms.
var changeBuckets = []float64{
	.0005, .001, .0015, .002, .0025, .003, .0035, .004, .005, .006, .007, .008, .009, .01, .012, .014, .017, .02, .025,
	.03, .04, .05, .07, .1, .15, .2, .3, .5, 1, 2, 5, 10,
}

func newMetrics(registry prometheus.Registerer) *metrics {
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
	status := counters("answers_by_status_total",
		"Answers by HTTP status; 0: the client left before its answer.", "status")
	delegated := counters("delegated_requests_total",
		"Requests that the fast path delegated to net/http, by the first reason.", "reason")
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "killr_edge_answer_seconds",
		Help:    "Time from a request's header to the end of its answer.",
		Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18),
	}, []string{"tier"})
	m := &metrics{
		registry: registry,
		status:   map[int]prometheus.Counter{},
		bytes:    counter("body_bytes_total", "Bytes of bodies sent."),
		fast:     counter("fast_path_answers_total", "Answers of the fast path; net/http gives the others."),
		halfClosed: counter("half_closed_total",
			"Clients that closed their direction of the connection before their answer; some of them have left."),
		hedges:    counter("hedges_total", "Second requests sent because the first took longer than usual."),
		retries:   counter("retries_total", "Requests sent again because no renderer replied or one was busy."),
		shared:    counter("shared_fetches_total", "Requests that shared the fetch of another request."),
		fills:     counter("fills_total", "Fill notes sent."),
		refills:   counter("refills_total", "Fill notes sent for popular pages that a change had overtaken."),
		busErrors: counters("bus_errors_total", "Requests on the bus that failed, by code.", "code"),
		lookups: counters("memcached_lookups_total",
			"Look-ups in memcached by server and result: hit, miss, error, slow, open (circuit breaker), "+
				"corrupt (a wrong checksum, or another page's item).",
			"server", "result"),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "killr_edge_memcached_batch_keys", Help: "Keys in one GetMulti.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		unreadable: counter("unreadable_messages_total", "Messages on the stream of changes that could not be read."),
		pauses:     counter("pauses_total", "Times that this process did not run for 400 ms or longer."),
		refused:    counter("refused_connections_total", "Connections closed because their address had too many."),
		refusedRequests: counter("refused_requests_total",
			"Requests of HTTP/2 refused because their address had too many under way."),
		paced: counter("paced_total",
			"Waits of connections of HTTP/2, or of TLS, whose address has sent more than it has taken or brought."),
		badHeaders: counter("refused_proxy_headers_total",
			"Connections closed because a trusted proxy began them without a valid header of the PROXY protocol."),
		signIns: counters("sign_ins_total",
			"Forms to sign in, by outcome: ok, wrong (name or password), limited (too many guesses), unavailable.",
			"outcome"),
		uploaded: counter("upload_bytes_total", "Bytes of uploads that renderers have stored."),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "killr_edge_requests_in_flight", Help: "Requests being answered.",
		}),
		changes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "killr_edge_change_seconds",
			Help: "Time from the write of the oldest change of a batch, before its commit, until the edge has read " +
				"the batch, by cluster time. Cluster time lags by the transit time of the fastest recent heartbeat.",
			Buckets: changeBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
			NativeHistogramMinResetDuration: time.Hour,
		}),
	}
	for _, code := range []int{0, 200, 301, 304, 400, 404, 405, 410, 414, 500, 503} {
		m.status[code] = status.WithLabelValues(strconv.Itoa(code))
	}
	for _, outcome := range []string{signInOK, signInWrong, signInLimited, signInUnavailable} {
		m.signIns.WithLabelValues(outcome)
	}
	for reason := range m.delegated {
		m.delegated[reason] = delegated.WithLabelValues(fastpath.Reason(reason).String())
	}
	registry.MustRegister(
		answers, durations, status, m.bytes, m.fast, delegated, m.halfClosed, m.hedges, m.retries, m.shared, m.fills,
		m.refills, m.busErrors, m.lookups, m.batch, m.inFlight, m.changes, m.unreadable, m.pauses, m.refused,
		m.refusedRequests, m.signIns, m.uploaded, m.badHeaders, m.paced,
	)
	for t := range tiers {
		m.durations[t] = durations.WithLabelValues(t.String()).(prometheus.Histogram)
		m.answers[t][page.KindNone] = answers.WithLabelValues(t.String(), "none")
		for _, k := range page.Kinds() {
			m.answers[t][k] = answers.WithLabelValues(t.String(), k.String())
		}
	}
	return m
}

// watch adds the gauges that are read from the parts of a resolver.
func (m *metrics) watch(r *resolver) {
	gauge := func(name, help string, read func() float64) {
		opts := prometheus.GaugeOpts{Name: "killr_edge_" + name, Help: help}
		m.registry.MustRegister(prometheus.NewGaugeFunc(opts, read))
	}
	gauge("near_bytes", "Size of the in-process cache.", r.memory.Bytes)
	gauge("scopes", "Scopes whose versions are remembered.", func() float64 { return float64(r.tracker.Scopes()) })
	gauge("popular_pages", "Pages whose requests are counted.", func() float64 {
		return float64(r.popularity.Pages())
	})
	gauge("feed_stale",
		"1 while no heartbeat of the relay counts, as none arrives, it lags by more than 1 s, or a batch before it is "+
			"missing: pages are fresh for a second only.",
		func() float64 {
			if r.tracker.FeedStale() {
				return 1
			}
			return 0
		})
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "killr_edge_feed_stale_seconds_total",
		Help: "Time for which killr_edge_feed_stale has been 1, since the first heartbeat.",
	}, func() float64 { return r.tracker.StaleFor().Seconds() }))
	gauge("clock_offset_seconds", "Cluster time minus the time of this machine.", func() float64 {
		return r.tracker.Clock().Offset().Seconds()
	})
}

// watchCertificates adds a gauge of the certificates.
func (m *metrics) watchCertificates(expiry func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "killr_edge_certificate_expiry_timestamp_seconds",
		Help: "When the first of the TLS certificates expires, in seconds since 1970; 0: there is none yet.",
	}, func() float64 {
		if at := expiry(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	}))
}

// answered counts an answer.
func (m *metrics) answered(x *exchange) {
	m.answers[x.tier][x.kind].Inc()
	took := time.Since(x.start).Seconds()
	if exemplars, ok := m.durations[x.tier].(prometheus.ExemplarObserver); ok && x.tier >= tierRender {
		exemplars.ObserveWithExemplar(took, prometheus.Labels{"request": x.number.String()})
	} else { // as for most answers, which take less time than an exemplar
		m.durations[x.tier].Observe(took)
	}
	m.bytes.Add(float64(x.bytes))
	if c := m.status[x.status]; c != nil {
		c.Inc()
	}
}
