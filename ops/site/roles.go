package site

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/cachefill"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// local is a role in this process.
type local struct {
	debug debug.Role
	addr  string // an edge's
	run   func(context.Context) error
	close func() // releases what was opened for it alone, after run

	reload func() // an edge: reads its certificates again
}

func (s *Site) addHere(group *Group, role Role, name string) (*running, error) {
	var l *local
	var err error
	switch role {
	case Edge:
		l, err = s.edgeHere(name)
	case Renderer:
		l, err = s.rendererHere(name)
	case Cachefill:
		l, err = s.cachefillHere(name)
	default:
		err = fmt.Errorf("role %s runs as a process only", role)
	}
	if err != nil {
		return nil, err
	}
	return &running{
		role:    role,
		name:    name,
		addr:    l.addr,
		here:    l.debug,
		member:  group.Add(name, l.run),
		release: l.close,
		reload:  l.reload,
	}, nil
}

func (s *Site) rendererHere(name string) (*local, error) {
	cfg := s.cfg.Renderer
	if s.cfg.Services.Postgres == "" {
		return nil, errors.New("a renderer needs the database: say --postgres")
	}
	images, err := s.openPictures()
	if err != nil {
		return nil, err
	}
	// Opening neither waits for the database nor ends with a context.
	pool, err := store.OpenPool(
		context.Background(),
		s.cfg.Services.Postgres,
		renderer.PoolConns(cfg.PageWorkers, cfg.ActionWorkers),
	)
	if err != nil {
		return nil, errors.Join(err, images.Close())
	}
	searches, err := store.OpenSearchPool(
		context.Background(),
		s.cfg.Services.Postgres,
		renderer.SearchConns(cfg.SearchWorkers),
	)
	if err != nil {
		pool.Close()
		return nil, errors.Join(err, images.Close())
	}
	readFrom, closeReplicas, err := openReplicas(s.cfg.Services.ReadFrom, cfg)
	if err != nil {
		pool.Close()
		searches.Close()
		return nil, errors.Join(err, images.Close())
	}
	bus, registry, err := s.joinBus(wire.RoleRenderer, name)
	if err != nil {
		pool.Close()
		searches.Close()
		closeReplicas()
		return nil, errors.Join(err, images.Close())
	}
	join := stack.JoinBusForFiles
	if images.KeepsData() { // so the memory of a chunk cannot be used again
		join = stack.JoinBus
	}
	uploads, err := join(s.cfg.Services.Login(wire.RoleRenderer), name+" uploads", s.log)
	if err != nil {
		bus.Close()
		pool.Close()
		searches.Close()
		closeReplicas()
		return nil, errors.Join(err, images.Close())
	}
	release := func() {
		bus.Close()
		uploads.Close()
		pool.Close()
		searches.Close()
		closeReplicas()
		if err := images.Close(); err != nil {
			s.log.Error("close the picture store", "err", err)
		}
	}
	s.watchPictures(images, registry)
	cfg.Uploads = uploads.Conn
	cfg.NATS, cfg.Pool, cfg.Searches, cfg.Pictures = bus.Conn, pool, searches, images
	cfg.ReadFrom = readFrom
	cfg.Version, cfg.Logger, cfg.Registry = s.cfg.Version, s.log, registry
	r, err := renderer.New(cfg)
	if err != nil {
		release()
		return nil, err
	}
	return &local{
		debug: debug.Role{Name: name, Registry: registry, Ready: busOr(bus, r.Ready)},
		run:   r.Run,
		close: release,
	}, nil
}

func (s *Site) cachefillHere(name string) (*local, error) {
	cfg := s.cfg.Cachefill
	if len(s.cfg.Services.Memcached) == 0 {
		return nil, errors.New("a cachefill needs memcached: say --memcached")
	}
	bus, registry, err := s.joinBus(wire.RoleCachefill, name)
	if err != nil {
		return nil, err
	}
	cfg.NATS, cfg.Memcached = bus.Conn, s.cfg.Services.Memcached
	cfg.Version, cfg.Logger, cfg.Registry = s.cfg.Version, s.log, registry
	c, err := cachefill.New(cfg)
	if err != nil {
		bus.Close()
		return nil, err
	}
	return &local{
		debug: debug.Role{Name: name, Registry: registry, Ready: busOr(bus, c.Ready)},
		run:   c.Run,
		close: bus.Close,
	}, nil
}

// joinBus connects a role in this process to NATS. The registry for its metrics has those of the connection.
func (s *Site) joinBus(role wire.Role, name string) (*stack.Bus, *prometheus.Registry, error) {
	bus, err := stack.JoinBus(s.cfg.Services.Login(role), name, s.log)
	if err != nil {
		return nil, nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(append(bus.Connection(), bus.Refusals())...)
	return bus, registry, nil
}

// busOr is why the bus is down, which keeps a role from serving, or else the role's own reason.
func busOr(bus *stack.Bus, ready func() error) func() error {
	return func() error {
		if err := bus.Down(); err != nil {
			return err
		}
		return ready()
	}
}
