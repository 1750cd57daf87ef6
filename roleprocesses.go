package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"flickrkillr/ops/bench/rig"
	"flickrkillr/ops/stack"
)

// roleCounts says how many processes there are of each role.
type roleCounts struct{ edges, renderers, cachefills int }

// roleProcesses are the bus and the roles of a site on a throwaway's services, each a process of this program, to be measured. It returns where
// the first edge will be.
func (s *session) roleProcesses(on *throwaway, n roleCounts) (url string, all []rig.Process, err error) {
	bus, err := stack.ResolvePort("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	_, port, err := net.SplitHostPort(bus)
	if err != nil {
		return "", nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	add := func(role string, args ...string) {
		args = append([]string{role, "--data", on.dir, "--log-level", "error"}, args...)
		all = append(all, rig.Process{Name: role, Command: func() *exec.Cmd {
			cmd := exec.Command(self, args...)
			cmd.Env = append(os.Environ(), "DATABASE_URL="+on.postgres.URL(), "NATS_URL=nats://"+bus)
			cmd.Stderr = os.Stderr
			return cmd
		}})
	}
	add("bus", "--port", port, "--dir", filepath.Join(on.dir, "bus-"+port))
	for range n.renderers {
		add("renderer", "--pictures", on.originals())
	}
	for range n.cachefills {
		add("cachefill", "--memcached", on.memcached.Addr())
	}
	for i := range n.edges {
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			return "", nil, fmt.Errorf("edge %d: %w", i+1, err)
		}
		add("edge", "--addr", addr, "--no-access-log", "--memcached", on.memcached.Addr())
		if url == "" {
			url = "http://" + addr
		}
	}
	return url, all, nil
}
