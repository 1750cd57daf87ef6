package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ports to choose from are below those that the kernel gives to outgoing connections: one of those could be taken
// while the program that listens on it is restarted.
const (
	lowestPort    = 20_000
	ephemeralPort = 32_768 // where those begin, unless the machine says another
	fewestPorts   = 1_000  // on a machine that leaves less than this below them, any port will do
	portTries     = 1_000
)

// given holds the ports that freePort has given, with the reservations that keep other processes from them until this
// one ends.
var given struct {
	sync.Mutex
	ports map[int]net.Listener // nil: there is none
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on and that it has not returned before. On Linux no
// other process that asks it is given the same until this one has ended.
func freePort() (int, error) {
	for range portTries {
		port, err := candidate()
		free := false
		if err == nil {
			free, err = reserve(port)
		}
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: %d were taken, one after the other", portTries)
}

// candidate chooses a port, at random, or, where there are too few to choose from, as the kernel assigns it.
func candidate() (int, error) {
	if end := portsEnd(); end-lowestPort >= fewestPorts {
		return lowestPort + rand.IntN(end-lowestPort), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// portsEnd is the end of the ports to choose from.
func portsEnd() int {
	text, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // "32768	60999"; on Linux only
	if first, _, ok := strings.Cut(strings.TrimSpace(string(text)), "\t"); ok {
		if n, err := strconv.Atoi(first); err == nil {
			return n
		}
	}
	return ephemeralPort
}

// reserve reserves a port for this process, if it is free. The reservation is a socket in Linux's abstract namespace,
// which ends with the process; elsewhere only this process knows of it.
func reserve(port int) (free bool, err error) {
	given.Lock()
	defer given.Unlock()
	if _, is := given.ports[port]; is {
		return false, nil
	}
	var hold net.Listener
	if runtime.GOOS == "linux" {
		if hold, err = net.Listen("unix", "@killr-port-"+strconv.Itoa(port)); err != nil {
			return false, ignoreTaken(err)
		}
	}
	if err := probe(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		if hold != nil {
			_ = hold.Close()
		}
		return false, ignoreTaken(err)
	}
	if given.ports == nil {
		given.ports = map[int]net.Listener{}
	}
	given.ports[port] = hold
	return true, nil
}

// probe listens on an address for a moment. No program is started meanwhile: between fork and exec that would have the
// socket, too, and so keep it open after the moment.
func probe(addr string) error {
	at, err := net.ResolveTCPAddr("tcp", addr) // which may take its time
	if err != nil {
		return err
	}
	if runtime.GOOS == "linux" { // elsewhere net.Listen takes the lock itself, and to take it twice can deadlock
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	l, err := net.ListenTCP("tcp", at)
	if err != nil {
		return err
	}
	return l.Close()
}

func ignoreTaken(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	return err
}

// ResolvePort replaces port 0 of host:port by a port of 127.0.0.1 that is free now; any other address it returns as it
// is.
func ResolvePort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	n, err := freePort()
	return net.JoinHostPort(host, strconv.Itoa(n)), err
}

// PortTakenError says that another program listens on an address, and which one, if that can be found out.
type PortTakenError struct {
	What  string // which service wanted it: "NATS"
	Addr  string // host:port
	Owner string // "nginx (pid 123)", or empty
}

func (e *PortTakenError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("%s cannot listen on %s: another program does", e.What, e.Addr)
	}
	return fmt.Sprintf("%s cannot listen on %s: %s does", e.What, e.Addr, e.Owner)
}

// lastHold is how long CheckPort waits for a port whose holder cannot be found: a process that is ending, or one
// between fork and exec.
const lastHold = 500 * time.Millisecond

// CheckPort returns a *PortTakenError if addr (host:port) cannot be listened on because another program does.
func CheckPort(what, addr string) error {
	err := probe(addr)
	if err == nil {
		return nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s cannot listen on %s: %w", what, addr, err)
	}
	_, port, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		return fmt.Errorf("%s: %w", what, splitErr)
	}
	owner := portOwner(port)
	for end := time.Now().Add(lastHold); owner == "" && time.Now().Before(end); time.Sleep(lastHold / 20) {
		if probe(addr) == nil {
			return nil
		}
	}
	if owner == "" {
		owner = portOwner(port)
	}
	return &PortTakenError{What: what, Addr: addr, Owner: owner}
}

// Listener is something that will listen on a port.
type Listener struct {
	What string // as in PortTakenError
	Addr string // host:port
}

// portOwner finds who listens on a port; empty if it belongs to another user and cannot be read.
func portOwner(port string) string {
	number, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	if runtime.GOOS == "linux" {
		return portOwnerLinux(number)
	}
	out, err := exec.Command("lsof", "-nP", "-iTCP:"+port, "-sTCP:LISTEN", "-Fpc").Output()
	if err != nil {
		return ""
	}
	var pid, name string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "p"); ok && pid == "" {
			pid = rest
		}
		if rest, ok := strings.CutPrefix(line, "c"); ok && name == "" {
			name = rest
		}
	}
	if pid == "" {
		return ""
	}
	return fmt.Sprintf("%s (pid %s)", name, pid)
}

// portOwnerLinux looks the listening socket's inode up in /proc/net/tcp, then the process that holds it.
func portOwnerLinux(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line) // sl local_address rem_address st ... inode is the 10th
			if len(f) < 10 || f[3] != "0A" || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				continue
			}
			inodes["socket:["+f[9]+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the only possible error is a bad pattern
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
