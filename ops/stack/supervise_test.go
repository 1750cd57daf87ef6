package stack

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestSupervisedProcess(t *testing.T) {
	t.Parallel()
	k := Supervise("sleeper", 5*time.Second, slog.New(slog.DiscardHandler),
		func() *exec.Cmd { return exec.Command("sleep", "3600") })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	pidOther := func(than int) int { // testenv, which has a helper for this, imports this package
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if pid := k.PID(); pid != 0 && pid != than {
				return pid
			}
		}
		t.Fatalf("within 20 s no process but %d runs", than)
		return 0
	}
	first := pidOther(0)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := pidOther(first)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if alive(second) {
		t.Error("the process outlived Run")
	}
}

// A program that ends with status 0 is started again without the pauses that follow failures: 100 of those take
// minutes.
func TestSupervisedProcessThatEndsInOrder(t *testing.T) {
	t.Parallel()
	starts := 0
	all := make(chan struct{})
	k := Supervise("orderly", 5*time.Second, slog.New(slog.DiscardHandler), func() *exec.Cmd {
		if starts++; starts == 100 {
			close(all)
		}
		return exec.Command("true")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Error("100 starts took longer than a minute")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	failure := errors.New("exit status 1")
	type end struct {
		err  error
		ran  time.Duration
		wait time.Duration
	}
	for name, ends := range map[string][]end{
		"failures": {
			{failure, 0, 50 * ms}, {failure, 0, 100 * ms}, {failure, time.Second, 200 * ms}, {failure, 0, 400 * ms},
			{failure, 0, 800 * ms}, {failure, 0, 1600 * ms}, {failure, 0, 3200 * ms}, {failure, 0, 5 * time.Second},
			{failure, 0, 5 * time.Second}, {failure, time.Minute, 50 * ms},
		},
		"a program that was told to end":     {{nil, time.Second, 0}, {nil, 200 * ms, 0}, {nil, time.Hour, 0}},
		"a program that has nothing to do":   {{nil, 10 * ms, 40 * ms}, {nil, 0, 50 * ms}, {nil, 0, 50 * ms}},
		"a failure, an orderly end, another": {{failure, 0, 50 * ms}, {nil, time.Second, 0}, {failure, 0, 50 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b backOff
			for i, e := range ends {
				if got := b.wait(e.err, e.ran); got != e.wait {
					t.Errorf("end %d, %v after %v: %v, want %v", i, e.err, e.ran, got, e.wait)
				}
			}
		})
	}
}

func TestSupervisedProcessThatCannotStart(t *testing.T) {
	t.Parallel()
	k := Supervise("nobody", time.Second, slog.New(slog.DiscardHandler),
		func() *exec.Cmd { return exec.Command("/no/such/program") })
	if err := k.Run(t.Context()); err == nil {
		t.Error("no error")
	}
}
