package testenv_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// failing records how a test would have failed.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestWaitForKills: a program that does not end fails its test, and does not outlive it.
func TestWaitForKills(t *testing.T) {
	t.Parallel()
	p := testenv.StartProgram(t, "sleep", nil, "3600")
	f := &failing{TB: t}
	var waiting sync.WaitGroup
	waiting.Go(func() { p.WaitFor(f, time.Millisecond) })
	waiting.Wait()
	if !strings.Contains(f.said, `["sleep" "3600"] did not end within 1ms and was killed`) {
		t.Errorf("the test failed with %q", f.said)
	}
	if exists(p.PID()) {
		t.Error("the program still runs")
	}
	if status := p.Wait(t); status != -1 {
		t.Errorf("its status is %d", status)
	}
}

// starter turns this test program into one that starts a program and is killed.
const starter = "KILLR_TEST_STARTS_A_PROGRAM"

// TestProgramDiesWithTheTests: a test process that is killed leaves no program behind.
func TestProgramDiesWithTheTests(t *testing.T) {
	if os.Getenv(starter) != "" {
		fmt.Println("started", testenv.StartProgram(t, "sleep", nil, "3600").PID())
		select {} // until killed
	}
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux ends a program with its parent")
		return
	}
	tests := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.timeout", "1m")
	tests.Env = append(os.Environ(), starter+"=1")
	out, err := tests.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tests.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	line, readErr := bufio.NewReader(out).ReadString('\n')
	_, scanErr := fmt.Sscanf(line, "started %d", &pid)
	if err := tests.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := tests.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the test process ended with %v", err)
	}
	if readErr != nil || scanErr != nil {
		t.Fatalf("it wrote %q: %v, %v", line, readErr, scanErr)
	}
	testenv.Eventually(t, "the program has ended", func() bool { return !exists(pid) })
}

// exists reports whether there is a process with this id.
func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }
