package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/cachefill"
	"flickrkillr/edge"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
)

// services are the flags by which a role finds what it leans on.
type services struct {
	NATS      string   `env:"NATS_URL" placeholder:"URL" help:"Address of NATS, the bus (default: as in the data directory's stack.env)."`
	Postgres  string   `env:"DATABASE_URL" placeholder:"URL" help:"Address of the database (default: as in stack.env)."`
	edge      string   // where an edge of the site is that NATS and Postgres belong to; "" when not known
	Memcached []string `env:"MEMCACHED_SERVERS" placeholder:"HOST:PORT" help:"Address of a memcached server; repeat it for each, or separate them by commas. Every role must be given the same servers (default: as in stack.env)."`
}

// find completes what was not given from the data directory's stack.env. flags names those by which the command can be told instead.
func (v *services) find(data, flags string) error {
	complete := v.NATS != "" && v.Postgres != "" && len(v.Memcached) > 0
	env, err := stack.ReadEnv(data)
	if errors.Is(err, os.ErrNotExist) || err != nil && complete {
		if complete {
			return nil
		}
		if v.NATS == "" && v.Postgres == "" {
			return fmt.Errorf("nothing has been started in %s: run `killr up` first, or say %s", data, flags)
		}
		return nil // each command says itself what it lacks
	}
	if err != nil {
		return err
	}
	if v.NATS == "" {
		v.NATS = env.NATS
	}
	if v.Postgres == "" {
		v.Postgres = env.Postgres
	}
	if len(v.Memcached) == 0 {
		v.Memcached = env.Memcached
	}
	if v.NATS == env.NATS && v.Postgres == env.Postgres && len(env.Edges) > 0 {
		v.edge = env.Edges[0]
	}
	return nil
}

// The flags of each role, which `up` takes as well.
type (
	edgeFlags struct {
		NearCache int           `default:"64" min:"0" max:"1000000" placeholder:"MIB" help:"Memory for an edge's in-process page cache, in MiB (default ${default}; 0 disables it)."`
		MaxConns  int           `default:"10000" min:"1" max:"10000000" placeholder:"N" help:"Connections of browsers that an edge accepts at once (default ${default})."`
		Origin    []string      `placeholder:"URL" help:"Address at which visitors reach the site through this edge, such as https://photos.example; repeat it, or separate them by commas. A request whose Host is that of an origin gets pages whose absolute links begin with it."`
		TLSCert   string        `type:"path" placeholder:"FILE" help:"Serve HTTPS with this certificate, in PEM. Needs --tls-key."`
		TLSKey    string        `type:"path" placeholder:"FILE" help:"Key of the certificate, in PEM."`
		EdgeStop  time.Duration `default:"15s" min:"1ms" max:"24h" placeholder:"TIME" help:"When an edge stops: time to finish its requests, before they are cut (default ${default})."`
	}
	rendererFlags struct {
		Pictures       string        `type:"path" placeholder:"DIR" help:"Directory of the pictures (default: 'pictures' in the data directory)."`
		PageWorkers    int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Pages that a renderer makes at once (0, the default: two for each processor, at least 4)."`
		SearchWorkers  int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Searches that a renderer answers at once (0, the default: one for every two processors)."`
		PictureWorkers int           `default:"0" min:"0" max:"1000" placeholder:"N" help:"Pictures not stored yet that a renderer makes at once (0, the default: one for every two processors)."`
		ActionWorkers  int           `default:"4" min:"1" max:"1000" placeholder:"N" help:"Actions, which are writes, that a renderer performs at once (default ${default})."`
		BaseURL        string        `placeholder:"URL" help:"Address by which visitors reach the site, for links that must be absolute: feeds, previews, sitemaps (default: the first edge of 'up')."`
		RendererStop   time.Duration `default:"15s" min:"1ms" max:"24h" placeholder:"TIME" help:"When a renderer stops: time to finish its requests, before they are cut (default ${default})."`
	}
	cachefillFlags struct {
		FillWorkers int `default:"32" min:"1" max:"10000" placeholder:"N" help:"Pages that a cachefill fetches at once (default ${default})."`
		ReplayRate  int `default:"400" min:"1" max:"1000000" placeholder:"N" help:"Pages per second, at most, that are filled when a memcached server is found empty (default ${default})."`
	}
)

// searchWorkers is how many searches are answered at once, each on a connection of its own.
func (f rendererFlags) searchWorkers() int {
	return renderer.SearchConns(f.SearchWorkers)
}

// poolSize is how many connections a renderer's pool may hold.
func (f rendererFlags) poolSize() int32 {
	return renderer.PoolConns(f.PageWorkers, f.ActionWorkers)
}

type edgeCommand struct {
	Addr      string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Listen for browsers here (default ${default})."`
	DebugAddr string `placeholder:"HOST:PORT" help:"Serve /healthz, /readyz, /metrics and /debug/pprof/ here (default: nowhere)."`
	AccessLog bool   `negatable:"" default:"true" help:"Log a line for each HTTP answer (default: yes)."`
	services
	edgeFlags
}

func (c *edgeCommand) Run(s *session) error {
	if err := stack.CheckPort("edge", c.Addr); err != nil {
		return advise(err)
	}
	return s.runRole("edge", &c.services, "--nats and --memcached", c.DebugAddr, func() (*role, error) {
		return s.newEdge("edge", c.Addr, c.AccessLog, c.services, c.edgeFlags)
	})
}

