//go:build linux

package fleet

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"
)

var (
	//go:embed plug.sh
	plugScript string
	//go:embed unplug.sh
	unplugScript string
	//go:embed machine.sh
	machineScript string
)

// beginScript joins the machine's cgroup, so that the machine's namespace of cgroups begins there, and becomes PID 1 of
// the machine.
const beginScript = `mkdir -p "/run/cgroup/$2/m$1"
echo 0 >"/run/cgroup/$2/m$1/cgroup.procs"
exec nsenter --net="/run/netns/m$1" unshare --mount --uts --ipc --pid --cgroup --fork --kill-child \
	sh -euc "$3" sh "$1" "$4"`

// Machine is a computer of the fleet.
type Machine struct {
	Name    string // m1; others of the fleet know it by this name
	Address string // 10.77.0.1

	fleet   *Fleet
	number  int
	cable   *cable
	console *console
	process *exec.Cmd
	ended   chan struct{} // closed when the machine has ended; nil: never booted
}

func newMachine(f *Fleet, n int) *Machine {
	return &Machine{
		Name: "m" + number(n), Address: "10.77.0." + number(n), fleet: f, number: n,
		cable: &cable{fleet: f, number: n}, console: &console{},
	}
}

// Boot starts the machine, with the disk that it had, and returns when systemd has started everything and ssh answers.
func (m *Machine) Boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	if err := m.boot(ctx); err != nil {
		return fmt.Errorf("boot %s: %w; its console: %s", m.Name, err, m.console)
	}
	return nil
}

func (m *Machine) boot(ctx context.Context) error {
	if m.ended != nil {
		select {
		case <-m.ended:
		default:
			return errors.New("it is running")
		}
	}
	if err := m.fleet.script(ctx, unplugScript, number(m.number), m.fleet.group); err != nil {
		return err
	}
	if err := m.fleet.script(ctx, plugScript, number(m.number)); err != nil {
		return err
	}
	// systemd says READY=1 here when it has started everything.
	path := "/run/fleet/" + m.Name + ".notify"
	if err := m.fleet.script(ctx, `rm -f "$1"`, path); err != nil {
		return err
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/proc/" + m.fleet.pid + "/root" + path})
	if err != nil {
		return err
	}
	defer func() { _ = ready.Close() }()

	m.process = m.fleet.Command(context.Background(), // it ends with the fleet
		"sh", "-euc", beginScript, "sh", number(m.number), m.fleet.group, machineScript, m.fleet.shared)
	m.process.Stdout, m.process.Stderr = m.console, m.console
	if err := m.process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	m.ended = ended
	go func() {
		_ = m.process.Wait() // killed, as a rule
		close(ended)
		_ = ready.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = ready.Close() })
	defer stop()
	for message := make([]byte, 4096); ; {
		n, err := ready.Read(message)
		if err != nil {
			return errors.Join(ctx.Err(), errors.New("it did not become ready"))
		}
		if bytes.Contains(message[:n], []byte("READY=1")) {
			break
		}
	}
	return m.answers(ctx)
}

// answers waits until the machine takes commands. One that starts on a busy computer may be too slow for ssh.
func (m *Machine) answers(ctx context.Context) error {
	for {
		_, err := m.Run(ctx, "true")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-m.ended:
			return errors.Join(errors.New("it has ended"), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Run runs a command of the shell on the machine, by ssh, and returns what it wrote to its output. The error has what
// it wrote to its error output. A machine that does not answer is an error after 30 to 60 s.
func (m *Machine) Run(ctx context.Context, command string) (string, error) {
	cmd := m.fleet.Command(ctx, "ssh", "-F", "/run/fleet/ssh_config", m.Name, command)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w: %s", m.Name, command, err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

// Cut pulls the machine's cable, until Join: nothing reaches it and nothing comes from it. Neither side is told.
func (m *Machine) Cut(ctx context.Context) error { return m.set(ctx, "down") }

// Join plugs the cable in again.
func (m *Machine) Join(ctx context.Context) error { return m.set(ctx, "up") }

func (m *Machine) set(ctx context.Context, state string) error {
	err := m.fleet.script(ctx, `ip link set "p$1" "$2"`, number(m.number), state)
	if err != nil {
		return fmt.Errorf("set the cable of %s %s: %w", m.Name, state, err)
	}
	return nil
}

// Slow makes the machine's cable slow; the zero value of Slowness undoes that.
func (m *Machine) Slow(ctx context.Context, how Slowness) error {
	if err := m.cable.slow(ctx, how); err != nil {
		return fmt.Errorf("slow down %s: %w", m.Name, err)
	}
	return nil
}

// Kill takes the machine's power away. It says nothing more to anybody, not even the end of a connection. Its disk
// stays, with all that was written. The next Boot gives it a new cable, which is not slow.
func (m *Machine) Kill(ctx context.Context) error {
	if err := m.kill(ctx); err != nil {
		return fmt.Errorf("kill %s: %w", m.Name, err)
	}
	return nil
}

func (m *Machine) kill(ctx context.Context) error {
	if err := m.Cut(ctx); err != nil {
		return err
	}
	m.cable.cut()
	err := m.fleet.script(ctx, `echo 1 >"/run/cgroup/$2/m$1/cgroup.kill"`, number(m.number), m.fleet.group)
	if err != nil {
		return err
	}
	select {
	case <-m.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	// The cable goes before what is in the machine's network namespace: it must not end connections at the next boot.
	return m.fleet.script(ctx, unplugScript, number(m.number), m.fleet.group)
}

// Ended is closed when the machine has ended, by Kill, or because it was shut down. It is another one after a Boot.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Console is the end of what systemd has printed since the first boot.
func (m *Machine) Console() string { return m.console.String() }

// end kills what waits for the machine's first process.
func (m *Machine) end() {
	if m.ended != nil {
		_ = m.process.Process.Kill()
	}
}

// wait waits until the machine, which is ending, has ended.
func (m *Machine) wait() {
	if m.ended != nil {
		<-m.ended
	}
}
