package stack

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// Pauses of supervision. A program that failed is started again after a pause that doubles with each failure, until the
// program has run for lastsFor. One that ended with status 0 was told to end and is started again at once, so that it
// is away only for as long as it needs to start. Two starts are at least leastRestartWait apart in any case.
const (
	leastRestartWait = 50 * time.Millisecond
	mostRestartWait  = 5 * time.Second
	lastsFor         = 10 * time.Second
)

// backOff chooses the pauses. Its zero value is for a program that has not failed yet.
type backOff struct {
	last time.Duration // the pause after the last failure; 0: no failure since the program last lasted
}

// wait is the pause after a program that ran for so long has ended with err, nil for status 0.
func (b *backOff) wait(err error, ran time.Duration) time.Duration {
	if err == nil {
		b.last = 0
		return max(0, leastRestartWait-ran)
	}
	if ran > lastsFor {
		b.last = 0
	}
	b.last = min(max(2*b.last, leastRestartWait), mostRestartWait)
	return b.last
}

// supervise starts a program again each time it ends by itself, and returns when ctx ends. current is the process that
// was started last.
func supervise(
	ctx context.Context,
	name string,
	log *slog.Logger,
	current func() *Child,
	restart func(context.Context) error,
) {
	var pauses backOff
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
		wait := pauses.wait(c.err, time.Since(began))
		if c.err == nil {
			log.Info(name + " ended with status 0 and is started again")
		} else {
			log.Error(name+" ended by itself and is started again", "err", c.err, "wait", wait)
		}
		if !sleep.For(ctx, wait) {
			return
		}
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

	turns    *Turns                      // with others of its kind; nil: it starts again whatever they do
	ready    func(context.Context) error // nil once the process serves
	awaiting sync.WaitGroup              // goroutines that call ready
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
	supervise(ctx, s.name, s.log, s.child.Load, s.startInTurn)
	s.awaiting.Wait()
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