type rendererCommand struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Serve /healthz, /readyz, /metrics and /debug/pprof/ here (default: nowhere)."`
	services
	rendererFlags
}

func (c *rendererCommand) Run(s *session) error {
	return s.runRole("renderer", &c.services, "--nats and --postgres", c.DebugAddr, func() (*role, error) {
		flags := c.rendererFlags
		flags.BaseURL = cmp.Or(flags.BaseURL, c.edge)
		return s.newRenderer("renderer", c.services, flags)
	})
}

type cachefillCommand struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Serve /healthz, /readyz, /metrics and /debug/pprof/ here (default: nowhere)."`
	services
	cachefillFlags
}

func (c *cachefillCommand) Run(s *session) error {
	return s.runRole("cachefill", &c.services, "--nats and --memcached", c.DebugAddr, func() (*role, error) {
		return s.newCachefill("cachefill", c.services, c.cachefillFlags)
	})
}

// role is one instance of a role in this process, with what was opened for it alone.
type role struct {
	debug.Role
	addr  string // an edge's
	run   func(context.Context) error
	close func() // after run
}

// runRole is the life of a role as a process of its own: it serves until told to stop, finishes what it holds, and ends.
// flags names those by which it can be told where its services are.
func (s *session) runRole(name string, at *services, flags, debugAddr string, start func() (*role, error)) error {
	if err := at.find(s.data, flags); err != nil {
		return err
	}
	if debugAddr != "" {
		if err := stack.CheckPort("debug listener", debugAddr); err != nil {
			return advise(err)
		}
	}
	r, err := start()
	if err != nil {
		return err
	}
	defer r.close()
	var g group
	g.add(name, r.run)
	here := func() []debug.Role { return []debug.Role{r.Role} }
	g.add("watch", func(ctx context.Context) error { return watchReady(ctx, here, s.log) })
	if debugAddr != "" {
		d, err := debug.Listen(debugAddr, here, s.log)
		if err != nil {
			return errors.Join(err, g.stop())
		}
		s.log.Info("debug listener", "addr", d.Addr())
		g.add("debug listener", d.Run)
	}
	if r.addr != "" {
		s.log.Info("listening", "role", name, "addr", r.addr)
	}
	select {
	case <-s.ctx.Done():
	case <-g.failed():
	}
	return advise(g.stop())
}

func (s *session) newEdge(name, addr string, accessLog bool, at services, f edgeFlags) (*role, error) {
	nc, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		return nil, err
	}
	near := f.NearCache << 20
	if near == 0 {
		near = -1
	}
	cfg := edge.Config{Addr: addr, NATS: nc.Conn, Memcached: at.Memcached, Origins: f.Origin, TLSCert: f.TLSCert, TLSKey: f.TLSKey, NearBytes: near, MaxConns: f.MaxConns,
		StopTimeout: f.EdgeStop, Version: version, Logger: s.log}
	if accessLog {
		cfg.AccessLog = s.log.With("edge", name)
	}
	registry := prometheus.NewRegistry()
	cfg.Registry = registry
	e, err := edge.New(cfg)
	if err != nil {
		nc.close()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: nc.ready(e.Ready)}, addr: e.Addr(), run: e.Run, close: nc.close}, nil
}

func (s *session) newRenderer(name string, at services, f rendererFlags) (*role, error) {
	if at.Postgres == "" {
		return nil, errors.New("a renderer needs the database: say --postgres")
	}
	images, err := pictures.OpenDir(s.pictures(f.Pictures))
	if err != nil {
		return nil, err
	}
	pool, err := store.OpenPool(s.ctx, at.Postgres, f.poolSize())
	if err != nil {
		return nil, errors.Join(err, images.Close())
	}
	searches, err := store.OpenSearchPool(s.ctx, at.Postgres, int32(f.searchWorkers()))
	if err != nil {
		pool.Close()
		return nil, errors.Join(err, images.Close())
	}
	nc, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		pool.Close()
		searches.Close()
		return nil, errors.Join(err, images.Close())
	}
	shut := func() {
		nc.close()
		pool.Close()
		searches.Close()
		if err := images.Close(); err != nil {
			s.log.Error("close the picture store", "err", err)
		}
	}
	registry := prometheus.NewRegistry()
	r, err := renderer.New(renderer.Config{NATS: nc.Conn, Pool: pool, Searches: searches, Pictures: images, Logger: s.log, Registry: registry,
		Version: version, BaseURL: f.BaseURL, PageWorkers: f.PageWorkers, SearchWorkers: f.searchWorkers(), PictureWorkers: f.PictureWorkers,
		ActionWorkers: f.ActionWorkers, StopTimeout: f.RendererStop})
	if err != nil {
		shut()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: nc.ready(r.Ready)}, run: r.Run, close: shut}, nil
}

func (s *session) newCachefill(name string, at services, f cachefillFlags) (*role, error) {
	if len(at.Memcached) == 0 {
		return nil, errors.New("a cachefill needs memcached: say --memcached")
	}
	nc, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	c, err := cachefill.New(cachefill.Config{NATS: nc.Conn, Memcached: at.Memcached, Workers: f.FillWorkers, ReplayRate: f.ReplayRate, Version: version, Logger: s.log, Registry: registry})
	if err != nil {
		nc.close()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: nc.ready(c.Ready)}, run: c.Run, close: nc.close}, nil
}
