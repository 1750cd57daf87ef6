package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// pidFile is what a PostgreSQL server keeps in its cluster's postmaster.pid while it runs.
type pidFile struct {
	pid    int    // 0: no file, or one without a number
	status string // "starting", "ready", "stopping"
}

func readPIDFile(cluster string) pidFile {
	data, err := os.ReadFile(pidPath(cluster))
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(data), "\n")
	f := pidFile{}
	f.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0])) // no number: no process
	if len(lines) > 7 {
		f.status = strings.TrimSpace(lines[7])
	}
	return f
}

// leftOver says whether a server of an earlier run still holds the cluster in a PostgreSQL's home.
func leftOver(home string) bool {
	cluster, err := filepath.EvalSymlinks(filepath.Join(home, "cluster"))
	if err != nil {
		return false // there is none yet
	}
	f := readPIDFile(cluster)
	return f.pid > 0 && alive(f.pid) && isPostmasterOf(f.pid, cluster)
}

func pidPath(cluster string) string { return filepath.Join(cluster, "postmaster.pid") }

// noProcess is greater than any process id (Linux: at most 2^22).
const noProcess = 1<<22 + 1

// settlePIDFile deals with what an earlier server left behind. PostgreSQL itself notices that the process is dead, but
// refuses to start when the id now belongs to another program, as after a reboot or in a new container. A server that
// outlived its parent still uses the data: it is stopped, and killed if need be.
//
// The caller must hold the data directory's lock, so that no other `up` uses a server that is found running.
func settlePIDFile(ctx context.Context, cluster string) error {
	f := readPIDFile(cluster)
	if f.pid <= 0 || f.pid == os.Getpid() || !alive(f.pid) {
		return nil
	}
	if !isPostmasterOf(f.pid, cluster) {
		// The number is replaced rather than the file removed: PostgreSQL then still looks for surviving sessions of
		// that server by the shared memory that the file names.
		data, err := os.ReadFile(pidPath(cluster))
		if err != nil {
			return err
		}
		_, rest, _ := bytes.Cut(data, []byte("\n"))
		repaired := append([]byte(strconv.Itoa(noProcess)+"\n"), rest...)
		if err := os.WriteFile(pidPath(cluster), repaired, 0o600); err != nil {
			return fmt.Errorf("repair a stale pid file: %w", err)
		}
		return nil
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}} {
		if err := syscall.Kill(f.pid, step.signal); err != nil && alive(f.pid) {
			return fmt.Errorf(
				"a PostgreSQL server (pid %d) left over from an earlier run cannot be stopped: %w",
				f.pid,
				err,
			)
		}
		if gone, err := waitGone(ctx, f.pid, step.wait); err != nil || gone {
			return err
		}
	}
	return fmt.Errorf("a PostgreSQL server (pid %d) left over from an earlier run does not end", f.pid)
}

func waitGone(ctx context.Context, pid int, limit time.Duration) (bool, error) {
	deadline := time.Now().Add(limit)
	for alive(pid) {
		if time.Now().After(deadline) {
			return false, nil
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return false, ctx.Err()
		}
	}
	return true, nil
}

// isPostmasterOf says whether a process is the server of this very cluster: a postmaster's working directory is its
// cluster.
func isPostmasterOf(pid int, cluster string) bool {
	if runtime.GOOS == "linux" {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		return err == nil && cwd == cluster
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres") && strings.Contains(string(out), cluster)
}
