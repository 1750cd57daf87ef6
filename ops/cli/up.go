package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"flickrkillr/edge"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/renderer/password"
	"flickrkillr/schema/wire"
)

type upCommand struct {
	Addr          string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Listen for browsers here. The second edge listens on the next port, and so on (default ${default})."`
	DebugAddr     string        `placeholder:"HOST:PORT" help:"Serve /pool (a page that shows all roles), /healthz, /readyz, /metrics and /debug/pprof/ of all roles here (default: nowhere). With --processes each role has its own listener, on this port and the next ones."`
	NATSPort      int           `default:"4222" min:"0" max:"65535" placeholder:"PORT" help:"Port of NATS on 127.0.0.1 (default ${default}; 0: any free port)."`
	PostgresPort  int           `default:"0" min:"0" max:"65535" placeholder:"PORT" help:"Port of PostgreSQL on 127.0.0.1 (0, the default: last time's port if it is free, or any free port)."`
	MemcachedPort int           `default:"0" min:"0" max:"65535" placeholder:"PORT" help:"Port of memcached on 127.0.0.1 (0, the default: last time's port if it is free, or any free port)."`
	MemcachedMiB  int           `name:"memcached-memory" default:"256" min:"8" max:"1000000" placeholder:"MIB" help:"Memory for memcached, in MiB (default ${default})."`
	Edges         int           `default:"1" min:"1" max:"100" placeholder:"N" help:"Number of edges (default ${default})."`
	Renderers     rendererRange `default:"2" placeholder:"N" help:"Number of renderers (default ${default}), at most 100. A range such as 2..8 adds renderers while requests wait for them, and removes those that are not needed."`
	Cachefills    int           `default:"1" min:"0" max:"100" placeholder:"N" help:"Number of cachefills (default ${default})."`
	AccessLog     bool          `negatable:"" default:"false" help:"Log a line for each HTTP answer (default: no)."`
	Processes     bool          `help:"Run each role as a process of its own, and restart one that ends."`
	seedSize
	edgeFlags
	EdgeDrain time.Duration `default:"0s" min:"0s" max:"24h" placeholder:"TIME" help:"Let an edge answer for this long after the order to stop, while its /readyz fails (default ${default})."`
	rendererFlags
	cachefillFlags
}

// Run starts services, fills the database, starts roles, and stops all in the opposite order.
func (c *upCommand) Run(s *session) (err error) {
	began := time.Now()
	cfg := stack.Config{Dir: s.data, Bin: setup.BinDir(), NATSPort: c.NATSPort, PostgresPort: c.PostgresPort,
		MemcachedPort: c.MemcachedPort, MemcachedMiB: c.MemcachedMiB, Connections: c.connections(), Logger: s.log}
	if err := c.check(cfg); err != nil {
		return err
	}
	if err := setup.Run(s.ctx, setup.Config{Out: s.stdout, Quiet: true}); err != nil {
		return err
	}
	if !c.Processes {
		end, err := s.workOutside(c.PictureWorkers, password.OutsideBound)
		if err != nil {
			return err
		}
		defer end()
	}
	services, prepared, err := c.startServices(s, cfg)
	if err != nil {
		return advise(err)
	}
	s.data = services.Dir()
	running := site.New(c.site(s, services))
	defer func() { err = errors.Join(err, advise(running.Stop())) }()
	s.log.Info("services are up", "data", s.data, "nats", services.Env().NATS,
		"addresses", filepath.Join(s.data, stack.EnvFile))
	if err := s.prepareDatabase(services.Env().Postgres, c.pictureFlags, c.seedSize, prepared); err != nil {
		return err
	}
	if err := c.counts().addTo(running); err != nil {
		return advise(err)
	}
	if err := c.waitForPages(s.ctx, running); err != nil {
		return err
	}
	select {
	case <-s.ctx.Done(): // told to stop while starting
		return nil
	case <-running.Failed(): // Stop says why
		return nil
	default:
	}
	if err := running.Announce(); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "Flickr Killr is at %s/ (ready after %.1f s; Ctrl-C stops it)\n",
		running.URLs()[0], time.Since(began).Seconds())
	s.showAccounts(services.Env().Postgres)
	ctx, cancel := context.WithCancel(s.ctx)
	var finishing sync.WaitGroup
	finishing.Go(func() { s.finishData(ctx, services.Env().Postgres, c.pictureFlags) })
	if c.encrypts() {
		defer s.onHangup(running.ReloadCertificates)()
	}
	err = c.wait(s.ctx, running)
	if s.ctx.Err() != nil {
		s.log.Info("stopping")
	}
	cancel()
	finishing.Wait() // before Stop ends the database and gives up the data directory; one picture takes a second or two
	return err
}

