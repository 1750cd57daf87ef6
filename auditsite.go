package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"flickrkillr/ops/audit"
	"flickrkillr/ops/bench/rig"
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
	if edges < 1 || renderers < 1 {
		return nil, errors.New("an audit needs at least one edge and one renderer")
	}
	t := &auditSite{session: s, edges: edges, renderers: renderers, kept: map[string][]*stack.Kept{}, debug: map[*stack.Kept]string{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}}
	if t.throwaway, err = newThrowaway(s, "audit", seed.Config{Users: auditUsers, Photos: auditPhotos}); err != nil {
		return nil, err
	}
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
	args := []string{"--nats", t.nats.URL(), "--memcached", t.memcached.Addr(), "--debug-addr", debugAddr, "--log-level", "error"}
	switch role {
	case "edge":
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			return err
		}
		args = append(args, "--addr", addr, "--no-access-log")
		t.urls = append(t.urls, "http://"+addr)
	case "renderer":
		args = append(args, "--postgres", t.postgres.URL(), "--pictures", t.originals())
	}
	name := role + "-" + strconv.Itoa(i+1)
	k, err := t.spawn(name, role, 1, 17*time.Second, args...)
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

// faults are what can be broken here.
func (t *auditSite) faults() []audit.Fault {
	return []audit.Fault{
		{Name: "kill a renderer", Do: t.kill("renderer")},
		{Name: "kill a cachefill", Do: t.kill("cachefill")},
		{Name: "kill an edge", Do: t.kill("edge")},
		{Name: "restart memcached", Do: t.memcached.Restart},
		{Name: "flush memcached", Do: func(ctx context.Context) error { return audit.FlushMemcached(ctx, t.memcached.Addr()) }},
		{Name: "restart NATS", Do: func(context.Context) error { return t.nats.Restart() }},
		{Name: "hold the relay back", Do: func(ctx context.Context) error { return audit.HoldRelay(ctx, t.postgres.URL(), 6*time.Second) }},
		{Name: "crash PostgreSQL", Do: t.crashPostgres},
		{Name: "wipe the stream", Do: func(ctx context.Context) error { return audit.WipeChanges(ctx, t.nats.URL()) }},
	}
}
