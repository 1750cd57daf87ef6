// Package outside has work done by other processes of this program, of a lower priority: work that would keep the
// processors from people who wait for pages, or that what strangers have sent could make crash.
package outside

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"time"
)

const (
	// Nice is the priority of the processes. Beside busy processes of the usual priority one gets a tenth of a
	// processor, so what they do goes on in an overload.
	Nice = 10
	// starvedFor is for how long no process is one for idle processors after one has got none.
	starvedFor = time.Minute
	// endBound is how long a process may take to end when it is told to.
	endBound = 5 * time.Second
)

// ErrNone: no process was asked, because one failed a moment ago, or all have ended.
var ErrNone = errors.New("no process is asked for now")

// ErrStart: a process could not be started, or does not speak as it should.
var ErrStart = errors.New("start a process")

// Processes are processes that do one kind of work. Each is started when it is first needed, and is asked one thing at
// a time. The methods may be called at once.
type Processes struct {
	command func() *exec.Cmd
	places  chan *Process // one for each process that may run; nil: it does not run yet

	pause     time.Duration
	pausedAt  atomic.Pointer[time.Time] // nil: never
	starvedAt atomic.Pointer[time.Time] // nil: never
}

// Process is one of Processes. What it says and is told goes by gob, and by bytes between the values.
type Process struct {
	New bool // It has not been asked anything yet.

	idle  bool      // it gets the processors that nothing else wants
	Input io.Writer // what it reads
	*gob.Encoder
	*gob.Decoder

	command *exec.Cmd
	input   io.Closer
}

// New makes atOnce places for processes, each of which runs a command that ends when its input does. After Pause none
// is asked for so long.
func New(atOnce int, command func() *exec.Cmd, pause time.Duration) *Processes {
	all := &Processes{command: command, places: make(chan *Process, atOnce), pause: pause}
	for range atOnce {
		all.places <- nil
	}
	return all
}

// Ask runs exchange with a process that is asked nothing else meanwhile. When ctx ends, the process is killed. It is
// killed, too, when exchange returns an error, which Ask returns. It returns ErrNone or ErrStart when none was asked.
func (all *Processes) Ask(ctx context.Context, exchange func(*Process) error) error {
	return all.ask(ctx, 0, exchange)
}

// AskIdle is Ask of a process that gets only processors that nothing else wants, where the system has such processes.
// Without patience it is Ask.
// When exchange takes longer than patience there may be none to get: that process is killed, and exchange runs once
// more, with one of the priority Nice. So do others for a minute.
func (all *Processes) AskIdle(ctx context.Context, patience time.Duration, exchange func(*Process) error) error {
	if at := all.starvedAt.Load(); patience == 0 || at != nil && time.Since(*at) < starvedFor {
		return all.ask(ctx, 0, exchange)
	}
	err := all.ask(ctx, patience, exchange)
	if !errors.Is(err, errStarved) {
		return err
	}
	now := time.Now()
	all.starvedAt.Store(&now)
	return all.ask(ctx, 0, exchange)
}

// errStarved: a process was not done within its patience.
var errStarved = errors.New("too few idle processors")

// ask asks one process. It is one for idle processors if patience is not 0.
func (all *Processes) ask(ctx context.Context, patience time.Duration, exchange func(*Process) error) (err error) {
	if all.Paused() {
		return ErrNone
	}
	var p *Process
	var open bool
	select {
	case p, open = <-all.places:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !open {
		return ErrNone
	}
	defer func() { all.places <- p }()
	if all.Paused() { // since it waits for a place
		return ErrNone
	}
	idle := patience > 0
	if p != nil && p.idle != idle {
		_ = p.end()
		p = nil
	}
	if p == nil {
		if p, err = start(all.command(), idle); err != nil {
			return fmt.Errorf("%w: %w", ErrStart, err)
		}
	}
	if idle {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, errStarved)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, p.Kill)
	whole := false
	defer func() {
		if whole {
			return
		}
		// Also when exchange has panicked: the rest of an answer is nobody else's.
		p.Kill() // it may not end by itself
		if ended := p.end(); err != nil {
			err = errors.Join(err, ended)
		}
		p = nil
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	err = exchange(p)
	p.New = false
	whole = stop() && err == nil
	return err
}

// Pause has no process asked for a while.
func (all *Processes) Pause() {
	now := time.Now()
	all.pausedAt.Store(&now)
}

// Paused reports whether no process is asked for now.
func (all *Processes) Paused() bool {
	at := all.pausedAt.Load()
	return at != nil && time.Since(*at) < all.pause
}

// End ends the processes, once each has answered. Nothing is asked of them any more.
func (all *Processes) End() {
	for range cap(all.places) {
		if p := <-all.places; p != nil {
			_ = p.end()
		}
	}
	close(all.places) // for those who wait for a place
}

// start starts a process, in a session of its own: a Ctrl-C for this one does not end it, its priority is that of all
// its threads, and it shares no processor's time with those who wait for it where Linux shares by sessions. On Linux it
// is killed when this process ends, even if it is busy and does not read.
func start(command *exec.Cmd, idle bool) (*Process, error) {
	command.SysProcAttr = attributes()
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	lower(command.Process.Pid, idle)
	return &Process{New: true, idle: idle, Input: input, Encoder: gob.NewEncoder(input),
		Decoder: gob.NewDecoder(output), command: command, input: input}, nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Kill ends the process at once. One that is asked something answers no more.
func (p *Process) Kill() { _ = p.command.Process.Kill() }

// end tells the process to end, and waits for it.
func (p *Process) end() error {
	late := time.AfterFunc(endBound, p.Kill)
	defer late.Stop()
	return errors.Join(p.input.Close(), p.command.Wait())
}
