package main

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

	"flickrkillr/ops/bench/rig"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
)

type upCommand struct {
	Addr          string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the first edge listens for browsers; the second listens on the next port, and so on (default ${default})."`
	DebugAddr     string `placeholder:"HOST:PORT" help:"Where to answer /healthz, /readyz, /metrics and /debug/pprof/ for all roles; none if not given. With --processes each role has a listener of its own, on the ports from here."`
	NATSPort      int    `default:"4222" placeholder:"PORT" help:"Port of the bus on 127.0.0.1; 0: any free one (default ${default})."`
	PostgresPort  int    `default:"0" placeholder:"PORT" help:"Port of the database on 127.0.0.1; 0: last time's, or any free one."`
	MemcachedPort int    `default:"0" placeholder:"PORT" help:"Port of memcached on 127.0.0.1; 0: last time's, or any free one."`
	MemcachedMiB  int    `name:"memcached-memory" default:"256" placeholder:"MIB" help:"Memory for memcached, in MiB (default ${default})."`
	Edges         int    `default:"1" placeholder:"N" help:"How many edges (default ${default})."`
	Renderers     int    `default:"2" placeholder:"N" help:"How many renderers (default ${default})."`
	Cachefills    int    `default:"1" placeholder:"N" help:"How many cachefills (default ${default})."`
	AccessLog     bool   `negatable:"" default:"false" help:"Log a line for each answer of the edges."`
	Processes     bool   `help:"Run each role as a process of its own; one that dies is started again."`
	seedSize
	edgeFlags
	rendererFlags
	cachefillFlags
}

// Run starts everything in the order in which each needs the one before, and stops it in the opposite order.
func (c *upCommand) Run(s *session) (err error) {
	began := time.Now()
	if err := c.check(); err != nil {
		return err
	}
	if err := setup.Run(s.ctx, setup.Config{Out: s.stdout, Quiet: true}); err != nil {
		return err
	}
	services, err := stack.Start(s.ctx, stack.Config{Dir: s.data, Bin: setup.BinDir(), NATSPort: c.NATSPort, PostgresPort: c.PostgresPort,
		MemcachedPort: c.MemcachedPort, MemcachedMiB: c.MemcachedMiB, Connections: 50 + 20*c.Renderers, Logger: s.log})
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
	return site.wait()
}

// check refuses what cannot work before anything has been started.
func (c *upCommand) check() error {
	if c.Edges < 1 || c.Renderers < 0 || c.Cachefills < 0 {
		return errors.New("at least one edge is needed, and no number may be negative")
	}
	for i := range c.Edges {
		addr, err := nthAddr(c.Addr, i)
		if err != nil {
			return fmt.Errorf("--addr: %w", err)
		}
		if err := stack.CheckPort("edge", addr); err != nil {
			return advise(err)
		}
	}
	return nil
}

// advise adds which flag helps.
func advise(err error) error {
	taken := (*stack.PortTakenError)(nil)
	if !errors.As(err, &taken) {
		return err
	}
	flag := map[string]string{"edge": "--addr", "NATS": "--nats-port", "PostgreSQL": "--postgres-port", "memcached": "--memcached-port"}[taken.What]
	return fmt.Errorf("%w: stop it, or choose another port with %s", err, flag)
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
	if err := t.knowBase(); err != nil {
		return err
	}
	plan := []struct {
		role  string
		count int
		group *group
	}{{"renderer", t.up.Renderers, &t.workers}, {"cachefill", t.up.Cachefills, &t.workers}, {"edge", t.up.Edges, &t.edges}}
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
	kept, err := t.spawn(name, kind, 1+t.up.Edges+t.up.Renderers+t.up.Cachefills, grace+2*time.Second, args...)
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
	err := errors.Join(t.edges.stop(), t.workers.stop(), t.debugging.stop())
	for _, closeRole := range t.closers {
		closeRole()
	}
	return err
}
