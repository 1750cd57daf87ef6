package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"flickrkillr/edge"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
)

type upCommand struct {
	Addr          string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Listen for browsers here. The second edge listens on the next port, and so on (default ${default})."`
	DebugAddr     string `placeholder:"HOST:PORT" help:"Serve /healthz, /readyz, /metrics and /debug/pprof/ of all roles here (default: nowhere). With --processes each role has its own listener, on this port and the next ones."`
	NATSPort      int    `default:"4222" min:"0" max:"65535" placeholder:"PORT" help:"Port of NATS on 127.0.0.1 (default ${default}; 0: any free port)."`
	PostgresPort  int    `default:"0" min:"0" max:"65535" placeholder:"PORT" help:"Port of PostgreSQL on 127.0.0.1 (0, the default: last time's port if it is free, or any free port)."`
	MemcachedPort int    `default:"0" min:"0" max:"65535" placeholder:"PORT" help:"Port of memcached on 127.0.0.1 (0, the default: last time's port if it is free, or any free port)."`
	MemcachedMiB  int    `name:"memcached-memory" default:"256" min:"8" max:"1000000" placeholder:"MIB" help:"Memory for memcached, in MiB (default ${default})."`
	Edges         int    `default:"1" min:"1" max:"100" placeholder:"N" help:"Number of edges (default ${default})."`
	Renderers     int    `default:"2" min:"0" max:"100" placeholder:"N" help:"Number of renderers (default ${default})."`
	Cachefills    int    `default:"1" min:"0" max:"100" placeholder:"N" help:"Number of cachefills (default ${default})."`
	AccessLog     bool   `negatable:"" default:"false" help:"Log a line for each HTTP answer (default: no)."`
	Processes     bool   `help:"Run each role as a process of its own, and restart one that ends."`
	seedSize
	edgeFlags
	rendererFlags
	cachefillFlags
}

// Run starts everything in the order in which each needs the one before, and stops it in the opposite order.
func (c *upCommand) Run(s *session) (err error) {
	began := time.Now()
	cfg := stack.Config{Dir: s.data, Bin: setup.BinDir(), NATSPort: c.NATSPort, PostgresPort: c.PostgresPort,
		MemcachedPort: c.MemcachedPort, MemcachedMiB: c.MemcachedMiB, Connections: 50 + 20*c.Renderers, Logger: s.log}
	if err := c.check(cfg); err != nil {
		return err
	}
	if err := setup.Run(s.ctx, setup.Config{Out: s.stdout, Quiet: true}); err != nil {
		return err
	}
	services, err := stack.Start(s.ctx, cfg)
	if err != nil {
		return advise(err)
	}
	defer func() { err = errors.Join(err, services.Stop()) }()
	s.data = services.Dir()
	s.log.Info("services are up", "data", s.data, "nats", services.Env().NATS, "addresses", filepath.Join(s.data, stack.EnvFile))
	if err := s.prepareDatabase(services.Env().Postgres, c.Pictures, c.seedSize); err != nil {
		return err
	}

	site := &site{session: s, up: c, env: services.Env()}
	defer func() { err = errors.Join(err, site.stop()) }()
	if err := site.knowBase(); err != nil {
		return err
	}
	if err := site.start(); err != nil {
		return err
	}
	if err := site.waitForPages(); err != nil {
		return err
	}
	if err := services.Announce(site.urls()); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "Flickr Killr is at %s (ready after %.1f s; Ctrl-C stops it)\n", site.url(0), time.Since(began).Seconds())
	defer s.paint(services.Env().Postgres, c.Pictures)()
	return site.wait()
}

// check refuses what cannot work before anything has been started.
func (c *upCommand) check(services stack.Config) error {
	if c.Users > 0 {
		if _, err := c.config(); err != nil {
			return err
		}
	}
	if err := edge.CheckOrigins(c.Origin); err != nil {
		return fmt.Errorf("--origin: %w", err)
	}
	listeners, err := c.listeners()
	if err != nil {
		return err
	}
	listeners = append(listeners, services.Listeners()...)
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if samePort(a.Addr, b.Addr) {
				return fmt.Errorf("%s and %s would both listen on %s: choose another port with %s", b.What, a.What, a.Addr, portFlags[a.What])
			}
		}
		if err := stack.CheckPort(a.What, a.Addr); err != nil {
			return advise(err)
		}
	}
	return nil
}

