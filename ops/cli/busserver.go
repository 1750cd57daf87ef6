package cli

import (
	"errors"

	"flickrkillr/ops/debug"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/systemd"
)

// busServerCommand runs a nats-server of its own, on a machine of a site.
type busServerCommand struct {
	BusConfig string `type:"path" placeholder:"FILE" help:"Configuration, in the format of nats-server."`
}

func (c *busServerCommand) Run(s *session) error {
	if c.BusConfig == "" {
		return errors.New("say --bus-config, a file in the format of nats-server")
	}
	bus, err := stack.StartNATSFile(c.BusConfig, s.log)
	if err != nil {
		return err
	}
	roles := func() []debug.Role { return []debug.Role{{Name: "bus", Ready: bus.Ready}} }
	defer systemd.Report(s.ctx, roles, s.log)()
	return bus.Run(s.ctx)
}