// wait returns when ctx ends or a role has failed. Meanwhile the number of renderers follows the load, in its range.
func (c *upCommand) wait(ctx context.Context, running *site.Site) error {
	if c.Renderers.least < c.Renderers.most {
		return running.ScaleRenderers(ctx, c.Renderers.least, c.Renderers.most)
	}
	running.Wait(ctx)
	return nil
}

// spareRenderers is how many more renderers PostgreSQL has connections for, at least: those that are started by hand.
const spareRenderers = 8

// connections is how many connections PostgreSQL has: enough for twice the renderers, and 50 for everything else.
func (c *upCommand) connections() int {
	each := int(renderer.PoolConns(c.PageWorkers, c.ActionWorkers) + renderer.SearchConns(c.SearchWorkers))
	return 50 + each*(c.Renderers.most+max(spareRenderers, c.Renderers.most))
}

// startServices starts the services, and prepares demonstration data meanwhile if the data directory is new. prepared
// is nil if it is not, or if no data is wanted.
func (c *upCommand) startServices(
	s *session, cfg stack.Config,
) (services *stack.Stack, prepared *seed.Prepared, err error) {
	var preparing errgroup.Group
	if _, err := stack.ReadEnv(s.data); err != nil && c.Users > 0 {
		preparing.Go(func() error {
			data, err := c.seedSize.config()
			if err != nil {
				return err
			}
			prepared, err = seed.Prepare(data)
			return err
		})
	}
	services, err = stack.Start(s.ctx, cfg)
	if failed := preparing.Wait(); failed != nil && err == nil {
		return nil, nil, errors.Join(failed, services.Stop())
	}
	return services, prepared, err
}

// site is the site that the flags describe, on services that run.
func (c *upCommand) site(s *session, services *stack.Stack) site.Config {
	cfg := site.Config{
		Stack:        services,
		Version:      s.release(),
		Logger:       s.log,
		Addr:         c.Addr,
		BaseFromEdge: true,
		DebugAddr:    c.DebugAddr,
		AccessLog:    c.AccessLog,
		Edge:         c.edgeFlags.config(),
		Renderer:     c.rendererFlags.config(),
		Cachefill:    c.cachefillFlags.config(),
	}
	cfg.Pictures, cfg.PicturesAlso = c.places(s)
	cfg.Edge.Drain = c.EdgeDrain
	if c.Processes {
		cfg.Processes = &site.ProcessConfig{
			Data:  s.data,
			Env:   flagEnv(s.flags),
			Share: 1 + c.mostRoles(),
		}
	}
	return cfg
}

// mostRoles is how many roles may run at once.
func (c *upCommand) mostRoles() int { return c.counts().total() + c.Renderers.most - c.Renderers.least }

// counts are the roles that the flags ask for, at the start.
func (c *upCommand) counts() roleCounts {
	return roleCounts{renderers: c.Renderers.least, cachefills: c.Cachefills, edges: c.Edges}
}

// waitForPages returns when each edge serves the first page. Without renderers of its own the site waits for none.
func (c *upCommand) waitForPages(ctx context.Context, running *site.Site) error {
	if c.Renderers.most == 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := running.WaitPages(waiting, "/"); err != nil && ctx.Err() == nil { // a Ctrl-C while starting is no error
		return fmt.Errorf("no page within a minute: %w", err)
	}
	return nil
}

