package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/stack"
)

// auditSite is a site for an audit to break: services and roles of its own in a temporary directory, the roles as processes of this same
// program.
type auditSite struct {
	*session
	*throwaway
	edges, renderers int

	nats *stack.NATS

	visitors, workers group // edges; renderers and cachefills
	kept              map[string][]*stack.Kept
	urls              []string
	debug             map[*stack.Kept]string // where each answers /readyz
	client            *http.Client
}

// Sizes of its demonstration data.
const (
	auditUsers  = 150
	auditPhotos = 3000
)

// newAuditSite starts the services and fills the database.
func newAuditSite(s *session, edges, renderers int) (_ *auditSite, err error) {
	t := &auditSite{session: s, edges: edges, renderers: renderers, kept: map[string][]*stack.Kept{}, debug: map[*stack.Kept]string{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}}
	if t.throwaway, err = newThrowaway(s, "audit", seed.Config{Users: auditUsers, Photos: auditPhotos}); err != nil {
		return nil, err
	}
	own := *s
	own.data = t.dir // what the roles leave out they find nowhere else
	t.session = &own
	if t.nats, err = stack.StartNATS(stack.NATSConfig{Dir: filepath.Join(t.dir, "jetstream")}); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// start starts the roles, and returns when each is ready.
func (t *auditSite) start() error {
	for _, r := range []struct {
		role  string
		count int
		group *group
	}{{"renderer", t.renderers, &t.workers}, {"cachefill", 1, &t.workers}, {"edge", t.edges, &t.visitors}} {
		for i := range r.count {
			if err := t.startRole(r.group, r.role, i); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.ctx, time.Minute)
	defer cancel()
	for _, all := range t.kept {
		for _, k := range all {
			if err := t.waitReady(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *auditSite) startRole(g *group, role string, i int) error {
	debugAddr, err := stack.ResolvePort("127.0.0.1:0")
	if err != nil {
		return err
	}
	args := []string{"--debug-addr", debugAddr, "--log-level", "error"}
	switch role {
	case "edge":
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			return err
		}
		args = append(args, "--addr", addr, "--no-access-log")
		t.urls = append(t.urls, "http://"+addr)
	case "renderer":
		args = append(args, "--pictures", t.originals())
	}
	name := role + "-" + strconv.Itoa(i+1)
	at := stack.Env{NATS: t.nats.URL(), Postgres: t.postgres.URL(), Memcached: []string{t.memcached.Addr()}}
	k, err := t.spawn(name, role, at, 1, 17*time.Second, args...)
	if err != nil {
		return err
	}
	t.kept[role] = append(t.kept[role], k)
	t.debug[k] = debugAddr
	g.add(name, k.Run)
	return nil
}

// waitReady returns when a role says that it is ready.
func (t *auditSite) waitReady(ctx context.Context, k *stack.Kept) error {
	for {
		err := rig.Get(ctx, t.client, "http://"+t.debug[k]+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a role is not ready: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends all and removes every trace.
func (t *auditSite) stop() error {
	err := errors.Join(t.visitors.stop(), t.workers.stop())
	if t.nats != nil {
		t.nats.Stop()
	}
	return errors.Join(err, t.throwaway.stop())
}

// kill has one process of a role end as in a crash, each in its turn, and returns when it is ready again.
func (t *auditSite) kill(role string) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		k := t.kept[role][n%len(t.kept[role])]
		n++
		pid := k.PID()
		if pid == 0 {
			return fmt.Errorf("%s is not running", role)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill a %s: %w", role, err)
		}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		for k.PID() == pid {
			if ctx.Err() != nil {
				return fmt.Errorf("a killed %s is still there", role)
			}
			time.Sleep(5 * time.Millisecond)
		}
		return t.waitReady(ctx, k)
	}
}

// crashPostgres ends the database as a crash does, and starts it again: it replays its log. What was acknowledged must be there, which
// is why this one syncs.
func (t *auditSite) crashPostgres(ctx context.Context) error {
	t.postgres.Kill()
	return t.postgres.Restart(context.WithoutCancel(ctx))
}

// auditFaults are what can be broken in an audit's own site: for each name, what makes the function that breaks it.
var auditFaults = []struct {
	name string
	in   func(*auditSite) func(context.Context) error
}{
	{"kill a renderer", func(t *auditSite) func(context.Context) error { return t.kill("renderer") }},
	{"kill a cachefill", func(t *auditSite) func(context.Context) error { return t.kill("cachefill") }},
	{"kill an edge", func(t *auditSite) func(context.Context) error { return t.kill("edge") }},
	{"restart memcached", func(t *auditSite) func(context.Context) error { return t.memcached.Restart }},
	{"flush memcached", func(t *auditSite) func(context.Context) error {
		return func(ctx context.Context) error { return audit.FlushMemcached(ctx, t.memcached.Addr()) }
	}},
	{"restart NATS", func(t *auditSite) func(context.Context) error {
		return func(context.Context) error { return t.nats.Restart() }
	}},
	{"hold the relay back", func(t *auditSite) func(context.Context) error {
		return func(ctx context.Context) error { return audit.HoldRelay(ctx, t.postgres.URL(), 6*time.Second) }
	}},
	{"crash PostgreSQL", func(t *auditSite) func(context.Context) error { return t.crashPostgres }},
	{"wipe the stream", func(t *auditSite) func(context.Context) error {
		return func(ctx context.Context) error { return audit.WipeChanges(ctx, t.nats.URL()) }
	}},
}

// faultNames lists auditFaults, for the flag --fault.
func faultNames() []string {
	var names []string
	for _, f := range auditFaults {
		names = append(names, f.name)
	}
	return names
}

// faults are those with the given names, or all if there is no name.
func (t *auditSite) faults(names []string) []audit.Fault {
	var chosen []audit.Fault
	for _, f := range auditFaults {
		if len(names) == 0 || slices.Contains(names, f.name) {
			chosen = append(chosen, audit.Fault{Name: f.name, Do: f.in(t)})
		}
	}
	return chosen
}
