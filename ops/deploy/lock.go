package deploy

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"sync"
	"syscall"
	"time"

	"flickrkillr/ops/stack"
)

const (
	// lockEvery is how often the host is told that the lock is still wanted. It lets go after 20 s without that, so a
	// machine that deployed and died holds nothing.
	lockEvery = 5 * time.Second
	// lockLimit bounds how long a host takes to give the lock or to refuse it.
	lockLimit = 30 * time.Second
)

// lock is the right to change hosts, which one deployment at a time has.
type lock struct {
	child  *stack.Child
	input  *os.File
	ending context.CancelFunc
	beats  sync.WaitGroup
}

// takeLock takes the lock on a host. The context that it returns ends when the lock is lost.
func takeLock(ctx context.Context, r *remote, host string) (context.Context, *lock, error) {
	input, in, err := os.Pipe()
	if err != nil {
		return ctx, nil, err
	}
	out := &firstWrite{came: make(chan struct{})}
	child, complaints, err := r.start(ctx, call{
		host: host, script: scriptOf("lock"), args: []string{whoIs()}, stdin: input, stdout: out,
	})
	_ = input.Close() // the child has it
	if err != nil {
		_ = in.Close()
		return ctx, nil, err
	}
	l := &lock{child: child, input: in}
	held, cancel := context.WithCancelCause(ctx)
	l.ending = func() { cancel(context.Canceled) }
	late := time.NewTimer(lockLimit)
	defer late.Stop()
	select {
	case <-out.came:
	case <-child.Done():
		l.release()
		return ctx, nil, fmt.Errorf("the lock on %s is taken: %s", host, complaints)
	case <-late.C:
		l.release()
		return ctx, nil, fmt.Errorf("the lock on %s was neither given nor refused in %s", host, lockLimit)
	case <-ctx.Done():
		l.release()
		return ctx, nil, ctx.Err()
	}
	l.beats.Go(func() {
		every := time.NewTicker(lockEvery)
		defer every.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-child.Done():
				cancel(fmt.Errorf("the lock on %s is lost: run the command again: %s", host, complaints))
				return
			case <-every.C:
				_, _ = in.WriteString("\n") // the end of the child says it when nobody reads
			}
		}
	})
	return held, l, nil
}

// release gives the lock back and waits until the host has let go.
func (l *lock) release() {
	l.ending()
	_ = l.input.Close()
	select {
	case <-l.child.Done():
	case <-time.After(lockLimit):
		_ = l.child.Signal(syscall.SIGKILL)
		<-l.child.Done()
	}
	l.beats.Wait()
}

// whoIs names who deploys: user@machine.
func whoIs() string {
	name, machine := "somebody", "some machine"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		machine = host
	}
	return name + "@" + machine
}

// firstWrite tells of the first write.
type firstWrite struct {
	once sync.Once
	came chan struct{}
}

func (f *firstWrite) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.came) })
	return len(p), nil
}
