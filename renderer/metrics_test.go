package renderer

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestExemplars: a request is an exemplar of its wait, and no id from the bus breaks that.
func TestExemplars(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	waits := m.waits.WithLabelValues("pages")
	for _, id := range []string{"", strings.Repeat("x", 200), "\xff", "edge1"} {
		observe(waits, 25*time.Millisecond, id)
	}
	var read dto.Metric
	if err := waits.(prometheus.Histogram).Write(&read); err != nil {
		t.Fatal(err)
	}
	if n := read.GetHistogram().GetSampleCount(); n != 4 {
		t.Errorf("%d waits were counted, want 4", n)
	}
	var ids []string
	for _, b := range read.GetHistogram().GetBucket() {
		for _, label := range b.GetExemplar().GetLabel() {
			ids = append(ids, label.GetName()+"="+label.GetValue())
		}
	}
	if len(ids) != 1 || ids[0] != "request=edge1" {
		t.Errorf("exemplars %v, want request=edge1 alone", ids)
	}
}
