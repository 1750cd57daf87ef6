package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Child is a process that this one started. It ends before, or with, this one.
type Child struct {
	name    string
	process *os.Process
	done    chan struct{} // closed once the process has ended and been reaped
	err     error         // why it ended; valid once done is closed
}

// StartChild starts cmd in a process group of its own, so that a Ctrl-C in the terminal reaches this process, which
// ends its services in order. onParentDeath is the signal that Linux sends the child when this process dies.
//
// The parent-death signal belongs to the OS *thread* that forked, so the goroutine that starts the child keeps its
// thread until the child has been reaped.
func StartChild(cmd *exec.Cmd, onParentDeath syscall.Signal) (*Child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, onParentDeath)

	c := &Child{name: cmd.Path, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// PID is the process's id, also after its end.
func (c *Child) PID() int { return c.process.Pid }

// Done is closed once the process has ended and been reaped.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is what exec.Cmd.Wait returned, once Done is closed.
func (c *Child) Err() error { return c.err }

// Signal sends a signal; that the child has already ended is no error.
func (c *Child) Signal(s os.Signal) error {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", c.name, err)
	}
	return nil
}

// stop sends the signal first and waits. A child that has not ended after grace is killed, which is an error. Safe to
// call twice, and for a frozen child.
func (c *Child) stop(first syscall.Signal, grace time.Duration) error {
	_ = c.Signal(first)
	_ = c.Signal(syscall.SIGCONT) // a frozen process would never handle the first signal
	select {
	case <-c.done:
		return nil
	case <-time.After(grace):
	}
	_ = c.Signal(syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("%s did not end within %s and was killed", c.name, grace)
}

func (c *Child) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// alive reports whether a process with this id exists, of any user.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
