package cli

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/cachefill"
	"flickrkillr/ops/debug"
)

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

// cachefillFlags are the flags of a cachefill, which `up` takes as well.
type cachefillFlags struct {
	FillWorkers int `default:"32" min:"1" max:"10000" placeholder:"N" help:"Pages that a cachefill fetches at once (default ${default})."`
	ReplayRate  int `default:"400" min:"1" max:"1000000" placeholder:"N" help:"Pages per second, at most, that are filled when a memcached server is found empty (default ${default})."`
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
	c, err := cachefill.New(cachefill.Config{NATS: nc.Conn, Memcached: at.Memcached, Workers: f.FillWorkers, ReplayRate: f.ReplayRate, Version: s.version, Logger: s.log, Registry: registry})
	if err != nil {
		nc.close()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: nc.ready(c.Ready)}, run: c.Run, close: nc.close}, nil
}
