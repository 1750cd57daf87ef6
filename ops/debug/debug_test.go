package debug

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func counted(t *testing.T, n float64) *prometheus.Registry {
	t.Helper()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pages_total", Help: "Pages."}, []string{"kind"})
	c.WithLabelValues("user").Add(n)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "wait_seconds", Help: "Waits."})
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(.25, prometheus.Labels{"request": "abc1"})
	r := prometheus.NewRegistry()
	r.MustRegister(c, h)
	return r
}

// openMetrics reads metrics in the format that has exemplars.
func openMetrics(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestListener(t *testing.T) {
	t.Parallel()
	missing := errors.New("no bus")
	roles := []Role{
		{Name: "edge-1", Registry: counted(t, 3), Ready: func() error { return nil }},
		{Name: "edge-2", Registry: counted(t, 4), Ready: func() error { return missing }},
	}
	s, err := Listen(Config{Addr: "127.0.0.1:0", Version: "1.2.3", Roles: func() []Role { return roles },
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	get := func(path string) (status int, body string) {
		t.Helper()
		return testenv.Get(t, "http://"+s.Addr()+path)
	}

	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz is %d", code)
	}
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable ||
		!strings.Contains(body, "edge-2: no bus") ||
		strings.Contains(body, "edge-1") {
		t.Errorf("/readyz is %d, %q", code, body)
	}
	if _, metrics := get("/metrics"); !strings.Contains(metrics, "killr_ready{instance=\"edge-1\"} 1\n") ||
		!strings.Contains(metrics, "killr_ready{instance=\"edge-2\"} 0\n") {
		t.Errorf("/metrics does not say who is ready:\n%s", metrics)
	}
	missing = nil
	if code, body := get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz is %d, %q", code, body)
	}
	_, metrics := get("/metrics")
	for _, want := range []string{
		`pages_total{instance="edge-1",kind="user"} 3`, `pages_total{instance="edge-2",kind="user"} 4`,
		"go_goroutines ", "process_resident_memory_bytes ",
		`killr_build_info{go_version="` + runtime.Version() + `",revision="`, `",version="1.2.3"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
	if n := strings.Count(metrics, "# TYPE pages_total"); n != 1 {
		t.Errorf("/metrics announces pages_total %d times", n)
	}
	if code, body := get("/debug/pprof/goroutine?debug=1"); code != http.StatusOK ||
		!strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof is %d", code)
	}

	if open := openMetrics(t, "http://"+s.Addr()+"/metrics"); !strings.Contains(open, ` # {request="abc1"} 0.25`) {
		t.Errorf("OpenMetrics lacks the exemplar:\n%s", open)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if _, err := Listen(Config{Addr: s.Addr() + "x", Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a bad address was taken")
	}
}
