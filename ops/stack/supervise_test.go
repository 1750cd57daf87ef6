package stack

import (
	"context"
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

func TestSupervisedProcessThatCannotStart(t *testing.T) {
	t.Parallel()
	k := Supervise("nobody", time.Second, slog.New(slog.DiscardHandler),
		func() *exec.Cmd { return exec.Command("/no/such/program") })
	if err := k.Run(t.Context()); err == nil {
		t.Error("no error")
	}
}
