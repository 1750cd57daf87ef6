package cli

import (
	"cmp"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
)

// measured says how many processes a measured site has of each role, and what its edges keep.
type measured struct {
	roleCounts

	noNear, noMemcached bool
	edgeFlags           []string
	database            string // another address of the sandbox's database; "": its own
}

// processes are the bus and the roles of a site on a sandbox's services, each a process to be measured. url is where
// its first edge will be.
func (m measured) processes(on *stack.Stack) (url string, all []rig.Process, err error) {
	addr, err := stack.ResolvePort("127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	seeds, err := stack.MakeSeeds(rolesDir(on)) // before the bus, so that no role looks for its seed too early
	if err != nil {
		return "", nil, err
	}
	services := stack.Env{NATS: "nats://" + addr, Seeds: seeds, Postgres: cmp.Or(m.database, on.Env().Postgres)}
	if !m.noMemcached {
		services.Memcached = on.Env().Memcached
	}
	flags := append([]string{"--no-access-log"}, m.edgeFlags...)
	if m.noNear {
		flags = append(flags, "--near-cache", "0")
	}
	roles := measuredSite(on, rolesDir(on), services, flags, 1+m.total())
	add := func(role site.Role) error {
		p, at, err := roles.Describe(role)
		all, url = append(all, p), cmp.Or(url, at)
		return err
	}
	if err := add(site.Bus); err != nil {
		return "", nil, err
	}
	if err := m.each(add); err != nil {
		return "", nil, err
	}
	return url, all, nil
}

// together is a site without any cache whose bus, renderer and edge are one process.
func together(on *stack.Stack, edgeFlags ...string) (url string, all []rig.Process, err error) {
	dir, err := os.MkdirTemp(on.Dir(), "together-") // there may be several, each with the streams of its own bus
	if err != nil {
		return "", nil, err
	}
	p, url, err := measuredSite(
		on,
		dir,
		stack.Env{Postgres: on.Env().Postgres},
		append([]string{"--near-cache", "0"}, edgeFlags...),
		0,
	).Describe(
		site.Together,
	)
	return url, []rig.Process{p}, err
}

// measuredSite describes roles as processes that log errors only. The data directory has no stack.env, so that roles
// use services alone.
func measuredSite(on *stack.Stack, data string, services stack.Env, edgeFlags []string, share int) *site.Site {
	return site.New(
		site.Config{Services: services, Pictures: picturesOf(on), Addr: "127.0.0.1:0", Processes: &site.ProcessConfig{
			Data: data, Args: []string{"--log-level", "error"}, EdgeArgs: edgeFlags, Share: share}},
	)
}

// rolesDir is the data directory of the measured processes.
func rolesDir(on *stack.Stack) string { return filepath.Join(on.Dir(), "roles") }

// busServeCommand is the bus alone, as a process of its own, so that its processor time is measured apart.
type busServeCommand struct {
	Port int    `placeholder:"PORT" help:"Port on 127.0.0.1."`
	Dir  string `type:"path" placeholder:"DIR" help:"Where its streams are kept."`

	Name    string   `placeholder:"NAME" help:"Be one of several servers, by this name."`
	Cluster int      `placeholder:"PORT" help:"Port on 127.0.0.1 where the others connect."`
	Route   []string `placeholder:"HOST:PORT" help:"Where another of them does."`
}

func (c *busServeCommand) Run(s *session) error {
	seeds, err := stack.MakeSeeds(s.data)
	if err != nil {
		return err
	}
	cfg := stack.NATSConfig{Port: c.Port, Dir: c.Dir, Seeds: seeds}
	if c.Name != "" {
		cfg.Cluster = &stack.NATSCluster{Server: c.Name, Port: c.Cluster, Routes: c.Route}
	}
	bus, err := stack.StartNATS(cfg)
	if err != nil {
		return err
	}
	retire := make(chan os.Signal, 1)
	signal.Notify(retire, syscall.SIGUSR2) // as nats-server
	defer signal.Stop(retire)
	select {
	case <-s.ctx.Done():
		bus.Stop()
	case <-retire:
		bus.Retire()
	}
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
	seeds, err := stack.MakeSeeds(s.data)
	if err != nil {
		return err
	}
	bus, err := stack.StartNATS(stack.NATSConfig{Dir: c.Dir, Seeds: seeds})
	if err != nil {
		return err
	}
	defer bus.Stop()
	images, _ := c.places(s)
	running := site.New(
		site.Config{
			Services: stack.Env{NATS: bus.URL(), Seeds: seeds, Postgres: c.Postgres},
			Pictures: images,
			Version:  s.version,
			Logger:   s.log,
			Addr:     c.Addr,
			Edge:     c.edgeFlags.config(),
			Renderer: c.rendererFlags.config(),
		},
	)
	defer func() { err = errors.Join(err, running.Stop()) }()
	if err := errors.Join(running.Add(site.Renderer, 1), running.Add(site.Edge, 1)); err != nil {
		return err
	}
	running.Wait(s.ctx)
	return nil
}
