package cli

import (
	"context"
	"errors"

	"flickrkillr/ops/debug"
	"flickrkillr/ops/stack"
)

// role is one instance of a role in this process, with what was opened for it alone.
type role struct {
	debug.Role
	addr  string // an edge's
	run   func(context.Context) error
	close func() // after run
}

// runRole is the life of a role as a process of its own: it serves until told to stop, finishes what it holds, and ends.
// flags names those by which it can be told where its services are.
func (s *session) runRole(name string, at *services, flags, debugAddr string, start func() (*role, error)) error {
	if err := at.find(s.data, flags); err != nil {
		return err
	}
	if debugAddr != "" {
		if err := stack.CheckPort("debug listener", debugAddr); err != nil {
			return advise(err)
		}
	}
	r, err := start()
	if err != nil {
		return err
	}
	defer r.close()
	var g group
	g.add(name, r.run)
	here := func() []debug.Role { return []debug.Role{r.Role} }
	g.add("watch", func(ctx context.Context) error { return watchReady(ctx, here, s.log) })
	if debugAddr != "" {
		d, err := debug.Listen(debugAddr, here, s.log)
		if err != nil {
			return errors.Join(err, g.stop())
		}
		s.log.Info("debug listener", "addr", d.Addr())
		g.add("debug listener", d.Run)
	}
	if r.addr != "" {
		s.log.Info("listening", "role", name, "addr", r.addr)
	}
	select {
	case <-s.ctx.Done():
	case <-g.failed():
	}
	return advise(g.stop())
}
