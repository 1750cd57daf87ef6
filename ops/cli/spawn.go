package cli

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"flickrkillr/ops/stack"
)

// spawn prepares a role as a process of its own, one of so many: this program, with the flags that it was given itself and those in args. It
// uses the services in at, and no others.
func (s *session) spawn(name, command string, at stack.Env, processes int, grace time.Duration, args ...string) (*stack.Kept, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	args = append([]string{command, "--data", s.data}, args...)
	env := slices.Concat(at.Environ(os.Environ()), processorShare(processes), flagEnv(s.flags))
	return stack.Keep(name, grace, s.log, func() *exec.Cmd {
		cmd := exec.Command(self, args...)
		cmd.Env = env
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd
	}), nil
}

// processorShare is the environment in which so many processes of this program share a machine. A Go program that takes all processors for
// its own wakes and parks threads on them for whoever comes; with four processes on two processors that was a tenth of what a page costs.
// Twice the processors, over all, leave none idle. GOMAXPROCS, where it is set, is left alone.
func processorShare(processes int) []string {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	all := runtime.GOMAXPROCS(0)
	return []string{"GOMAXPROCS=" + strconv.Itoa(min(all, max(1, (2*all+processes/2)/max(1, processes))))}
}

// flagEnv puts flags into environment variables, which every command takes its flags from too. So a role's flag given to `up` reaches the
// role's process, and those that the role does not know do no harm. It leaves out where services are: spawn is told that.
func flagEnv(flags []*kong.Flag) []string {
	var env []string
	for _, f := range flags {
		if !f.Set || len(f.Envs) == 0 || !strings.HasPrefix(f.Envs[0], "KILLR_") {
			continue
		}
		value := fmt.Sprint(f.Target.Interface())
		if list, ok := f.Target.Interface().([]string); ok {
			value = strings.Join(list, ",")
		}
		env = append(env, f.Envs[0]+"="+value)
	}
	return env
}

// nthAddr is the address n ports above addr; port 0 stays 0, any free one.
func nthAddr(addr string, n int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("port of %s: %w", addr, err)
	}
	if number != 0 {
		number += n
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}
