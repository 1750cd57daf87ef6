package e2e

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
)

func TestScaleUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	l := s.visitors(8)
	l.more(t, 200)
	for _, n := range []int{4, 1, 3, 1} {
		s.scale(n)
		l.more(t, 200)
	}
	l.mustBeClean(t)
}

func TestEdgeStopsWithoutCuttingAnybody(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	client := newClient(t, 1)
	for i := range 20 {
		status, _, _, err := testenv.Fetch(t.Context(), client, s.urls[0]+"/photos/"+s.names[i%len(s.names)])
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %v", status, err)
		}
	}
	for _, role := range []roles.Role{roles.Edge, roles.Renderer} {
		if err := s.roles.Remove(role); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// TestRenderersRestartedInTurn: SIGTERM to one renderer after another, each once the one before serves again. Requests
// on the bus, which nobody repeats or hedges, are all answered.
func TestRenderersRestartedInTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 3)
	visitors, plain := s.visitors(4), s.busRequests(4)
	for range 2 {
		for i, old := range s.pids(roles.Renderer) {
			must(t, syscall.Kill(old, syscall.SIGTERM))
			testenv.Within(t, time.Minute, "another process has replaced it", func() bool {
				now := s.pids(roles.Renderer)[i]
				return now != 0 && now != old
			})
			s.waitReady()
			plain.more(t, 50)
		}
	}
	visitors.mustBeClean(t)
	plain.mustBeClean(t)
}

// TestCachefillGone: everything works without a cachefill, and a change shows.
func TestCachefillGone(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 2)
	l := s.visitors(8)
	l.more(t, 200)
	must(t, s.roles.Remove(roles.Cachefill))
	l.more(t, 400)
	s.retitle(t, "without a cachefill")
	must(t, s.cache.Restart(t.Context())) // and empty
	l.more(t, 400)
	l.mustBeClean(t)
	s.retitle(t, "without a cachefill, from an empty memcached")
}
