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

	"flickrkillr/ops/stack"
)

// Process is a program that a test runs.
type Process struct {
	Stdout, Stderr *Output

	args  []string
	child *stack.Child
}

// How long a process may take to end, to end after SIGKILL, and to write a line.
const (
	endWait  = time.Minute
	killWait = 30 * time.Second // programs that it started may end later, and keep its outputs open
	lineWait = 5 * time.Minute
)

// StartProcess runs the test binary itself, whose TestMain turns it into the package's program, with env added to its
// environment. It is stopped when the test ends.
func StartProcess(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	return StartProgram(t, os.Args[0], env, args...)
}

// StartProgram is StartProcess for another program. On Linux the program dies with this process, also if that panics or
// is killed.
func StartProgram(t testing.TB, path string, env []string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(path, args...)
	p := &Process{Stdout: NewOutput(), Stderr: NewOutput(), args: cmd.Args}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	var err error
	// After SIGTERM the program would fail at its next log line, because nobody reads its output.
	if p.child, err = stack.StartChild(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%q wrote to its standard error: %s", p.args, p.Stderr)
		}
	})
	return p
}

// PID is the process's id.
func (p *Process) PID() int { return p.child.PID() }

// Signal sends the process a signal. One that has ended is not an error.
func (p *Process) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.child.Signal(signal); err != nil {
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

// WaitFor is Wait with another time limit. A process that has not ended by then is killed.
func (p *Process) WaitFor(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.child.Done():
		return exitStatus(p.child.Err())
	case <-time.After(limit):
	}
	p.Signal(t, syscall.SIGKILL)
	select {
	case <-p.child.Done():
		t.Fatalf("%q did not end within %s and was killed: %s", p.args, limit, p.Stderr)
	case <-time.After(killWait):
		t.Fatalf("%q did not end within %s, nor within %s after SIGKILL: %s", p.args, limit, killWait, p.Stderr)
	}
	return -1
}

// exitStatus is the exit status of a process by the error of exec.Cmd.Wait; -1 if a signal ended it or if it is not
// known.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
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
		case <-p.child.Done():
			if line, ok := out.Line(words...); ok {
				return line
			}
			t.Fatalf(
				"%q ended with status %d and wrote no line with %q: %s",
				p.args, exitStatus(p.child.Err()), words, p.Stderr,
			)
		case <-limit:
			t.Fatalf("%q wrote no line with %q: %s", p.args, words, p.Stderr)
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
