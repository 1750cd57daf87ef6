package systemd

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"flickrkillr/ops/debug"
	"flickrkillr/schema/sleep"
)

const (
	// startPoll is the time between two questions whether the roles are ready, until they are for the first time.
	startPoll = 20 * time.Millisecond
	// readyPoll is that time afterwards. A watchdog may want it to be shorter.
	readyPoll = time.Second
	// mostStatus is how many bytes of a reason are in STATUS=.
	mostStatus = 500
)

// Report tells systemd how the roles of this process are, until stop: READY=1 once all can serve, as /readyz says; in
// STATUS= what is missing; STOPPING=1 when ctx ends. WATCHDOG=1 follows each time that all roles have said whether they
// are ready, and given their metrics. A role that hangs does not, and systemd restarts it. One that is not ready waits
// for a service, which a restart does not bring back.
func Report(ctx context.Context, roles func() []debug.Role, log *slog.Logger) (stop func()) {
	supervised, err := daemon.SdNotify(false, "STATUS=starting")
	if err != nil {
		log.Warn("systemd is not told how this process is", "err", err)
	}
	if !supervised {
		return func() {}
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog of systemd is not told that this process runs", "err", err)
	}
	r := reporter{roles: roles, every: readyPoll, send: func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("systemd is not told how this process is", "state", state, "err", err)
		}
	}}
	if watchdog > 0 {
		r.every = min(r.every, watchdog/4)
	}
	return r.start(ctx)
}

// reporter is a running Report.
type reporter struct {
	roles func() []debug.Role
	every time.Duration // between two reports of roles that have been ready
	send  func(state string)

	ready  bool   // the roles have been ready
	status string // the last one sent
}

func (r *reporter) start(ctx context.Context) (stop func()) {
	reporting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	asking, endAsking := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for asking.Err() == nil {
			r.report()
			pause := startPoll
			if r.ready {
				pause = r.every
			}
			sleep.For(asking, pause)
		}
		r.send(daemon.SdNotifyStopping + "\nSTATUS=finishing its requests")
		for sleep.For(reporting, r.every) {
			r.send(daemon.SdNotifyWatchdog) // TimeoutStopSec= bounds the stop
		}
	})
	return func() {
		endAsking()
		cancel()
		wg.Wait()
	}
}

// report asks the roles, and says what they say.
func (r *reporter) report() {
	roles := r.roles()
	err := debug.Ready(roles)
	for _, role := range roles {
		if role.Registry != nil {
			_, _ = role.Registry.Gather() // an error is an answer; /metrics shows it
		}
	}
	state, status := []string{daemon.SdNotifyWatchdog}, "ready"
	if err != nil {
		status = strings.ReplaceAll(err.Error(), "\n", "; ")
		status = strings.ToValidUTF8(status[:min(len(status), mostStatus)], "")
	} else if !r.ready {
		r.ready = true
		state = append(state, daemon.SdNotifyReady)
	}
	if status != r.status {
		r.status = status
		state = append(state, "STATUS="+status)
	}
	r.send(strings.Join(state, "\n"))
}
