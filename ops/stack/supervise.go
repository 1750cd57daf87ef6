package stack

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// How long supervision waits before it starts a program again: ever longer, until the program has run for lastsFor.
const (
	leastRestartWait = 50 * time.Millisecond
	mostRestartWait  = 5 * time.Second
	lastsFor         = 10 * time.Second
)

// supervise starts a program again each time it ends by itself, and returns when ctx ends. current is the process that
// was started last.
func supervise(
	ctx context.Context,
	name string,
	log *slog.Logger,
	current func() *Child,
	restart func(context.Context) error,
) {
	wait := leastRestartWait
	for {
		began := time.Now()
		c := current()
		select {
		case <-ctx.Done():
			return
		case <-c.done:
		}
		if ctx.Err() != nil {
			return
		}
		if current().running() { // it was restarted on purpose
			continue
		}
		if time.Since(began) > lastsFor {
			wait = leastRestartWait
		}
		log.Error(name+" ended by itself and is started again", "err", c.err, "wait", wait)
		if !sleep.For(ctx, wait) {
			return
		}
		wait = min(2*wait, mostRestartWait)
		if err := restart(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			log.Error(name+" does not start", "err", err)
		} else {
			log.Info(name + " runs again")
		}
	}
}

// Supervised is a process that is started again whenever it ends by itself.
type Supervised struct {
	name    string
	grace   time.Duration
	log     *slog.Logger
	command func() *exec.Cmd
	child   atomic.Pointer[Child] // the last one started; nil before the first
}

// Supervise prepares a process; Run starts it. command returns a fresh command for each start. A process that is told
// to stop has the time grace to finish its work.
func Supervise(name string, grace time.Duration, logger *slog.Logger, command func() *exec.Cmd) *Supervised {
	return &Supervised{name: name, grace: grace, log: logger, command: command}
}

// Name is the name that log messages use.
func (s *Supervised) Name() string { return s.name }

// PID is the running process's id, 0 while there is none.
func (s *Supervised) PID() int {
	if c := s.child.Load(); c != nil && c.running() {
		return c.PID()
	}
	return 0
}

// Err is the exit status, if it is not 0, with which the process ended last; nil if a signal ended it.
func (s *Supervised) Err() error {
	c := s.child.Load()
	if c == nil || c.running() {
		return nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(c.err, &exit) && exit.ExitCode() <= 0 {
		return nil
	}
	return c.err
}

// Run keeps the process running until ctx ends, then sends it SIGTERM and waits for it. The error says that the process
// had to be killed, or that it could not be started the first time.
func (s *Supervised) Run(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	supervise(ctx, s.name, s.log, s.child.Load, s.start)
	return s.child.Load().stop(syscall.SIGTERM, s.grace)
}

func (s *Supervised) start(context.Context) error {
	c, err := StartChild(s.command(), syscall.SIGTERM)
	if err != nil {
		return err
	}
	s.child.Store(c)
	return nil
}
