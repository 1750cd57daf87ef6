package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MemcachedConfig says how a private memcached runs. The zero value is 64 MiB on a free port.
type MemcachedConfig struct {
	Port        int // on 127.0.0.1; 0: any free one
	MemoryMiB   int // 0: 64
	Connections int // 0: 1,024, memcached's own default
	ItemKiB     int // the largest item; 0: 1,024, memcached's own default
}

// Memcached is a running memcached child. Its methods may not be called concurrently with one another.
type Memcached struct {
	cfg   MemcachedConfig
	path  string
	cred  *syscall.Credential
	child *Child
}

// StartMemcached starts memcached and returns once it answers. Errors: *MissingError, *PortTakenError.
func StartMemcached(ctx context.Context, cfg MemcachedConfig) (*Memcached, error) {
	path, err := FindMemcached()
	if err != nil {
		return nil, err
	}
	cred, err := unprivileged("memcache", "memcached", "nobody")
	if err != nil {
		return nil, err
	}
	if cfg.MemoryMiB == 0 {
		cfg.MemoryMiB = 64
	}
	if cfg.Connections == 0 {
		cfg.Connections = 1024
	}
	if cfg.ItemKiB == 0 {
		cfg.ItemKiB = 1024
	}
	if cfg.Port != 0 {
		m := &Memcached{cfg: cfg, path: path, cred: cred}
		if err := m.start(ctx); err != nil {
			return nil, err
		}
		return m, nil
	}
	for attempt := 0; ; attempt++ { // a port found free may be taken before memcached has it
		if cfg.Port, err = freePort(); err != nil {
			return nil, err
		}
		m := &Memcached{cfg: cfg, path: path, cred: cred}
		if err = m.start(ctx); err == nil {
			return m, nil
		}
		if taken := (*PortTakenError)(nil); !errors.As(err, &taken) || attempt == 4 {
			return nil, err
		}
	}
}

func (m *Memcached) start(ctx context.Context) error {
	if err := CheckPort("memcached", m.Addr()); err != nil {
		return err
	}
	// -U 0: UDP answers are an amplifier. The default of an item, 1 MiB, is also the greatest NATS message.
	cmd := exec.Command(m.path, "-l", "127.0.0.1", "-p", strconv.Itoa(m.cfg.Port), "-U", "0",
		"-m", strconv.Itoa(m.cfg.MemoryMiB), "-c", strconv.Itoa(m.cfg.Connections), "-t", "2",
		"-I", strconv.Itoa(m.cfg.ItemKiB)+"k")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.cred}
	c, err := StartChild(cmd, syscall.SIGKILL) // it has nothing to save, and a frozen process handles no other signal
	if err != nil {
		return err
	}
	m.child = c
	if err := m.waitReady(ctx); err != nil {
		_ = c.stop(syscall.SIGKILL, time.Second) // the first error is the one to report
		return err
	}
	return nil
}

// waitReady waits until the child answers. The pid in its statistics distinguishes it from another memcached that took
// the port.
func (m *Memcached) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		pid, err := memcachedPID(m.Addr())
		if err == nil && pid == m.child.PID() {
			return nil
		}
		if err == nil {
			return &PortTakenError{What: "memcached", Addr: m.Addr(), Owner: fmt.Sprintf("memcached (pid %d)", pid)}
		}
		select {
		case <-m.child.done:
			if taken := CheckPort("memcached", m.Addr()); taken != nil {
				return taken
			}
			return fmt.Errorf("memcached ended while starting: %w", m.child.err)
		case <-ctx.Done():
			return fmt.Errorf("memcached on %s does not answer: %w", m.Addr(), errors.Join(ctx.Err(), err))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func memcachedPID(addr string) (int, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("stats\r\n")); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(conn).ReadString('\n') // STAT pid 1234
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(strings.TrimSpace(line), "STAT pid ")
	if !ok {
		return 0, fmt.Errorf("%s is not memcached: it says %q", addr, line)
	}
	return strconv.Atoi(number)
}

// Addr is host:port.
func (m *Memcached) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.cfg.Port)) }

// Done is closed when the child has ended.
func (m *Memcached) Done() <-chan struct{} { return m.child.done }

// Stop ends the child and waits for it. Safe to call twice. It kills it: a cache has nothing to save, and after SIGTERM
// memcached takes 1 to 2 s.
func (m *Memcached) Stop() error { return m.child.stop(syscall.SIGKILL, 5*time.Second) }

// Restart starts it again on the same port, empty, after stopping it if it still runs.
func (m *Memcached) Restart(ctx context.Context) error {
	if err := m.Stop(); err != nil {
		return err
	}
	return m.start(ctx)
}

// Freeze suspends the process (SIGSTOP): it keeps its connections and does not answer, until Thaw.
func (m *Memcached) Freeze() error { return m.child.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen process.
func (m *Memcached) Thaw() error { return m.child.Signal(syscall.SIGCONT) }