// samePort says whether only one program could listen on both addresses. Port 0 is any free one.
func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	everywhere := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return errA == nil && errB == nil && portA == portB && portA != "0" && (hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

// listeners lists where the roles will listen.
func (c *upCommand) listeners() (all []stack.Listener, err error) {
	add := func(what, flag, addr string, n int) {
		for i := range n {
			nth, wrong := nthAddr(addr, i)
			if wrong != nil {
				err = fmt.Errorf("%s: %w", flag, wrong)
				return
			}
			all = append(all, stack.Listener{What: what, Addr: nth})
		}
	}
	add("edge", "--addr", c.Addr, c.Edges)
	if c.DebugAddr != "" {
		n := 1
		if c.Processes {
			n = c.Renderers + c.Cachefills + c.Edges
		}
		add("debug listener", "--debug-addr", c.DebugAddr, n)
	}
	return all, err
}

// portFlags are the flags that choose where something listens.
var portFlags = map[string]string{"edge": "--addr", "debug listener": "--debug-addr", "NATS": "--nats-port", "PostgreSQL": "--postgres-port",
	"memcached": "--memcached-port", "ladder": "--addr"}

// advise adds which flag helps.
func advise(err error) error {
	if refused, ok := errors.AsType[*renderer.RefusedError](err); ok {
		return fmt.Errorf("%w: correct --postgres or DATABASE_URL (user %q, database %q on %s)", err, refused.User, refused.Database, refused.Addr)
	}
	taken, ok := errors.AsType[*stack.PortTakenError](err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w: stop it, or choose another port with %s", err, portFlags[taken.What])
}

// site is the roles of one `up`, in this process or in others.
type site struct {
	*session
	up  *upCommand
	env stack.Env

	edges, workers, debugging group
	mu                        sync.Mutex
	here                      []debug.Role // those in this process
	addrs                     []string     // of the edges
	firstAddr                 string       // of the first edge, see knowBase
	closers                   []func()
}

// start starts renderers and cachefills, then edges.
func (t *site) start() error {
	if t.up.DebugAddr != "" && !t.up.Processes {
		d, err := debug.Listen(t.up.DebugAddr, t.roles, t.log)
		if err != nil {
			return err
		}
		t.log.Info("debug listener", "addr", d.Addr())
		t.debugging.add("debug listener", d.Run)
	}
	plan := []struct {
		role  string
		count int
		group *group
	}{{"renderer", t.up.Renderers, &t.workers}, {"cachefill", t.up.Cachefills, &t.workers}, {"edge", t.up.Edges, &t.edges}}
	if !t.up.Processes { // those watch themselves
		t.debugging.add("watch", func(ctx context.Context) error { return watchReady(ctx, t.roles, t.log) })
	}
	started := 0
	for _, p := range plan {
		for i := range p.count {
			start := t.startHere
			if t.up.Processes {
				start = t.startProcess
			}
			if err := start(p.group, p.role, i, started); err != nil {
				return advise(err)
			}
			started++
		}
	}
	return nil
}

// knowBase has absolute links begin with the first edge's own address, unless they are told another one. An edge that may take any port
// has its port chosen here: renderers begin before it.
func (t *site) knowBase() (err error) {
	if t.up.BaseURL != "" {
		return nil
	}
	if t.firstAddr, err = stack.ResolvePort(t.up.Addr); err != nil {
		return err
	}
	t.up.BaseURL = strings.TrimSuffix(t.urlOf(t.firstAddr), "/")
	return nil
}

// edgeAddr is where the i-th edge listens.
func (t *site) edgeAddr(i int) (string, error) {
	if i == 0 && t.firstAddr != "" {
		return t.firstAddr, nil
	}
	return nthAddr(t.up.Addr, i)
}

// startHere starts the i-th instance of a role in this process.
func (t *site) startHere(g *group, kind string, i, _ int) error {
	name := fmt.Sprintf("%s-%d", kind, i+1)
	at := services{NATS: t.env.NATS, Postgres: t.env.Postgres, Memcached: t.env.Memcached}
	var r *role
	var err error
	switch kind {
	case "renderer":
		r, err = t.newRenderer(name, at, t.up.rendererFlags)
	case "cachefill":
		r, err = t.newCachefill(name, at, t.up.cachefillFlags)
	default:
		var addr string
		if addr, err = t.edgeAddr(i); err != nil {
			return err
		}
		r, err = t.newEdge(name, addr, t.up.AccessLog, at, t.up.edgeFlags)
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.here = append(t.here, r.Role)
	t.closers = append(t.closers, r.close)
	if r.addr != "" {
		t.addrs = append(t.addrs, r.addr)
	}
	g.add(name, r.run)
	return nil
}

// startProcess starts the i-th instance of a role, the n-th of all, as a process.
func (t *site) startProcess(g *group, kind string, i, n int) error {
	var args []string
	if t.up.DebugAddr != "" {
		addr, err := nthAddr(t.up.DebugAddr, n)
		if err != nil {
			return fmt.Errorf("--debug-addr: %w", err)
		}
		args = append(args, "--debug-addr", addr)
	}
	grace := t.up.RendererStop
	if kind == "renderer" {
		args = append(args, "--base-url", t.up.BaseURL)
	}
	if kind == "edge" {
		addr, err := t.edgeAddr(i)
		if err != nil {
			return err
		}
		if addr, err = stack.ResolvePort(addr); err != nil { // a port of its choice would be its secret
			return err
		}
		args = append(args, "--addr", addr)
		t.addrs = append(t.addrs, addr)
		grace = t.up.EdgeStop
	}
	name := fmt.Sprintf("%s-%d", kind, i+1)
	kept, err := t.spawn(name, kind, t.env, 1+t.up.Edges+t.up.Renderers+t.up.Cachefills, grace+2*time.Second, args...)
	if err != nil {
		return err
	}
	g.add(name, kept.Run)
	return nil
}

func (t *site) roles() []debug.Role {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]debug.Role(nil), t.here...)
}

// url is where the i-th edge is to be found by a browser on this machine.
func (t *site) url(i int) string { return t.urlOf(t.addrs[i]) }

func (t *site) urlOf(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "http"
	if t.up.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// urls is where all edges are, without a slash at the end.
func (t *site) urls() []string {
	urls := make([]string, len(t.addrs))
	for i := range urls {
		urls[i] = strings.TrimSuffix(t.url(i), "/")
	}
	return urls
}

// waitForPages waits until each edge serves the first page. Edges in other processes can only be asked, so all are.
func (t *site) waitForPages() error {
	if t.up.Renderers == 0 {
		return nil // they come from elsewhere, whenever they come
	}
	// Whether the certificate is good for the name visitors use is not asked here.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // to ourselves
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	ctx, cancel := context.WithTimeout(t.ctx, time.Minute)
	defer cancel()
	for i := range t.addrs {
		for {
			err := rig.Get(ctx, client, t.url(i))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				if t.ctx.Err() != nil {
					return nil // told to stop while starting
				}
				return fmt.Errorf("no page within a minute: %w", err)
			case <-t.edges.failed():
				return nil // wait says why
			case <-t.workers.failed():
				return nil
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// wait returns when the user, or a role that cannot go on, ends it all.
func (t *site) wait() error {
	select {
	case <-t.ctx.Done():
		t.log.Info("stopping")
	case <-t.edges.failed():
	case <-t.workers.failed():
	case <-t.debugging.failed():
	}
	return nil // stop tells what failed
}

// stop ends edges first, so that nobody is left asking; then those that answer; then their connections.
func (t *site) stop() error {
	err := advise(errors.Join(t.edges.stop(), t.workers.stop(), t.debugging.stop()))
	for _, closeRole := range t.closers {
		closeRole()
	}
	return err
}
