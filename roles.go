package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/nats-io/nats.go"
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
	NATS      string   `env:"NATS_URL" placeholder:"URL" help:"The bus. Default: what 'up' wrote into stack.env."`
	Postgres  string   `env:"DATABASE_URL" placeholder:"URL" help:"The database. Default: likewise."`
	Memcached []string `env:"MEMCACHED_SERVERS" placeholder:"HOST:PORT" help:"A memcached server; repeat it, or separate them by commas. All roles must name the same ones. Default: likewise."`
}

// fill completes what was not given from the data directory's stack.env.
func (v *services) fill(data string) error {
	if v.NATS != "" && v.Postgres != "" && len(v.Memcached) > 0 {
		return nil
	}
	env, err := stack.ReadEnv(data)
	if errors.Is(err, os.ErrNotExist) {
		if v.NATS == "" && v.Postgres == "" {
			return fmt.Errorf("nothing has been started in %s: run `killr up` first, or say --nats, --postgres and --memcached", data)
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
	return nil
}

// The flags of each role, which `up` takes as well.
type (
	edgeFlags struct {
		NearCache int           `default:"64" placeholder:"MIB" help:"Memory for the edge's near cache, in MiB; 0: none (default ${default})."`
		MaxConns  int           `default:"10000" placeholder:"N" help:"Connections an edge holds at once (default ${default})."`
		TLSCert   string        `type:"path" placeholder:"FILE" help:"Certificate, PEM: speak HTTPS. Needs --tls-key."`
		TLSKey    string        `type:"path" placeholder:"FILE" help:"The certificate's key, PEM."`
		EdgeStop  time.Duration `default:"15s" help:"How long an edge that stops waits for the requests it holds."`
	}
	rendererFlags struct {
		Pictures       string        `type:"path" placeholder:"DIR" help:"Where the originals of the pictures are. Default: 'pictures' in the data directory."`
		PageWorkers    int           `default:"0" placeholder:"N" help:"Pages a renderer makes at once; 0: two for each processor, at least 4."`
		SearchWorkers  int           `default:"0" placeholder:"N" help:"Searches a renderer answers at once; 0: one for every two processors."`
		PictureWorkers int           `default:"0" placeholder:"N" help:"Pictures a renderer makes at once; 0: one for every two processors."`
		ActionWorkers  int           `default:"4" placeholder:"N" help:"Changes a renderer makes at once (default ${default})."`
		BaseURL        string        `placeholder:"URL" help:"Where visitors reach the site, for links that must be absolute (feeds, OpenGraph)."`
		RendererStop   time.Duration `default:"15s" help:"How long a renderer that stops finishes the requests it holds."`
	}
	cachefillFlags struct {
		FillWorkers int `default:"32" placeholder:"N" help:"Pages a cachefill fetches at once (default ${default})."`
		ReplayRate  int `default:"400" placeholder:"N" help:"Pages a second that are filled, at most, when a memcached server is found empty (default ${default})."`
	}
)

// searchWorkers is how many searches are answered at once, each on a connection of its own.
func (f rendererFlags) searchWorkers() int {
	return cmp.Or(f.SearchWorkers, max(1, runtime.GOMAXPROCS(0)/2))
}

// poolSize is how many connections a renderer's pool may hold: one for each page worker and each action worker, one each for the relay and
// the search index, and one for what comes between.
func (f rendererFlags) poolSize() int32 {
	workers := f.PageWorkers
	if workers == 0 {
		workers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	return int32(workers + f.ActionWorkers + 3)
}

type edgeCommand struct {
	Addr      string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen for browsers (default ${default})."`
	DebugAddr string `placeholder:"HOST:PORT" help:"Where to answer /healthz, /readyz, /metrics and /debug/pprof/; none if not given."`
	AccessLog bool   `negatable:"" default:"true" help:"Log a line for each answer."`
	services
	edgeFlags
}

func (c *edgeCommand) Run(s *session) error {
	return s.runRole("edge", &c.services, c.DebugAddr, func() (*role, error) {
		return s.newEdge("edge", c.Addr, c.AccessLog, c.services, c.edgeFlags)
	})
}

type rendererCommand struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Where to answer /healthz, /readyz, /metrics and /debug/pprof/; none if not given."`
	services
	rendererFlags
}

func (c *rendererCommand) Run(s *session) error {
	return s.runRole("renderer", &c.services, c.DebugAddr, func() (*role, error) {
		return s.newRenderer("renderer", c.services, c.rendererFlags)
	})
}

type cachefillCommand struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Where to answer /healthz, /readyz, /metrics and /debug/pprof/; none if not given."`
	services
	cachefillFlags
}

func (c *cachefillCommand) Run(s *session) error {
	return s.runRole("cachefill", &c.services, c.DebugAddr, func() (*role, error) { return s.newCachefill("cachefill", c.services, c.cachefillFlags) })
}

// role is one instance of a role in this process, with what was opened for it alone.
type role struct {
	debug.Role
	addr  string // an edge's
	run   func(context.Context) error
	close func() // after run
}

// runRole is the life of a role as a process of its own: it serves until told to stop, finishes what it holds, and ends.
func (s *session) runRole(name string, at *services, debugAddr string, start func() (*role, error)) error {
	if err := at.fill(s.data); err != nil {
		return err
	}
	r, err := start()
	if err != nil {
		return err
	}
	defer r.close()
	var g group
	g.add(name, r.run)
	if debugAddr != "" {
		d, err := debug.Listen(debugAddr, func() []debug.Role { return []debug.Role{r.Role} }, s.log)
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
	return g.stop()
}

func (s *session) newEdge(name, addr string, accessLog bool, at services, f edgeFlags) (*role, error) {
	nc, closeBus, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		return nil, err
	}
	near := f.NearCache << 20
	if near == 0 {
		near = -1
	}
	cfg := edge.Config{Addr: addr, NATS: nc, Memcached: at.Memcached, TLSCert: f.TLSCert, TLSKey: f.TLSKey, NearBytes: near, MaxConns: f.MaxConns,
		StopTimeout: f.EdgeStop, Logger: s.log}
	if accessLog {
		cfg.AccessLog = s.log.With("edge", name)
	}
	registry := prometheus.NewRegistry()
	cfg.Registry = registry
	e, err := edge.New(cfg)
	if err != nil {
		closeBus()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: e.Ready}, addr: e.Addr(), run: e.Run, close: closeBus}, nil
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
	nc, closeBus, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		pool.Close()
		searches.Close()
		return nil, errors.Join(err, images.Close())
	}
	shut := func() {
		closeBus()
		pool.Close()
		searches.Close()
		if err := images.Close(); err != nil {
			s.log.Error("close the picture store", "error", err)
		}
	}
	registry := prometheus.NewRegistry()
	r, err := renderer.New(renderer.Config{NATS: nc, Pool: pool, Searches: searches, Pictures: images, Logger: s.log, Registry: registry, Version: version, BaseURL: f.BaseURL,
		PageWorkers: f.PageWorkers, SearchWorkers: f.searchWorkers(), PictureWorkers: f.PictureWorkers, ActionWorkers: f.ActionWorkers, StopTimeout: f.RendererStop})
	if err != nil {
		shut()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: r.Ready}, run: r.Run, close: shut}, nil
}

func (s *session) newCachefill(name string, at services, f cachefillFlags) (*role, error) {
	if len(at.Memcached) == 0 {
		return nil, errors.New("a cachefill needs memcached: say --memcached")
	}
	nc, closeBus, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	c, err := cachefill.New(cachefill.Config{NATS: nc, Memcached: at.Memcached, Workers: f.FillWorkers, ReplayRate: f.ReplayRate, Version: version, Logger: s.log, Registry: registry})
	if err != nil {
		closeBus()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: c.Ready}, run: c.Run, close: closeBus}, nil
}

// joinBus connects, and returns what closes the connection and waits until it is closed.
func joinBus(url, name string, log *slog.Logger) (*nats.Conn, func(), error) {
	nc, err := stack.Connect(url, "killr "+name, log)
	if err != nil {
		return nil, nil, err
	}
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	return nc, func() { nc.Close(); <-closed }, nil
}