// flagEnv puts flags into environment variables, which every command takes its flags from too. So a role's flag given
// to `up` reaches the role's process, and those that the role does not know do no harm. It leaves out where services
// are: the site says that.
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

// check refuses, before anything is started, what cannot work.
func (c *upCommand) check(services stack.Config) error {
	if c.Users > 0 {
		if _, err := c.seedSize.config(); err != nil {
			return usage(err)
		}
	}
	if err := errors.Join(c.tlsFlags.check(), c.proxyFlags.check()); err != nil {
		return usage(err)
	}
	if err := edge.CheckOrigins(c.Origin); err != nil {
		return usage(fmt.Errorf("--origin: %w", err))
	}
	listeners, err := c.listeners()
	if err != nil {
		return usage(err)
	}
	if err := stack.CheckFree(services.Dir); err != nil {
		return err
	}
	listeners = append(listeners, services.Listeners()...)
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if samePort(a.Addr, b.Addr) {
				return fmt.Errorf("%s and %s would both listen on %s: choose another port with %s", b.What,
					a.What, a.Addr, portFlags[a.What])
			}
		}
		if err := stack.CheckPort(a.What, a.Addr); err != nil {
			return advise(err)
		}
	}
	return nil
}

// samePort reports whether two addresses exclude each other. Port 0 is any free one.
func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	everywhere := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return errA == nil && errB == nil && portA == portB && portA != "0" &&
		(hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

// listeners lists where the roles will listen.
func (c *upCommand) listeners() (all []stack.Listener, err error) {
	add := func(what, flag, addr string, n int) {
		for i := range n {
			nth, wrong := site.NthAddr(addr, i)
			if wrong != nil {
				err = fmt.Errorf("%s: %w", flag, wrong)
				return
			}
			all = append(all, stack.Listener{What: what, Addr: nth})
		}
	}
	add("edge", "--addr", c.Addr, c.Edges)
	if c.RedirectAddr != "" {
		add("redirect listener", "--redirect-addr", c.RedirectAddr, c.Edges)
	}
	if c.DebugAddr != "" {
		n := 1
		if c.Processes {
			n = c.mostRoles()
		}
		add("debug listener", "--debug-addr", c.DebugAddr, n)
	}
	return all, err
}

// portFlags are the flags that choose a port, by what listens there.
var portFlags = map[string]string{
	"edge":              "--addr",
	"redirect listener": "--redirect-addr",
	"debug listener":    "--debug-addr",
	"NATS":              "--nats-port",
	"PostgreSQL":        "--postgres-port",
	"memcached":         "--memcached-port",
	"ladder":            "--addr",
}

// removeStream is how a person removes the stream of changes. Only a renderer's seed allows it.
const removeStream = "nats --nkey DATA/nkeys/" + string(wire.RoleRenderer) + ".nk --inbox-prefix _INBOX_" +
	string(wire.RoleRenderer) + " stream rm " + wire.StreamChanges

// advise adds to an error which flag corrects it.
func advise(err error) error {
	if refused, ok := errors.AsType[*renderer.RefusedError](err); ok {
		return fmt.Errorf("%w: correct --postgres or DATABASE_URL (user %q, database %q on %s)", err,
			refused.User, refused.Database, refused.Addr)
	}
	if _, other := errors.AsType[*renderer.OtherSiteError](err); other {
		return fmt.Errorf("%w: correct --nats (NATS_URL) or --postgres (DATABASE_URL), which the shell may have from "+
			"another site's %s; if this database has replaced that site's, remove the stream first, as a renderer: %s",
			err, stack.EnvFile, removeStream)
	}
	taken, ok := errors.AsType[*stack.PortTakenError](err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w: stop it, or choose another port with %s", err, portFlags[taken.What])
}
