package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"flickrkillr/ops/stack"
)

const (
	// connectLimit bounds a connection to a host, sign-in included.
	connectLimit = 30 * time.Second
	// sayLimit bounds how much of what a host says is kept.
	sayLimit = 16 << 20
	// endLimit bounds how long a process that was killed goes on holding its outputs.
	endLimit = 5 * time.Second
)

// sshOptions are for every connection. It never asks a person for anything, and notices within 20 s that a host is
// gone. Everything else is as ~/.ssh/config says.
var sshOptions = []string{
	"-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15",
	"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
}

// remote runs scripts on hosts, by one connection to each.
type remote struct {
	dir string // of the connections' sockets

	mu      sync.Mutex
	masters map[string]*master
	made    int // connections, also those that have ended
}

// master is a connection: an ssh that runs nothing, through which others run.
type master struct {
	child  *stack.Child
	socket string
	said   *said
}

func newRemote() (*remote, error) {
	dir, err := os.MkdirTemp("", "killr-ssh-")
	if err != nil {
		return nil, err
	}
	return &remote{dir: dir, masters: map[string]*master{}}, nil
}

// close ends all connections, and with them what runs by them.
func (r *remote) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.masters {
		_ = m.child.Signal(syscall.SIGTERM)
	}
	for _, m := range r.masters {
		<-m.child.Done()
	}
	clear(r.masters)
	_ = os.RemoveAll(r.dir)
}

// connect makes the connection to a host, if it has none that lives.
func (r *remote) connect(ctx context.Context, host string) (*master, error) {
	r.mu.Lock()
	m := r.masters[host]
	r.made++
	n := r.made // a socket of its own for each: a master goes on without one when it is there
	r.mu.Unlock()
	if m != nil {
		select {
		case <-m.child.Done():
			return nil, fmt.Errorf("%s: the connection ended: %s", host, m.said)
		default:
			return m, nil
		}
	}
	m = &master{socket: filepath.Join(r.dir, strconv.Itoa(n)), said: &said{}}
	cmd := exec.Command("ssh", append(append([]string{"-M", "-N", "-S", m.socket, "-o", "ControlPersist=no"},
		sshOptions...), "--", host)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = m.said, m.said, endLimit
	var err error
	if m.child, err = stack.StartChild(cmd, syscall.SIGKILL); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.masters[host] = m
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	for { // ssh says in no other way that it has signed in
		if _, err := os.Stat(m.socket); err == nil {
			return m, nil
		}
		select {
		case <-m.child.Done():
			return nil, fmt.Errorf("%s cannot be reached by ssh: %s", host, m.said)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s cannot be reached by ssh: %w", host, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// call is a script that runs on a host, as root: ssh signs in as root, or as somebody whom sudo lets.
type call struct {
	host, script string
	args         []string
	stdin        io.Reader // nil: empty
	stdout       io.Writer // nil: run returns it
}

// run runs a script on a host and returns what it printed. The error has what it complained about.
func (r *remote) run(ctx context.Context, c call) (string, error) {
	out := &said{}
	if c.stdout == nil {
		c.stdout = out
	}
	child, complaints, err := r.start(ctx, c)
	if err != nil {
		return "", err
	}
	select {
	case <-child.Done():
	case <-ctx.Done():
		_ = child.Signal(syscall.SIGKILL)
		<-child.Done()
		return "", fmt.Errorf("%s: %w", c.host, context.Cause(ctx))
	}
	if err := child.Err(); err != nil {
		if text := complaints.String(); text != "" {
			return "", fmt.Errorf("%s: %s", c.host, text)
		}
		return "", fmt.Errorf("%s: %w", c.host, err)
	}
	return out.String(), nil
}

// start starts a script. The caller waits until it is done, or kills it.
func (r *remote) start(ctx context.Context, c call) (*stack.Child, *said, error) {
	m, err := r.connect(ctx, c.host)
	if err != nil {
		return nil, nil, err
	}
	words := []string{"exec", `"$@"`, "bash", "--norc", "-euo", "pipefail", "-c", stack.Quote(c.script), "killr"}
	for _, arg := range c.args {
		words = append(words, stack.Quote(arg))
	}
	command := `if [ "$(id -u)" = 0 ]; then set --; else set -- sudo -n; fi; ` + strings.Join(words, " ")
	cmd := exec.Command("ssh", append(append([]string{"-S", m.socket}, sshOptions...), "--", c.host, command)...)
	complaints := &said{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.stdin, c.stdout, complaints, endLimit
	child, err := stack.StartChild(cmd, syscall.SIGKILL)
	return child, complaints, err
}

// said keeps what a process writes, up to sayLimit.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var errTooLong = errors.New("the host says more than is kept")

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text.Len()+len(p) > sayLimit {
		return 0, errTooLong
	}
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(s.text.String())
}
