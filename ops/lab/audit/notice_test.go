package audit

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// edgeOf serves the metrics of an edge; learn adds changes that took this long.
func edgeOf(t *testing.T, offset float64) (url string, learn func(...time.Duration)) {
	t.Helper()
	registry := prometheus.NewRegistry()
	changes := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: changeSeconds, Buckets: []float64{.002, .005, .01, .02}, NativeHistogramBucketFactor: 1.1,
	})
	clock := prometheus.NewGauge(prometheus.GaugeOpts{Name: clockOffset})
	clock.Set(offset)
	registry.MustRegister(changes, clock)
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return server.URL, func(all ...time.Duration) {
		for _, d := range all {
			changes.Observe(d.Seconds())
		}
	}
}

func TestNotice(t *testing.T) {
	t.Parallel()
	first, learnFirst := edgeOf(t, -0.0005)
	second, learnSecond := edgeOf(t, 7200)
	learnFirst(15*time.Millisecond, time.Minute) // before the audit
	a := &audit{cfg: Config{Metrics: []string{first, second}}, client: http.DefaultClient}
	before, err := a.readMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 98 {
		learnFirst(time.Millisecond)
		learnSecond(3 * time.Millisecond)
	}
	learnSecond(3*time.Millisecond, 9*time.Millisecond, 9*time.Millisecond, 15*time.Millisecond)
	after, err := a.readMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		oneMachine bool
		before     []*edgeMetrics
		want       string
	}{
		{
			false, before,
			"p50 <= 5.0 ms, p99 <= 10.0 ms, max <= 20.0 ms (of 200 batches, from the oldest change of each)",
		},
		{
			true, before,
			"p50 <= 5.0 ms, p99 <= 10.0 ms, max <= 20.0 ms (of 200 batches, from the oldest change of each); includes up to 0.5 ms by which their clocks were behind",
		},
		{
			false, nil,
			"p50 <= 5.0 ms, p99 <= 20.0 ms, max <= 3600000.0 ms (of 202 batches, from the oldest change of each)",
		},
		{
			false, []*edgeMetrics{before[1], after[1]},
			"p50 <= 2.0 ms, p99 <= 20.0 ms, max <= 3600000.0 ms (of 100 batches, from the oldest change of each)",
		},
	} {
		if got := noticeBetween(c.before, after, c.oneMachine, nil).String(); got != c.want {
			t.Errorf("got\n%s, want\n%s", got, c.want)
		}
	}
	// An edge that was killed and started counts from nothing.
	if n := noticeBetween(after, before, false, nil); n.N != 2 {
		t.Errorf("of edges that began anew: %v", n)
	}
	if n := noticeBetween(nil, []*edgeMetrics{nil, after[1]}, false, errors.New("one is silent")); n.Edges != 1 ||
		!strings.HasSuffix(n.String(), "; not of all edges: one is silent") {
		t.Errorf("without one of two: %v", n)
	}
}

func TestNoticeThatIsNotKnown(t *testing.T) {
	t.Parallel()
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	other := httptest.NewServer(promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{}))
	defer other.Close()
	quiet, _ := edgeOf(t, math.Inf(-1))
	for _, c := range []struct {
		metrics []string
		want    string
	}{
		{nil, "unknown: no address of an edge's metrics was given"},
		{[]string{none.URL}, fmt.Sprintf("unknown: %s: 404 Not Found", none.URL)},
		{
			[]string{other.URL},
			fmt.Sprintf(
				"unknown: %s: has no %s, or no %s: is it an edge of this release?", other.URL, changeSeconds,
				clockOffset,
			),
		},
		{[]string{quiet}, "unknown: no edge has timed a change"},
	} {
		a := &audit{cfg: Config{Metrics: c.metrics}, client: http.DefaultClient}
		after, err := a.readMetrics(t.Context())
		if got := noticeBetween(nil, after, false, err).String(); got != c.want {
			t.Errorf("got\n%s, want\n%s", got, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
