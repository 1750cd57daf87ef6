package renderer

import (
	"math"
	"testing"
	"time"
)

func TestStatsAreTruthful(t *testing.T) {
	t.Parallel()
	var s stats
	now := time.Unix(1_800_000_000, 0)
	for i := 1; i <= 100; i++ { // 1 to 100 ms, of which 1 ms waiting
		s.enqueued()
		if i%4 == 0 {
			s.taken(4)
		}
	}
	for i := 1; i <= 100; i++ {
		code := ""
		if i%10 == 0 {
			code = "unavailable"
		}
		s.answered(now, time.Duration(i)*time.Millisecond, time.Millisecond, code)
	}
	s.enqueued()
	s.enqueued()
	s.refused("busy", true)
	s.refused("bad_request", false)

	r := s.report(now.Add(time.Second))
	if r.Requests != 102 || r.Errors["unavailable"] != 10 || r.Errors["busy"] != 1 || r.Errors["bad_request"] != 1 {
		t.Errorf("requests %d, errors %v", r.Requests, r.Errors)
	}
	if r.Queued != 1 || r.InFlight != 0 {
		t.Errorf("queued %d, in flight %d; want 1 and 0", r.Queued, r.InFlight)
	}
	if r.Batches != 25 || r.MeanBatch != 4 {
		t.Errorf("%d batches of %g, want 25 of 4", r.Batches, r.MeanBatch)
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"p50_ms": {r.P50, 50}, "p95_ms": {r.P95, 95}, "p99_ms": {r.P99, 99}, "max_ms": {r.Max, 100},
		"queue_wait_p50_ms": {r.QueueP50, 1}, "queue_wait_p99_ms": {r.QueueP99, 1},
	} {
		if math.Abs(c.got-c.want) > c.want/50 {
			t.Errorf("%s = %g, want %g within 2%%", name, c.got, c.want)
		}
	}
	requests, failed, last, processing := s.totals()
	if requests != 102 || failed != 12 || last != "bad_request" || processing != 4950*time.Millisecond {
		t.Errorf("totals = %d, %d, %q, %s", requests, failed, last, processing)
	}
}

func TestStatsForgetWhatIsNotRecent(t *testing.T) {
	t.Parallel()
	var s stats
	now := time.Unix(1_800_000_000, 0)
	add := func(after, took time.Duration) {
		now = now.Add(after)
		s.taken(1)
		s.answered(now, took, 0, "")
	}
	add(0, time.Second)
	add(window/2, time.Second)
	add(window, 10*time.Millisecond)
	if r := s.report(now); r.WindowRequests != 3 || r.Max < 990 {
		t.Errorf("within two windows: %+v", r)
	}
	add(window, 20*time.Millisecond)
	if r := s.report(now); r.WindowRequests != 2 || r.Max > 21 || r.WindowSeconds > 2*window.Seconds() {
		t.Errorf("the slow ones are old: %+v", r)
	}
	if r := s.report(now.Add(10 * window)); r.WindowRequests != 0 || r.P99 != 0 || r.Requests != 4 {
		t.Errorf("after a long pause: %+v", r)
	}
}
