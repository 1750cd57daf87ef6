package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// parentOf is the environment variable that turns this test program into an `up` to be killed: it holds the data
// directory.
const parentOf = "KILLR_TEST_PARENT_OF"

// sandboxOf is the environment variable that turns this test program into a command with a sandbox, to be killed.
const sandboxOf = "KILLR_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentOf); dir != "" {
		s, err := Start(context.Background(), Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready", s.memcached.child.PID(), s.postgres.child.PID())
		select {} // until killed
	}
	if os.Getenv(sandboxOf) != "" {
		s, err := Start(context.Background(), Config{Sandbox: "test", NoNATS: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready", s.Dir())
		select {} // until killed
	}
	goleak.VerifyTestMain(m)
}

// After a kill -9 of everything that `up` is, nothing of it runs on, and the next start finds its data.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	dir := postgresHome(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentOf+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var memcached, postgres int
	if _, err := fmt.Sscanf(line, "ready %d %d", &memcached, &postgres); err != nil {
		t.Fatal(err, line)
	}
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the parent ended with %v", err)
	}

	began := time.Now()
	s, err := Start(t.Context(), Config{Dir: dir}) // at once, while its children may still be on their way out
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started %s after the kill", time.Since(began).Round(time.Millisecond))
	orphaned := func() bool { return runtime.GOOS == "linux" && alive(memcached) || alive(postgres) }
	// Killed, but perhaps not yet reaped by init.
	for end := time.Now().Add(20 * time.Second); orphaned(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("a service outlived its parent")
			break
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// After a kill -9 of a command nothing is left of its sandbox.
func TestKilledSandbox(t *testing.T) {
	t.Parallel()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), sandboxOf+"=1")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err := errors.Join(err, command.Process.Kill()); err != nil || !ready {
		t.Fatal(err, line)
	}
	_ = command.Wait() // killed
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is left", dir)
		}
	}
}
