//go:build linux

package fleet

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// startLimit bounds the start of the keeper, which takes less than a second on an idle computer.
	startLimit = 2 * time.Minute
	// bootLimit bounds a machine's boot, which takes 1 to 3 s alone on an idle computer.
	bootLimit = 3 * time.Minute
	// stopLimit bounds the end of the keeper: it gives processes a minute to end.
	stopLimit = 2 * time.Minute
	// outputLimit is how long a command that was cut short may go on holding its output.
	outputLimit = 5 * time.Second
)

//go:embed keeper.sh
var keeperScript string

// Fleet is a number of machines on a private network. Machines may be used at the same time, each by one goroutine.
type Fleet struct {
	Machines []*Machine // m1 first

	group  string // the cgroup of all
	shared string // a directory of this computer that all machines see; "": none
	keeper *exec.Cmd
	input  io.Closer // closed, it ends the keeper
	pid    string    // of the keeper
	errors *console  // what the keeper has complained about
}

// Start boots n machines, 99 at most, at the same time, and returns when all take commands. An error says what this
// computer lacks; then nothing is left.
func Start(ctx context.Context, n int) (*Fleet, error) { return StartSharing(ctx, n, "") }

// SharedDir is where machines see the directory that they share.
const SharedDir = "/srv/shared"

// StartSharing is [Start] of machines that all see a directory of this computer at SharedDir, as one that is mounted
// from a server; "": none. It stays when the fleet ends.
func StartSharing(ctx context.Context, n int, dir string) (*Fleet, error) {
	if n < 1 || n > 99 {
		return nil, fmt.Errorf("start a fleet of %d machines: 1 to 99 are possible", n)
	}
	if err := Possible(); err != nil {
		return nil, err
	}
	f := &Fleet{group: fmt.Sprintf("killr-fleet-%d-%d", os.Getpid(), time.Now().UnixNano()), shared: dir,
		errors: &console{}}
	if err := f.startKeeper(ctx); err != nil {
		return nil, fmt.Errorf("start a fleet: %w", err)
	}
	for i := range n {
		f.Machines = append(f.Machines, newMachine(f, i+1))
	}
	booting, failed := errgroup.WithContext(ctx)
	for _, m := range f.Machines {
		booting.Go(func() error { return m.Boot(failed) })
	}
	if err := booting.Wait(); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Possible says what is missing on this computer, as far as that can be seen before a start.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("start a fleet: namespaces, networks and mounts need root: run it as root")
	}
	for _, program := range []string{
		"/lib/systemd/systemd", "/usr/sbin/sshd", "ssh", "ssh-keygen", "ip",
		"unshare", "nsenter", "setpriv", "pivot_root",
	} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("start a fleet: %w: run `killr setup`", err)
		}
	}
	return nil
}

// startKeeper starts the keeper and waits until it has made the network.
func (f *Fleet) startKeeper(ctx context.Context) error {
	// Not bound to ctx, and in a session of its own: it ends last, and no Ctrl-C cuts short what it removes.
	f.keeper = exec.Command("unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child",
		"--propagation", "private", "sh", "-c", keeperScript, "keeper", f.group)
	f.keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	f.keeper.Stderr = f.errors
	f.keeper.WaitDelay = outputLimit
	input, err := f.keeper.StdinPipe()
	if err != nil {
		return err
	}
	output, err := f.keeper.StdoutPipe()
	if err != nil {
		return err
	}
	if err := f.keeper.Start(); err != nil {
		return err
	}
	f.input = input
	stop := context.AfterFunc(ctx, func() { _ = input.Close() })
	defer stop()
	late := time.AfterFunc(startLimit, func() { _ = f.keeper.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(output).ReadString('\n')
	pid, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err == nil && ready && ctx.Err() == nil {
		f.pid = pid
		return nil
	}
	stopped := f.Stop()
	return errors.Join(ctx.Err(), fmt.Errorf("this computer does not allow it: %s", f.errors), stopped)
}

// Stop ends all machines and removes every trace of them. An error says what is left. Safe to call twice.
func (f *Fleet) Stop() error {
	if f.input == nil {
		return nil
	}
	_ = f.input.Close() // the keeper may have ended
	f.input = nil
	for _, m := range f.Machines {
		m.cable.cut()
	}
	late := time.AfterFunc(stopLimit, func() {
		_ = f.keeper.Process.Kill()
		for _, m := range f.Machines {
			m.end()
		}
	})
	defer late.Stop()
	err := f.keeper.Wait()
	for _, m := range f.Machines {
		m.wait()
	}
	if err != nil {
		return fmt.Errorf("stop the fleet: %w: %s", err, f.errors)
	}
	return nil
}

// Command is a command on the fleet's network, beside the machines. It sees the files of this computer, and knows the
// machines' names and keys: `ssh m1` works there. It ends with ctx, or with the fleet.
func (f *Fleet) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--target", f.pid, "--mount", "--net", "--ipc", "--pid", "--wd=/", "--",
		"setpriv", "--pdeathsig", "KILL", name,
	}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = outputLimit
	return cmd
}

// script runs a shell script on the fleet's network. The error has what it printed.
func (f *Fleet) script(ctx context.Context, script string, args ...string) error {
	out, err := f.Command(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func number(n int) string { return strconv.Itoa(n) }
