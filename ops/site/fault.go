package site

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// Fault is something that can go wrong with a site.
type Fault struct {
	Name string
	// Strict says that changes show within a second during it, as when nothing is wrong.
	Strict bool

	ownStack bool // it needs services that belong to the site
	inject   func(*Site, context.Context) error
}

// How long something is frozen. An edge trusts its copies for 3 s after a heartbeat: a shorter pause of its own is one
// that it must notice by itself. A longer one of the relay is one that it must notice by the missing heartbeats.
const (
	edgeFrozen   = 2500 * time.Millisecond
	othersFrozen = 3 * time.Second
	relayFrozen  = 6 * time.Second
)

const readyAgain = 30 * time.Second // the time that a process has to be ready after it was killed or frozen

// faults are all faults. Those of roles need roles that are processes.
var faults = []Fault{
	{"kill a renderer", false, false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Renderer) }},
	{"kill a cachefill", false, false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Cachefill) }},
	{"kill an edge", false, false, func(s *Site, ctx context.Context) error { return s.Kill(ctx, Edge) }},
	{"freeze an edge", true, false, func(s *Site, ctx context.Context) error {
		return s.freezeNext(ctx, Edge, edgeFrozen)
	}},
	{"freeze a renderer", false, false, func(s *Site, ctx context.Context) error {
		return s.freezeNext(ctx, Renderer, othersFrozen)
	}},
	{"freeze the relay", false, false, func(s *Site, ctx context.Context) error {
		relay, err := s.relay(ctx)
		if err != nil {
			return err
		}
		return s.freeze(ctx, relay, relayFrozen)
	}},
	{"freeze PostgreSQL", false, true, func(s *Site, ctx context.Context) error {
		return s.cfg.Stack.FreezePostgres(ctx, othersFrozen)
	}},
	{"restart memcached", false, true, func(s *Site, ctx context.Context) error {
		return s.cfg.Stack.RestartMemcached(ctx)
	}},
	{"flush memcached", false, false, func(s *Site, ctx context.Context) error {
		return flushMemcached(ctx, s.cfg.Services.Memcached)
	}},
	{"restart NATS", false, true, func(s *Site, _ context.Context) error { return s.cfg.Stack.RestartNATS() }},
	{"hold the relay back", false, false, func(s *Site, ctx context.Context) error {
		return holdRelay(ctx, s.cfg.Services.Postgres, 6*time.Second)
	}},
	// PostgreSQL ends as in a crash: what was acknowledged must be there afterwards. ctx does not end a start half-way.
	{"crash PostgreSQL", false, true, func(s *Site, ctx context.Context) error {
		return s.cfg.Stack.CrashPostgres(context.WithoutCancel(ctx))
	}},
	{"wipe the stream", false, false, func(s *Site, ctx context.Context) error {
		return wipeChanges(ctx, s.cfg.Services)
	}},
}

// Faults lists the faults that Inject knows.
func Faults() []Fault { return faults }

// Inject makes something go wrong, by its name in Faults, and returns when it is over: each fault undoes itself.
func (s *Site) Inject(ctx context.Context, name string) error {
	for _, f := range faults {
		if f.Name != name {
			continue
		}
		if f.ownStack && s.cfg.Stack == nil {
			return fmt.Errorf("%s: the service does not belong to this site, it runs elsewhere", name)
		}
		return f.inject(s, ctx)
	}
	return fmt.Errorf("there is no fault %q", name)
}

// next is the process of a role whose turn it is to be killed or frozen. It has a debug listener that says when it is
// ready again.
func (s *Site) next(role Role) (r *running, pid int, err error) {
	all := s.all(role)
	if len(all) == 0 {
		return nil, 0, fmt.Errorf("no %s is running", role)
	}
	s.mu.Lock()
	r = all[s.struck[role]%len(all)]
	s.struck[role]++
	s.mu.Unlock()
	if r.process == nil {
		return nil, 0, fmt.Errorf("%s runs in this process", r.name)
	}
	if r.ready == "" {
		return nil, 0, fmt.Errorf("%s has no debug listener that says when it is ready again", r.name)
	}
	if pid = r.process.PID(); pid == 0 {
		return nil, 0, fmt.Errorf("%s is not running", r.name)
	}
	return r, pid, nil
}

// freezeNext freezes one process of a role, each in its turn.
func (s *Site) freezeNext(ctx context.Context, role Role, d time.Duration) error {
	r, _, err := s.next(role)
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	return s.freeze(ctx, r, d)
}

// freeze suspends a process for the time d, and returns when it is ready again.
func (s *Site) freeze(ctx context.Context, r *running, d time.Duration) error {
	pid := r.process.PID()
	if pid == 0 {
		return fmt.Errorf("freeze: %s is not running", r.name)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freeze %s: %w", r.name, err)
	}
	sleep.For(ctx, d)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return fmt.Errorf("thaw %s: %w", r.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyAgain)
	defer cancel()
	return s.waitRole(ctx, r)
}

// relaying is the line by which the metrics of a renderer say that it relays.
var relaying = regexp.MustCompile(`(?m)^killr_relay_active(\{[^}]*\})? 1$`)

// relay finds the renderer that relays.
func (s *Site) relay(ctx context.Context) (*running, error) {
	ctx, cancel := context.WithTimeout(ctx, readyAgain)
	defer cancel()
	if s.count(Renderer) == 0 {
		return nil, errors.New("freeze the relay: no renderer is running")
	}
	for {
		for _, r := range s.all(Renderer) {
			if r.process == nil || r.ready == "" {
				return nil, fmt.Errorf("freeze the relay: %s is no process with a debug listener", r.name)
			}
			metrics, err := Get(ctx, debugClient, strings.TrimSuffix(r.ready, readyPath)+"/metrics")
			if err == nil && relaying.Match(metrics) {
				return r, nil
			}
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return nil, fmt.Errorf("freeze the relay: no renderer relays: %w", ctx.Err())
		}
	}
}

// Kill ends one process of a role as a crash does, each in its turn, and returns when it is ready again.
func (s *Site) Kill(ctx context.Context, role Role) error {
	r, pid, err := s.next(role)
	if err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", r.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyAgain)
	defer cancel()
	err = Await(ctx, s.failed, func(context.Context) error {
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
