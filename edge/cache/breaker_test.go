package cache

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/edge/freshness"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// A memcached that is away is one line with the reason, and one when it answers again, however often it is tried
// meanwhile.
func TestBreakerLogsChangesOnly(t *testing.T) {
	t.Parallel()
	server := testenv.MemcachedServer(t)
	out := testenv.NewOutput()
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lookups"}, []string{"server", "result"})
	c, err := NewMemcached([]string{server.Addr()}, freshness.New(&wire.Clock{}), MemcachedMetrics{
		Lookups: lookups,
		Batch:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "batch"}),
	}, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	working(t, c)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	failed := lookups.WithLabelValues(server.Addr(), resultError)
	testenv.Within(t, time.Minute, "the server is tried twice after the breaker opened", func() bool {
		c.Get(cacheRef(0))
		var m dto.Metric
		return failed.Write(&m) == nil && m.GetCounter().GetValue() >= breakerAfter+2
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Within(t, time.Minute, "the server is used again", func() bool {
		c.Get(cacheRef(0))
		return strings.Contains(out.String(), "memcached answers again")
	})
	said := out.String()
	if n := strings.Count(said, "\n"); n != 2 || !strings.Contains(said, "level=WARN") ||
		!strings.Contains(said, "does not answer") || !strings.Contains(said, "connection refused") {
		t.Errorf("%d lines: %s", n, said)
	}
}
