package cli

import (
	"errors"

	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/systemd"
	"flickrkillr/schema/wire"
)

// roleFlags are the flags of each command that runs one role.
type roleFlags struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Serve /pool (a page that shows all roles), /healthz, /readyz, /metrics and /debug/pprof/ here (default: nowhere)."`
	services
}

// runRole runs one role in this process until it is told to stop. flags are the names of those that say where the
// services are, for error messages; config is called once the addresses are known.
func (s *session) runRole(role site.Role, f *roleFlags, flags string, config func() site.Config) (err error) {
	if f.DebugAddr != "" {
		if err := checkAddr("--debug-addr", f.DebugAddr); err != nil {
			return usage(err)
		}
	}
	if err := f.find(s.data, flags, wire.Role(role)); err != nil {
		return err
	}
	cfg := config()
	cfg.Services = f.env(wire.Role(role))
	cfg.DebugAddr, cfg.Version, cfg.Logger = f.DebugAddr, s.release(), s.log
	if cfg.DebugAddr != "" {
		if err := stack.CheckPort("debug listener", cfg.DebugAddr); err != nil {
			return advise(err)
		}
	}
	running := site.New(cfg)
	defer systemd.Report(s.ctx, running.RolesHere, s.log)() // until it has stopped
	defer func() { err = advise(errors.Join(err, running.Stop())) }()
	if err := running.AddNamed(role, string(role)); err != nil {
		return err
	}
	if cfg.Edge.Encrypts() {
		defer s.onHangup(running.ReloadCertificates)()
	}
	for _, addr := range running.Addrs() {
		s.log.Info("listening", "role", string(role), "addr", addr)
	}
	running.Wait(s.ctx)
	return nil
}

// roleCounts says how many a site has of each role.
type roleCounts struct{ renderers, cachefills, edges int }

func (n roleCounts) total() int { return n.renderers + n.cachefills + n.edges }

// each calls f once for each role that is to start, edges last, until f fails.
func (n roleCounts) each(f func(site.Role) error) error {
	for _, r := range []struct {
		role site.Role
		n    int
	}{{site.Renderer, n.renderers}, {site.Cachefill, n.cachefills}, {site.Edge, n.edges}} {
		for range r.n {
			if err := f(r.role); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTo starts the roles and returns without waiting until they are ready.
func (n roleCounts) addTo(running *site.Site) error {
	return n.each(func(role site.Role) error { return running.Add(role, 1) })
}
