package cli

import (
	"cmp"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/stack"
)

// roleCounts says how many processes there are of each role, and what edges keep.
type roleCounts struct {
	edges, renderers, cachefills int

	noNear, noMemcached bool
	database            string // a way to the throwaway's; "": straight
}

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
	env := stack.Env{NATS: "nats://" + bus, Postgres: cmp.Or(n.database, on.postgres.URL())}.Environ(
		append(os.Environ(), processorShare(1+n.renderers+n.cachefills+n.edges)...))
	add := func(role string, args ...string) { all = append(all, on.process(role, env, args...)) }
	add("bus", "--port", port, "--dir", filepath.Join(on.dir, "bus-"+port))
	for range n.renderers {
		add("renderer", "--pictures", on.originals())
	}
	for range n.cachefills {
		add("cachefill", "--memcached", on.memcached.Addr())
	}
	for range n.edges {
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		args := []string{"--addr", addr, "--no-access-log"}
		if n.noNear {
			args = append(args, "--near-cache", "0")
		}
		if !n.noMemcached {
			args = append(args, "--memcached", on.memcached.Addr())
		}
		add("edge", args...)
		if url == "" {
			url = "http://" + addr
		}
	}
	return url, all, nil
}

// together is a site without any cache whose bus, renderer and edge are one process.
func (s *session) together(on *throwaway) (url string, all []rig.Process, err error) {
	addr, err := stack.ResolvePort("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	p := on.process("together", stack.Env{Postgres: on.postgres.URL()}.Environ(os.Environ()), "--addr", addr, "--dir", filepath.Join(on.dir, "together"), "--near-cache", "0", "--pictures", on.originals())
	return "http://" + addr, []rig.Process{p}, nil
}

// process is this program with one of its commands, in the environment env.
func (t *throwaway) process(command string, env []string, args ...string) rig.Process {
	args = append([]string{command, "--data", t.dir, "--log-level", "error"}, args...)
	return rig.Process{Name: command, Command: func() *exec.Cmd {
		cmd := exec.Command(t.program, args...)
		cmd.Env = env
		cmd.Stderr = os.Stderr
		return cmd
	}}
}

// busCommand is the bus alone, as a process whose processor time can be told from others'.
type busCommand struct {
	Port int    `placeholder:"PORT" help:"Port on 127.0.0.1."`
	Dir  string `type:"path" placeholder:"DIR" help:"Where its streams are kept."`
}

func (c *busCommand) Run(s *session) error {
	bus, err := stack.StartNATS(stack.NATSConfig{Port: c.Port, Dir: c.Dir})
	if err != nil {
		return err
	}
	<-s.ctx.Done()
	bus.Stop()
	return nil
}

// togetherCommand is a bus, a renderer and an edge in one process.
type togetherCommand struct {
	Addr     string `placeholder:"HOST:PORT" help:"Where to listen for browsers."`
	Dir      string `type:"path" placeholder:"DIR" help:"Where the streams of the bus are kept."`
	Postgres string `env:"DATABASE_URL" placeholder:"URL" help:"The database."`
	edgeFlags
	rendererFlags
}

func (c *togetherCommand) Run(s *session) (err error) {
	bus, err := stack.StartNATS(stack.NATSConfig{Dir: c.Dir})
	if err != nil {
		return err
	}
	defer bus.Stop()
	t := &site{session: s, up: &upCommand{Addr: c.Addr, Edges: 1, Renderers: 1, edgeFlags: c.edgeFlags, rendererFlags: c.rendererFlags},
		env: stack.Env{NATS: bus.URL(), Postgres: c.Postgres}}
	defer func() { err = errors.Join(err, t.stop()) }()
	if err := t.start(); err != nil {
		return err
	}
	return t.wait()
}
