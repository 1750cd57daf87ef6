package cli

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestAuditOfARunningSiteAsks: without --yes it says what it would do, to what, and does nothing.
func TestAuditOfARunningSiteAsks(t *testing.T) {
	t.Parallel()
	edge := listenAndCount(t)
	database := testenv.DatabaseURL(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, stdout, logs := killr(
		ctx, "audit", "--edge", "http://"+edge.addr, "--postgres", database, "--nats", testenv.NATS(t),
		"--nats-seed", testenv.Seeds(t)[wire.RoleAudit], "--owners", "1",
	)
	if status != 1 || stdout != "" {
		t.Errorf("status %d: %s", status, stdout)
	}
	for _, want := range []string{
		"--yes", "http://" + edge.addr, "@127.0.0.1:", "people's own photos", "the photos of 1 user, for good",
	} {
		if !strings.Contains(logs, want) {
			t.Errorf("it does not say %q: %s", want, logs)
		}
	}
	if n := edge.calls.Load(); n != 0 {
		t.Errorf("%d requests reached the edge", n)
	}
}

// TestAuditLeavesTheShellsSiteAlone: an audit of its own site, started from a shell that has another site's addresses
// in its environment, asks nothing of that site.
func TestAuditLeavesTheShellsSiteAlone(t *testing.T) {
	t.Parallel()
	other := listenAndCount(t)
	r := testenv.StartProcess(
		t,
		[]string{
			"KILLR_EDGE=http://" + other.addr, "KILLR_METRICS=http://" + other.addr + "/metrics", "KILLR_YES=true",
			"NATS_URL=nats://" + other.addr, "DATABASE_URL=postgres://a:b@" + other.addr + "/c",
			"MEMCACHED_SERVERS=" + other.addr, "PGHOST=127.0.0.1", "PGPORT=1", "KILLR_DATA=" + t.TempDir(),
		},
		"audit", "--edges", "1", "--renderers", "1", "--no-faults", "--writes", "5", "--observations", "5",
		"--duration", "1m", "--log-format", "text",
	)
	if status := r.WaitFor(t, 5*time.Minute); status != 0 || !strings.Contains(r.Stdout.String(), "through 1 edge,") ||
		!strings.Contains(r.Stdout.String(), "violations       0") {
		t.Errorf("status %d: %s%s", status, r.Stdout, r.Stderr)
	}
	if n := other.calls.Load(); n != 0 {
		t.Errorf("%d connections reached the site of the shell", n)
	}
}

// countedListener is a listener that counts who comes.
type countedListener struct {
	addr  string
	calls atomic.Int64
}

func listenAndCount(t *testing.T) *countedListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &countedListener{addr: l.Addr().String()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.calls.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return c
}
