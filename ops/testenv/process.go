package testenv

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test runs.
type Process struct {
	Stdout, Stderr *Output

	cmd    *exec.Cmd
	ended  chan struct{}
	status int // valid once ended is closed
}

// How long a process may take to end, and to write a line.
const (
	endWait  = time.Minute
	lineWait = 5 * time.Minute
)

// StartProcess runs the test binary itself, whose TestMain turns it into the package's program, with env added to its
// environment. It is stopped when the test ends.
func StartProcess(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	return StartProgram(t, os.Args[0], env, args...)
}

// StartProgram is StartProcess for another program.
func StartProgram(t testing.TB, path string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{
		Stdout: NewOutput(),
		Stderr: NewOutput(),
		ended:  make(chan struct{}),
		cmd:    exec.Command(path, args...),
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C for the tests is not one for it
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		err := p.cmd.Wait()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			p.status = exit.ExitCode()
		}
	}()
	t.Cleanup(func() { p.Stop(t) })
	return p
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the process a signal. One that has ended is not an error.
func (p *Process) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// Kill ends the process as a crash does, and waits for it.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, os.Kill)
	p.Wait(t)
}

// Stop asks the process to end, waits for it, and returns its exit status. Safe to call twice.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	return p.Wait(t)
}

// Wait waits for the process to end and returns its exit status.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	return p.WaitFor(t, endWait)
}

// WaitFor is Wait with another time limit.
func (p *Process) WaitFor(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		t.Fatalf("%q does not end: %s", p.cmd.Args, p.Stderr)
	}
	return p.status
}

// WaitLine waits until the process has written a line with all these words to one of its outputs, and returns the line.
func (p *Process) WaitLine(t testing.TB, out *Output, words ...string) string {
	t.Helper()
	limit := time.After(lineWait)
	for {
		if line, ok := out.Line(words...); ok {
			return line
		}
		select {
		case <-out.More():
		case <-p.ended:
			if line, ok := out.Line(words...); ok {
				return line
			}
			t.Fatalf("%q ended with status %d and wrote no line with %q: %s", p.cmd.Args, p.status, words, p.Stderr)
		case <-limit:
			t.Fatalf("%q wrote no line with %q: %s", p.cmd.Args, words, p.Stderr)
		}
	}
}

// Output collects what is written to it, for a test that waits for more.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

// NewOutput returns an empty output.
func NewOutput() *Output { return &Output{more: make(chan struct{}, 1)} }

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

// String is everything written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// More receives after a write. One reader at a time may wait for it.
func (o *Output) More() <-chan struct{} { return o.more }

// Line is the first complete line so far with all these words.
func (o *Output) Line(words ...string) (string, bool) {
	for line := range strings.Lines(o.String()) {
		all := strings.HasSuffix(line, "\n")
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return strings.TrimSuffix(line, "\n"), true
		}
	}
	return "", false
}
