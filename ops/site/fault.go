package site

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// faults are what can go wrong with a site whose services belong to it and whose roles are processes.
var faults = []struct {
	name   string
	inject func(*Site, context.Context) error
}{
	{"kill a renderer", func(s *Site, ctx context.Context) error { return s.Kill(ctx, Renderer) }},
	{"kill a cachefill", func(s *Site, ctx context.Context) error { return s.Kill(ctx, Cachefill) }},
	{"kill an edge", func(s *Site, ctx context.Context) error { return s.Kill(ctx, Edge) }},
	{"restart memcached", func(s *Site, ctx context.Context) error { return s.cfg.Stack.RestartMemcached(ctx) }},
	{
		"flush memcached",
		func(s *Site, ctx context.Context) error { return FlushMemcached(ctx, s.cfg.Services.Memcached[0]) },
	},
	{"restart NATS", func(s *Site, _ context.Context) error { return s.cfg.Stack.RestartNATS() }},
	{"hold the relay back", func(s *Site, ctx context.Context) error {
		return HoldRelay(ctx, s.cfg.Services.Postgres, 6*time.Second)
	}},
	// What was acknowledged must be there afterwards. A database that is being started is not left half-way.
	{
		"crash PostgreSQL",
		func(s *Site, ctx context.Context) error { return s.cfg.Stack.CrashPostgres(context.WithoutCancel(ctx)) },
	},
	{"wipe the stream", func(s *Site, ctx context.Context) error { return WipeChanges(ctx, s.cfg.Services.NATS) }},
}

// Faults lists the names that Inject knows.
func Faults() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// Inject makes something go wrong, by its name in Faults, and returns when it is over: each fault undoes itself.
func (s *Site) Inject(ctx context.Context, name string) error {
	for _, f := range faults {
		if f.name == name {
			return f.inject(s, ctx)
		}
	}
	return fmt.Errorf("there is no fault %q", name)
}

// Kill ends one process of a role as a crash does, each in its turn, and returns when it is ready again.
func (s *Site) Kill(ctx context.Context, role Role) error {
	all := s.all(role)
	if len(all) == 0 {
		return fmt.Errorf("no %s is running", role)
	}
	s.mu.Lock()
	r := all[s.killed[role]%len(all)]
	s.killed[role]++
	s.mu.Unlock()
	pid := r.process.PID()
	if pid == 0 {
		return fmt.Errorf("%s is not running", r.name)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", r.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := Await(ctx, s.failed, func(context.Context) error {
		if r.process.PID() == pid {
			return fmt.Errorf("%s was killed and still runs", r.name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.waitRole(ctx, r)
}
