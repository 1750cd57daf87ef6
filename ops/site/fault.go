package site

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// faults are what can go wrong with a site. Those of roles need roles that are processes.
var faults = []struct {
	name     string
	ownStack bool // it needs services that belong to the site
	inject   func(*Site, context.Context) error
}{
	{"kill a renderer", false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Renderer) }},
	{"kill a cachefill", false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Cachefill) }},
	{"kill an edge", false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Edge) }},
	{"restart memcached", true, func(s *Site, ctx context.Context) error { return s.cfg.Stack.RestartMemcached(ctx) }},
	{"flush memcached", false, func(s *Site, ctx context.Context) error {
		return flushMemcached(ctx, s.cfg.Services.Memcached)
	}},
	{"restart NATS", true, func(s *Site, _ context.Context) error { return s.cfg.Stack.RestartNATS() }},
	{"hold the relay back", false, func(s *Site, ctx context.Context) error {
		return holdRelay(ctx, s.cfg.Services.Postgres, 6*time.Second)
	}},
	// PostgreSQL ends as in a crash: what was acknowledged must be there afterwards. ctx does not end a start half-way.
	{"crash PostgreSQL", true, func(s *Site, ctx context.Context) error {
		return s.cfg.Stack.CrashPostgres(context.WithoutCancel(ctx))
	}},
	{"wipe the stream", false, func(s *Site, ctx context.Context) error {
		return wipeChanges(ctx, s.cfg.Services.NATS)
	}},
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
		if f.name != name {
			continue
		}
		if f.ownStack && s.cfg.Stack == nil {
			return fmt.Errorf("%s: the service does not belong to this site, it runs elsewhere", name)
		}
		return f.inject(s, ctx)
	}
	return fmt.Errorf("there is no fault %q", name)
}

// Kill ends one process of a role as a crash does, each in its turn, and returns when it is ready again. The process
// needs a debug listener for it.
func (s *Site) Kill(ctx context.Context, role Role) error {
	all := s.all(role)
	if len(all) == 0 {
		return fmt.Errorf("no %s is running", role)
	}
	s.mu.Lock()
	r := all[s.killed[role]%len(all)]
	s.killed[role]++
	s.mu.Unlock()
	if r.process == nil {
		return fmt.Errorf("kill %s: it runs in this process", r.name)
	}
	if r.ready == "" {
		return fmt.Errorf("kill %s: it has no debug listener that says when it is ready again", r.name)
	}
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
