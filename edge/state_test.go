package edge

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/edge/fastpath"
	"flickrkillr/schema/page"
)

// fastAnswers is the number of answers of the fast path.
func fastAnswers(t testing.TB, e *Server) int { t.Helper(); return int(count(t, e.metrics.fast)) }

// fetching is the number of fetches under way.
func fetching(e *Server) int {
	e.pages.flights.mu.Lock()
	defer e.pages.flights.mu.Unlock()
	return len(e.pages.flights.current)
}

// waiting is the number of requests that wait for the fetch of ansel's page.
func waiting(e *Server) int {
	e.pages.flights.mu.Lock()
	defer e.pages.flights.mu.Unlock()
	if one := e.pages.flights.current[page.User("ansel")]; one != nil {
		return one.waiting
	}
	return 0
}

// count is the value of a counter or a gauge.
func count(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

// sum is the value of a counter, added over its labels.
func sum(t testing.TB, r *prometheus.Registry, name string) (total float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

// delegated is the number of requests that the fast path delegated, by reason.
func delegated(t testing.TB, e *Server) map[fastpath.Reason]int {
	t.Helper()
	all := map[fastpath.Reason]int{}
	for reason, c := range e.metrics.delegated {
		if n := int(count(t, c)); n > 0 {
			all[fastpath.Reason(reason)] = n
		}
	}
	return all
}

// halfClosed is the number of clients that half-closed their connection before their answer.
func halfClosed(t testing.TB, e *Server) int { t.Helper(); return int(count(t, e.metrics.halfClosed)) }
