package systemd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"flickrkillr/ops/debug"
)

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		beService()
		return
	}
	goleak.VerifyTestMain(m)
}

// TestReport: systemd hears once that the roles are ready, and why they are not, before and after that. It hears of the
// watchdog whether they are ready or not, but not while one hangs; and to the end of the stop.
func TestReport(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var why error = errors.New("no bus\nno database")
	asked, answer, said := make(chan struct{}), make(chan error), make(chan string)
	r := reporter{
		every: time.Millisecond,
		roles: func() []debug.Role {
			return []debug.Role{{Name: "edge", Ready: func() error {
				asked <- struct{}{}
				return <-answer
			}}}
		},
		send: func(state string) { said <- state },
	}
	stop := r.start(ctx)
	for _, step := range []struct {
		err  error
		want string
	}{
		{why, "WATCHDOG=1\nSTATUS=edge: no bus; no database"},
		{why, "WATCHDOG=1"},
		{nil, "WATCHDOG=1\nREADY=1\nSTATUS=ready"},
		{nil, "WATCHDOG=1"},
		{errors.New("no bus"), "WATCHDOG=1\nSTATUS=edge: no bus"},
		{nil, "WATCHDOG=1\nSTATUS=ready"},
	} {
		<-asked
		select {
		case state := <-said:
			t.Errorf("systemd heard %q of a role that has not answered", state)
		default:
		}
		answer <- step.err
		if got := <-said; got != step.want {
			t.Errorf("after %v systemd heard %q, want %q", step.err, got, step.want)
		}
	}
	<-asked
	cancel()
	answer <- nil
	<-said
	if got := <-said; !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("at the stop systemd heard %q", got)
	}
	if got := <-said; got != "WATCHDOG=1" {
		t.Errorf("while it stops systemd heard %q", got)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for {
		select {
		case <-said:
			continue
		case <-stopped:
		}
		break
	}
}

// TestReportAsksForMetrics: a role whose metrics hang is one that hangs.
func TestReportAsksForMetrics(t *testing.T) {
	t.Parallel()
	registry, gathered := prometheus.NewRegistry(), false
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x", Help: "x."}, func() float64 {
		gathered = true
		return 1
	}))
	r := reporter{send: func(string) {}, roles: func() []debug.Role {
		return []debug.Role{{Name: "edge", Ready: func() error { return nil }, Registry: registry}}
	}}
	if r.report(); !gathered {
		t.Error("the role was not asked for its metrics")
	}
}

// TestNobodyListens: a process that systemd did not start reports to nobody.
func TestNobodyListens(t *testing.T) { //nolint:paralleltest // it changes the environment
	t.Setenv("NOTIFY_SOCKET", "")
	stop := Report(t.Context(), func() []debug.Role { t.Error("a role was asked"); return nil },
		slog.New(slog.DiscardHandler))
	stop()
}
