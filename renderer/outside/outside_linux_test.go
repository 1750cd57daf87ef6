package outside_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flickrkillr/renderer/outside"
)

// startsAs is the environment variable that turns this test program into one that asks a process, and then waits.
const startsAs = "KILLR_TEST_ASKS"

func TestMain(m *testing.M) {
	if os.Getenv(startsAs) != "" {
		ask()
		return
	}
	os.Exit(m.Run())
}

// ask asks a process that reads no input, and has this program's output. It is asked for as long as there is input.
func ask() {
	all := outside.New(1, func() *exec.Cmd {
		cmd := exec.Command("sh", "-c", "echo asked >&2; exec sleep 1000")
		cmd.Stderr = os.Stdout
		return cmd
	}, 0)
	_ = all.Ask(context.Background(), func(*outside.Process) error {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}

// TestEndsWithItsParent: a process that is busy, and does not read its input, ends when the one that asks is killed.
func TestEndsWithItsParent(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	asker := exec.Command(os.Args[0])
	asker.Env = append(os.Environ(), startsAs+"=1")
	asker.Stdout = w
	input, err := asker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err = errors.Join(asker.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	output := bufio.NewReader(r)
	if line, err := output.ReadString('\n'); line != "asked\n" {
		t.Errorf("the process says %q, %v", line, err)
	}
	if err := asker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = asker.Wait()
	if rest, err := io.ReadAll(output); err != nil || len(rest) != 0 { // until both have closed it
		t.Errorf("then %q, %v", rest, err)
	}
}

// TestIdle: a process for idle processors has no others with it in its session, and all its threads are of that policy.
// One that takes too long is killed, and one of the usual lower priority does what it has not done; so do others then.
func TestIdle(t *testing.T) {
	t.Parallel()
	all := outside.New(1, func() *exec.Cmd { return exec.Command("cat") }, 0)
	defer all.End()
	look := func(p *outside.Process) (policy uint32) {
		t.Helper()
		pid := p.PID()
		attr, err := unix.SchedGetAttr(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		session, err := unix.Getsid(pid)
		if err != nil || session != pid {
			t.Errorf("the session of process %d is %d, %v", pid, session, err)
		}
		if attr.Policy != unix.SCHED_IDLE && attr.Nice < outside.Nice {
			t.Errorf("a nice value of %d", attr.Nice)
		}
		return attr.Policy
	}
	var seen []uint32
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		err := all.AskIdle(ctx, time.Millisecond, func(p *outside.Process) error {
			seen = append(seen, look(p))
			if seen[len(seen)-1] == unix.SCHED_IDLE {
				var never string
				return p.Decode(&never)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if want := []uint32{unix.SCHED_IDLE, unix.SCHED_NORMAL, unix.SCHED_NORMAL}; !slices.Equal(seen, want) {
		t.Errorf("policies %v, want %v", seen, want)
	}
}
