package renderer

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what /metrics shows. Services with one registry share them: their numbers add up.
type metrics struct {
	requests      *prometheus.CounterVec   // by kind (an endpoint's name) and code
	duration      *prometheus.HistogramVec // by kind, from arrival to reply
	queued        *prometheus.GaugeVec     // by pool
	batch         *prometheus.HistogramVec // by pool
	waits         *prometheus.HistogramVec // by pool
	panics        prometheus.Counter
	mails         *prometheus.CounterVec // by outcome
	uploads       *prometheus.CounterVec // by outcome
	uploadBytes   prometheus.Counter
	originalBytes prometheus.Counter
	relayActive   prometheus.Gauge
	relayLag      prometheus.Gauge
	relayStalled  prometheus.Gauge
	relayChanges  prometheus.Counter
	relayBatches  prometheus.Counter
	relayErrors   prometheus.Counter
	replicaLag    *prometheus.GaugeVec   // by replica
	reads         *prometheus.CounterVec // by source
}

// waitBuckets are bounds of waits for a worker, in seconds. A batch waits for 1 ms; 20 ms is where more renderers are
// wanted.
var waitBuckets = []float64{
	.0001, .0002, .0005, .001, .0015, .002, .003, .005, .007, .01, .015, .02, .03, .05, .07, .1, .2, .5, 1, 2, 5,
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "killr_renderer_requests_total",
			Help: "Requests answered, by kind of page or action and by code: " +
				"ok, not_found (a page that says so), or that of an error.",
		}, []string{"kind", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "killr_renderer_request_seconds", Help: "Time from a request's arrival to its reply.",
			Buckets: prometheus.ExponentialBucketsRange(0.0005, 10, 16),
		}, []string{"kind"}),
		queued: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "killr_renderer_queued", Help: "Requests that wait for a worker.",
		}, []string{"pool"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "killr_renderer_batch_size", Help: "Requests that a worker answered in one turn.",
			Buckets: []float64{1, 2, 4, 8, 16, 32},
		}, []string{"pool"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "killr_renderer_queue_wait_seconds", Help: "Time from a request's arrival until a worker takes it.",
			Buckets: waitBuckets,
		}, []string{"pool"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_renderer_panics_total", Help: "Requests answered with internal because of a panic.",
		}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "killr_renderer_mails_total",
			Help: "Mails asked for, by outcome: sent, nobody (no mail to send), failed, dropped (the queue was full).",
		}, []string{"outcome"}),
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "killr_renderer_uploads_total",
			Help: "Answers to finished uploads, by outcome: photo, duplicate (the person had it), refused, cancelled.",
		}, []string{"outcome"}),
		uploadBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_renderer_upload_bytes_total", Help: "Bytes of uploads stored in the staging area.",
		}),
		originalBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_renderer_original_bytes_total", Help: "Bytes of originals sent to edges for downloads.",
		}),
		relayActive: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "killr_relay_active", Help: "1 while this process relays changes for all.",
		}),
		relayLag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "killr_relay_lag_seconds",
			Help: "Age of the oldest change that is not yet in the stream, as of the last heartbeat sent.",
		}),
		relayStalled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "killr_relay_stalled",
			Help: "1 while the stream CHANGES takes no messages of this process, although NATS answers.",
		}),
		relayChanges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_relay_changes_total", Help: "Changes published to the stream CHANGES.",
		}),
		relayBatches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_relay_batches_total", Help: "Messages that they were published in.",
		}),
		relayErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "killr_relay_errors_total", Help: "Rounds of the relay that failed and were tried again.",
		}),
		replicaLag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "killr_renderer_replica_lag_seconds",
			Help: "Age of the newest heartbeat that a replica has: its lag, and up to 0.25 s more.",
		}, []string{"replica"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "killr_renderer_reads_total",
			Help: "Pages and pictures read by a renderer that has replicas, by source: primary, replica.",
		}, []string{"source"}),
	}
	return m, errors.Join(
		register(registry, &m.requests), register(registry, &m.duration), register(registry, &m.queued),
		register(registry, &m.batch), register(registry, &m.waits), register(registry, &m.panics),
		register(registry, &m.mails),
		register(registry, &m.uploads), register(registry, &m.uploadBytes),
		register(registry, &m.originalBytes),
		register(registry, &m.relayActive),
		register(registry, &m.relayLag), register(registry, &m.relayStalled),
		register(registry, &m.relayChanges), register(registry, &m.relayBatches), register(registry, &m.relayErrors),
		register(registry, &m.replicaLag), register(registry, &m.reads))
}

// register puts *c into the registry, or replaces *c by the one that another Service put there.
func register[C prometheus.Collector](registry *prometheus.Registry, c *C) error {
	err := registry.Register(*c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := already.ExistingCollector.(C); ok {
			*c = existing
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("register a metric: %w", err)
	}
	return nil
}

// observe counts a reply to a request with this id.
func (m *metrics) observe(kind, code, id string, took time.Duration) {
	m.requests.WithLabelValues(kind, code).Inc()
	observe(m.duration.WithLabelValues(kind), took, id)
}

// maxExemplar bounds the id of a request that becomes an exemplar. Prometheus takes 128 characters with the label's
// name, and panics beyond; ids that edges make are shorter than 40.
const maxExemplar = 64

// observe records a time with an exemplar: the id of the request, by which the log has more of it. An id from the bus
// may be anything; one that is no exemplar is left out.
func observe(o prometheus.Observer, d time.Duration, id string) {
	withExemplar, ok := o.(prometheus.ExemplarObserver)
	if !ok || id == "" || len(id) > maxExemplar || !utf8.ValidString(id) {
		o.Observe(d.Seconds())
		return
	}
	withExemplar.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"request": id})
}
