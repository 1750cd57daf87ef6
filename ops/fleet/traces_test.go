//go:build linux

package fleet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// traces are the namespaces and the cgroup of a fleet. The namespaces are held until the test ends: the kernel gives
// the number of one that is gone to the next that is made.
type traces struct {
	group      string
	namespaces map[string]bool // "net:[4026532281]"
}

// kinds are the namespaces that a machine, or the keeper, has for itself.
var kinds = []string{"net", "mnt", "pid", "ipc", "uts", "cgroup"}

// tracesOf finds what a running fleet has of its own: all namespaces of its processes that are not this process's.
func tracesOf(t *testing.T, f *Fleet) traces {
	t.Helper()
	tr := tracesOfGroup(t, f.group)
	if want := 2 + 6*len(f.Machines); len(tr.namespaces) < want {
		t.Errorf("%d namespaces found, want %d at least: %v", len(tr.namespaces), want, tr.namespaces)
	}
	return tr
}

func tracesOfGroup(t *testing.T, group string) traces {
	t.Helper()
	tr := traces{group: group, namespaces: map[string]bool{}}
	tr.add(t)
	return tr
}

// add adds what the fleet has now.
func (tr traces) add(t *testing.T) {
	t.Helper()
	processes(t, func(dir string) {
		cgroups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(cgroups), tr.group) {
			return
		}
		for _, kind := range kinds {
			held, err := os.Open(filepath.Join(dir, "ns", kind))
			if err != nil { // the process has ended
				continue
			}
			id, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", held.Fd()))
			own, ownErr := os.Readlink("/proc/self/ns/" + kind)
			if err != nil || ownErr != nil || id == own || tr.namespaces[id] {
				_ = held.Close()
				continue
			}
			tr.namespaces[id] = true
			t.Cleanup(func() { _ = held.Close() })
		}
	})
}

// left says what there still is: processes in the namespaces or the cgroup, mounts that hold a namespace, the cgroup.
func (tr traces) left(t *testing.T) []string {
	t.Helper()
	var left []string
	processes(t, func(dir string) {
		if cgroups, err := os.ReadFile(filepath.Join(dir, "cgroup")); err == nil &&
			strings.Contains(string(cgroups), tr.group) {
			left = append(left, "a process in the cgroup: "+dir)
		}
		for _, kind := range kinds {
			if id, err := os.Readlink(filepath.Join(dir, "ns", kind)); err == nil && tr.namespaces[id] {
				left = append(left, fmt.Sprintf("a process in %s: %s", id, dir))
			}
		}
		mounts, err := os.ReadFile(filepath.Join(dir, "mountinfo"))
		if err != nil {
			return
		}
		for id := range tr.namespaces {
			if strings.Contains(string(mounts), id) {
				left = append(left, fmt.Sprintf("a mount that holds %s, of %s", id, dir))
			}
		}
	})
	if tr.cgroup(t) {
		left = append(left, "the cgroup "+tr.group)
	}
	return left
}

// cgroup reports whether the fleet's cgroup exists.
func (tr traces) cgroup(t *testing.T) bool {
	t.Helper()
	const look = `mount -t cgroup2 cgroup2 /mnt && if [ -e "/mnt/$0" ]; then echo yes; else echo no; fi`
	out, err := exec.Command("unshare", "--mount", "sh", "-euc", look, tr.group).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return strings.TrimSpace(string(out)) == "yes"
}

// processes calls f with /proc/<pid> of every process that has not ended.
func processes(t *testing.T, f func(dir string)) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		f(dir)
	}
}

// fleetOf makes this program one that starts a fleet, says so, and waits.
const fleetOf = "KILLR_FLEET_TEST"

func beFleet() bool {
	if os.Getenv(fleetOf) == "" {
		return false
	}
	f, err := Start(context.Background(), 1)
	if err != nil {
		fmt.Println("failed", err)
		return true
	}
	fmt.Println("ready", f.group, f.pid)
	select {} // it is killed
}

// TestKilledTestLeavesNothing kills a program with a fleet.
func TestKilledTestLeavesNothing(t *testing.T) {
	t.Parallel()
	killed, group, _ := otherProgram(t)
	tr := tracesOfGroup(t, group)
	if len(tr.namespaces) < 8 || !tr.cgroup(t) {
		t.Fatalf("no fleet was found: %v", tr)
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testenv.Within(t, 2*time.Minute, "nothing is left of the fleet", func() bool { return len(tr.left(t)) == 0 })
}

// TestKilledKeeperIsSweptUp kills the keeper, which takes all machines with it; the next fleet removes its cgroups.
func TestKilledKeeperIsSweptUp(t *testing.T) {
	t.Parallel()
	other, group, pid := otherProgram(t)
	tr := tracesOfGroup(t, group)
	var keeper int
	if _, err := fmt.Sscan(pid, &keeper); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testenv.Within(t, 2*time.Minute, "only the cgroup is left", func() bool {
		left := tr.left(t)
		return len(left) == 0 || len(left) == 1 && strings.HasPrefix(left[0], "the cgroup")
	})
	start(t, 1)
	if tr.cgroup(t) {
		t.Error("the next fleet left the cgroup of one whose keeper was killed")
	}
}

// otherProgram starts a program that starts a fleet of one machine.
func otherProgram(t *testing.T) (program *exec.Cmd, group, keeper string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fleetOf+"=1")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "ready" {
		t.Fatal(line)
	}
	return cmd, fields[1], fields[2]
}
