package bench

import "testing"

// TestVisitorsShareConnections: visitors of HTTP/2 share connections as told, and HTTP/1.1 cannot.
func TestVisitorsShareConnections(t *testing.T) {
	t.Parallel()
	s := &site{}
	cfg := some(listen(t, s), 16)
	cfg.Visitors, cfg.VisitPages, cfg.PagesOnly = 8, 1, true
	cfg.HTTP2, cfg.KeepConnections, cfg.Streams = true, true, 4
	res := mustRun(t, cfg)
	mustBeClean(t, res)
	if res.Pages != 16 {
		t.Errorf("%d pages, want 16", res.Pages)
	}
	// Two are enough. Requests that begin before the first connection is there may open others.
	if len(s.conns) >= cfg.Visitors {
		t.Errorf("eight visitors, four to a connection, requested by %d connections", len(s.conns))
	}
	cfg.HTTP2 = false
	if _, err := Run(t.Context(), cfg); err == nil {
		t.Error("visitors of HTTP/1.1 were let share connections")
	}
}
