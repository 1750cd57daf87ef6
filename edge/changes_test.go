package edge

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/wire"
)

// TestChangesAreTimed: the edge measures the time from the first write of a batch, as the relay tells it. It does not
// measure changes from before its start, nor those of a relay of the previous release.
func TestChangesAreTimed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	since := func(ago time.Duration) nats.Header {
		return nats.Header{wire.HeaderSince: {wire.FormatTime(time.Now().Add(-ago))}}
	}
	s.publishChange("user.ansel", 1, false, since(time.Hour))
	e := s.edge()
	for i, header := range []nats.Header{
		nil, {wire.HeaderSince: {"noon"}}, since(40 * time.Millisecond), since(3 * time.Second),
	} {
		s.publishChange("user.ansel", int64(2+i), false, header)
	}
	var m dto.Metric
	eventually(t, "the last change is timed", func() bool {
		m.Reset()
		if err := e.metrics.changes.Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetHistogram().GetSampleSum() > 3
	})
	if h := m.GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() > 30 {
		t.Errorf("%d changes were timed, %g s in all; want 2, little more than 3.04 s",
			h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range m.GetHistogram().GetBucket() {
		// Cluster time may lag by as long as a heartbeat is in transit.
		if b.GetUpperBound() < 0.02 && b.GetCumulativeCount() > 0 {
			t.Errorf("%d changes took less than %g s", b.GetCumulativeCount(), b.GetUpperBound())
		}
	}
}

// TestEarlyInvalidation: an edge learns a change before the stream delivers it. Unreadable messages do no harm.
func TestEarlyInvalidation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	edges := []*Server{s.edge(), s.edge()}
	for _, e := range edges {
		get(t, e, "/photos/ansel")
	}
	s.mu.Lock()
	s.versions["user.ansel"] = 7 // committed, and not in the stream
	s.mu.Unlock()
	for _, data := range []string{
		"nonsense", "user.ansel 9223372036854775808\n", "user.ansel 3\n", "user.ansel 7 gone\n", "user.ansel 4 gone\n",
		"user.last 1\n",
	} {
		if err := s.nc.Publish(wire.SubjectEarlyInvalidation, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range edges {
		tracker := e.pages.tracker
		scope, last := tracker.Scope("user.ansel"), tracker.Scope("user.last")
		eventually(t, "the edge has received all messages", func() bool { return last.Newest() == 1 })
		if v := scope.Newest(); v != 7 {
			t.Errorf("the newest version is %d, want 7", v)
		}
		for version, want := range map[int64]bool{6: false, 7: true} { // version 7 deleted something
			dep := freshness.Dep{Scope: scope, Version: version}
			basis := freshness.Basis{ReadAt: time.Now(), MaxAge: time.Hour, Deps: []freshness.Dep{dep}}
			if got := tracker.MayServeStale(&basis, time.Now()); got != want {
				t.Errorf("a page of version %d may be served as stale: %t, want %t", version, got, want)
			}
		}
		if got := get(t, e, "/photos/ansel"); got.tier() != "render" || !strings.Contains(got.body, "version 7<") {
			t.Errorf("from %s: %.60s", got.tier(), got.body)
		}
	}
}
