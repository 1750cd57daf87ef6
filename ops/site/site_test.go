package site

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// services are those of one test, with a database that holds no photo.
func services(t *testing.T) stack.Env {
	t.Helper()
	return stack.Env{
		NATS: testenv.NATS(t), Seeds: testenv.Seeds(t), Postgres: testenv.DatabaseURL(t),
		Memcached: []string{testenv.Memcached(t)},
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestSiteInThisProcess: roles join one after the other, serve, leave one by one, and all end with the site.
func TestSiteInThisProcess(t *testing.T) {
	t.Parallel()
	s := New(
		Config{
			Services:     services(t),
			Pictures:     filepath.Join(t.TempDir(), "pictures"),
			Addr:         "127.0.0.1:0",
			BaseFromEdge: true,
		},
	)
	defer func() {
		if err := errors.Join(s.Stop(), s.Stop()); err != nil {
			t.Error(err)
		}
	}()
	for _, role := range []Role{Renderer, Cachefill, Edge} {
		if err := s.Add(role, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WaitReady(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(Edge, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitPages(soon(t), "/about"); err != nil {
		t.Fatal(err)
	}
	urls := s.URLs()
	if len(urls) != 2 || urls[0] == urls[1] || !strings.HasPrefix(urls[0], "http://127.0.0.1:") {
		t.Errorf("the edges are at %q", urls)
	}
	if s.cfg.Renderer.BaseURL != urls[0] {
		t.Errorf("links begin with %q, the first edge is at %q", s.cfg.Renderer.BaseURL, urls[0])
	}
	if err := s.Remove(Edge); err != nil {
		t.Error(err)
	}
	if left := s.URLs(); len(left) != 1 || left[0] != urls[0] {
		t.Errorf("after one was removed the edges are at %q", left)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := Get(t.Context(), client, urls[1]+"/about"); err == nil {
		t.Error("the edge that was removed serves pages")
	}
	if s.hasFailed() {
		t.Error("an edge that was removed counts as failed")
	}
}

// TestSiteThatLacksSomething: a role that cannot be started says why, and the site can be stopped.
func TestSiteThatLacksSomething(t *testing.T) {
	t.Parallel()
	bus := testenv.NATS(t)
	for _, c := range []struct {
		role Role
		says string
	}{
		{Renderer, "needs the database"},
		{Cachefill, "needs memcached"},
		{Bus, "as a process only"},
	} {
		t.Run(string(c.role), func(t *testing.T) {
			t.Parallel()
			s := New(Config{Services: stack.Env{NATS: bus, Seeds: testenv.Seeds(t)}, Addr: "127.0.0.1:0"})
			if err := s.Add(c.role, 1); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one with %q", err, c.says)
			}
			if err := s.Remove(c.role); err == nil {
				t.Error("a role that is not there was removed")
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRoleThatEndsByItself: the site says that it has failed, and Stop says why.
func TestRoleThatEndsByItself(t *testing.T) {
	t.Parallel()
	s := New(Config{Services: stack.Env{NATS: testenv.NATS(t), Seeds: testenv.Seeds(t)}, Addr: "127.0.0.1:0",
		Processes: &ProcessConfig{Program: "/no/such/program", Data: t.TempDir()}})
	if err := s.Add(Edge, 1); err != nil {
		t.Fatal(err)
	}
	s.Wait(soon(t))
	if err := s.WaitPages(soon(t), "/"); err != nil {
		t.Errorf("waiting for pages of a site that has failed: %v", err)
	}
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error %v", err)
	}
}

func TestInjectKnowsItsFaults(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	if err := s.Inject(t.Context(), "rain"); err == nil || !strings.Contains(err.Error(), `no fault "rain"`) {
		t.Errorf("error %v", err)
	}
	if err := s.Inject(t.Context(), "kill an edge"); err == nil ||
		!strings.Contains(err.Error(), "no edge is running") {
		t.Errorf("error %v", err)
	}
}

// TestFaultsThatCannotBeInjected: a fault of a service that the site does not have, or that is not its own, is an
// error, and touches no other site's service.
func TestFaultsThatCannotBeInjected(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"kill a renderer":     "no renderer is running",
		"kill a cachefill":    "no cachefill is running",
		"kill an edge":        "no edge is running",
		"freeze an edge":      "no edge is running",
		"freeze a renderer":   "no renderer is running",
		"freeze the relay":    "no renderer is running",
		"freeze PostgreSQL":   "runs elsewhere",
		"restart memcached":   "runs elsewhere",
		"flush memcached":     "the site has none",
		"restart NATS":        "runs elsewhere",
		"hold the relay back": "has no database",
		"crash PostgreSQL":    "runs elsewhere",
		"wipe the stream":     "the address of NATS is not known",
	}
	for _, f := range Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			says, ok := want[f.Name]
			err := New(Config{}).Inject(t.Context(), f.Name)
			if !ok || err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("error %v, want one with %q", err, says)
			}
		})
	}
	if err := New(Config{}).Announce(); err == nil {
		t.Error("edges were announced in the stack.env of no stack")
	}
}

// TestRolesInThisProcessHaveNoPID: they cannot be killed, and say so.
func TestRolesInThisProcessHaveNoPID(t *testing.T) {
	t.Parallel()
	s := New(Config{Services: stack.Env{NATS: testenv.NATS(t), Seeds: testenv.Seeds(t)}, Addr: "127.0.0.1:0"})
	if err := s.Add(Edge, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(t.Context(), Edge); err == nil ||
		!strings.Contains(err.Error(), "edge-1 runs in this process") {
		t.Errorf("Kill: %v", err)
	}
	if pids, err := s.PIDs(Edge); err == nil || !strings.Contains(err.Error(), "edge-1 has no process of its own") {
		t.Errorf("PIDs: %v, %v", pids, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// TestReadinessNeedsADebugListener: a process without one cannot be asked, so no call claims that it is ready.
func TestReadinessNeedsADebugListener(t *testing.T) {
	t.Parallel()
	s := New(Config{Services: stack.Env{NATS: testenv.NATS(t), Seeds: testenv.Seeds(t)}, Addr: "127.0.0.1:0",
		Processes: &ProcessConfig{Program: "/no/such/program", Data: t.TempDir()}})
	if err := s.Add(Edge, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitReady(soon(t)); err == nil || !strings.Contains(err.Error(), "edge-1 has no debug listener") {
		t.Errorf("WaitReady: %v", err)
	}
	if err := s.Kill(soon(t), Edge); err == nil ||
		!strings.Contains(err.Error(), "edge-1 has no debug listener") {
		t.Errorf("Kill: %v", err)
	}
	if err := s.Stop(); err == nil {
		t.Error("the missing program is no error")
	}
}

// TestStopTimeouts: a role that is told no time has the default, not another role's.
func TestStopTimeouts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edge, renderer time.Duration
		want           map[Role]time.Duration
	}{
		"defaults": {0, 0, map[Role]time.Duration{Edge: defaultStop, Renderer: defaultStop, Cachefill: defaultStop}},
		"an edge's": {time.Minute, 0,
			map[Role]time.Duration{Edge: time.Minute, Renderer: defaultStop, Cachefill: defaultStop}},
		"a renderer's": {0, time.Hour,
			map[Role]time.Duration{Edge: defaultStop, Renderer: time.Hour, Cachefill: defaultStop}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg Config
			cfg.Edge.StopTimeout, cfg.Renderer.StopTimeout = c.edge, c.renderer
			s := New(cfg)
			for role, want := range c.want {
				if got := s.stopTimeout(role); got != want {
					t.Errorf("%s has %s, want %s", role, got, want)
				}
			}
		})
	}
}

// TestDescribe: a process gets the site's addresses and flags, and none of the shell's.
func TestDescribe(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://the.shell/s")
	t.Setenv("KILLR_NEAR_CACHE", "7")
	s := New(
		Config{
			Services: stack.Env{NATS: "nats://127.0.0.1:4999", Postgres: "postgres://ours/o"},
			Pictures: "/pictures",
			Addr:     "127.0.0.1:0",
			Processes: &ProcessConfig{
				Program:  "/killr",
				Data:     "/data",
				Args:     []string{"--log-level", "error"},
				EdgeArgs: []string{"--no-access-log"},
				Share:    4,
			},
		},
	)
	for _, c := range []struct {
		role Role
		args string
	}{
		{Edge, "/killr edge --data /data --log-level error --addr 127.0.0.1:"},
		{Renderer, "/killr renderer --data /data --log-level error --pictures /pictures"},
		{Cachefill, "/killr cachefill --data /data --log-level error"},
		{Bus, "/killr bus serve --data /data --log-level error --port 4999 --dir /data/bus-4999"},
	} {
		p, url, err := s.Describe(c.role)
		if err != nil {
			t.Fatal(err)
		}
		cmd := p.Command()
		if got := strings.Join(cmd.Args, " "); !strings.HasPrefix(got, c.args) {
			t.Errorf("%s is started as %q, want %q", c.role, got, c.args)
		}
		env := strings.Join(cmd.Env, "\n") + "\n"
		if !strings.Contains(env, "DATABASE_URL=postgres://ours/o\n") || strings.Contains(env, "the.shell") ||
			strings.Contains(env, "KILLR_NEAR_CACHE") {
			t.Errorf("%s has the environment\n%s", c.role, env)
		}
		if (url != "") != (c.role == Edge) {
			t.Errorf("%s is at %q", c.role, url)
		}
	}
}
