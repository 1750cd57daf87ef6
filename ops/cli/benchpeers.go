package cli

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/ladder"
	"flickrkillr/ops/lab/peers"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/seed"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/page"
)

// The data of a comparison. Pages that are made for each request are those of the users with the most photos, so that
// they are of about the same size.
const (
	peersUsers  = 4000
	peersPhotos = 60_000
	peersCold   = 2000
)

// comparePeers compares the site with other programs, in a sandbox: roles on the services of a running site would take
// its changes.
func (c *benchCommand) comparePeers(s *session) (err error) {
	own, err := s.openSandbox(
		"peers",
		false,
		seed.Config{Users: peersUsers, Photos: peersPhotos, Originals: ladderOriginals, Long: ladderLong},
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Stop()) }()
	cfg := peers.Config{
		Page:         bench.PageAt(page.User("ansel").Path()),
		Memcached:    own.Env().Memcached[0],
		Gzip:         c.Gzip,
		Visitors:     c.Visitors,
		Rounds:       c.Rounds,
		Round:        c.Duration / time.Duration(c.Rounds),
		Logger:       s.log,
		PostgresPID:  childNamed(os.Getpid(), "postgres"),
		MemcachedPID: childNamed(os.Getpid(), "memcached"),
	}
	err = withPool(s.ctx, own.Env().Postgres, func(pool *pgxpool.Pool) (err error) {
		cfg.Body, err = ladder.MakePage(s.ctx, pool, page.User("ansel"))
		return err
	})
	if err != nil {
		return err
	}
	if cfg.Users, err = bench.Users(s.ctx, own.Env().Postgres); err != nil {
		return err
	}
	cfg.Users = cfg.Users[:min(peersCold, len(cfg.Users))]
	cfg.Program = func() (string, rig.Process, error) { return plainProgram(own, cfg.Page.Path) }
	if c.TLS {
		cfg.Gzip = true
		if cfg.Protocols, err = overProtocols(own); err != nil {
			return err
		}
	}
	site := func(m measured) peers.Starter {
		m.roleCounts = roleCounts{renderers: 1, edges: 1}
		if !m.noMemcached {
			m.cachefills = 1
		}
		return func() (string, []rig.Process, error) { return m.processes(own) }
	}
	cfg.Ours = peers.Ours{
		Near:      site(measured{}),
		Memcached: site(measured{noNear: true}),
		Apart:     site(measured{noNear: true, noMemcached: true}),
		Together:  func() (string, []rig.Process, error) { return together(own) },
	}
	cfg.Progress = s.logProgress()
	result, err := peers.Run(s.ctx, cfg)
	if result == nil {
		return err
	}
	if c.JSON {
		return errors.Join(err, writeJSON(s.stdout, result))
	}
	return errors.Join(err, result.WriteTable(s.stdout))
}

// plainProgram is the ladder's 0.2: a program that makes each page from the database.
func plainProgram(on *stack.Stack, probe string) (addr string, p rig.Process, err error) {
	addr, p, err = rung(on, "0.2", "--files", on.Dir())
	p.Ready = "http://" + addr + probe
	return addr, p, err
}

// rung is a process of the ladder.
func rung(on *stack.Stack, version string, flags ...string) (addr string, p rig.Process, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", p, err
	}
	if addr, err = stack.ResolvePort("127.0.0.1:0"); err != nil {
		return "", p, err
	}
	return addr, rig.Process{Name: "plain", Command: func() *exec.Cmd {
		args := []string{"rung", version, "--addr", addr, "--log-level", "error"}
		cmd := exec.Command(self, append(args, flags...)...)
		cmd.Env = stack.Env{Postgres: on.Env().Postgres}.Environ(os.Environ())
		cmd.Stderr = os.Stderr
		return cmd
	}}, nil
}
