package stack

import (
	"context"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Kept is a process of our own program that is started again whenever it ends by itself.
type Kept struct {
	name  string
	make  func() *exec.Cmd
	grace time.Duration
	log   *slog.Logger
	pid   atomic.Int64
}

// Keep prepares a process; Run starts it. make returns a fresh command for each start; grace is how long the process may
// take to finish its work when it is told to stop.
func Keep(name string, grace time.Duration, logger *slog.Logger, make func() *exec.Cmd) *Kept {
	return &Kept{name: name, make: make, grace: grace, log: logger}
}

// PID is the running process's id, 0 while there is none.
func (k *Kept) PID() int { return int(k.pid.Load()) }

// Run keeps the process running until ctx ends, then sends it SIGTERM and waits for it. A process that ends by itself is
// started again: after 100 ms at first, ever more slowly, up to 5 s, while it does not last for 10 s. The error says that it
// had to be killed, or could not be started the first time.
func (k *Kept) Run(ctx context.Context) error {
	const least, most = 100 * time.Millisecond, 5 * time.Second
	wait := least
	for first := true; ; first = false {
		began := time.Now()
		c, err := startChild(k.make(), syscall.SIGTERM)
		switch {
		case err != nil && first:
			return err
		case err != nil:
			k.log.Error(k.name+" does not start", "err", err)
		default:
			k.pid.Store(int64(c.process.Pid))
			select {
			case <-ctx.Done():
				return c.stop(syscall.SIGTERM, k.grace)
			case <-c.done:
			}
			k.pid.Store(0)
			if ctx.Err() != nil {
				return nil
			}
			k.log.Error(k.name+" ended by itself and is started again", "why", c.err, "in", wait)
		}
		if time.Since(began) > 10*time.Second {
			wait = least
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, most)
	}
}
