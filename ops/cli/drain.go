package cli

import "flickrkillr/ops/deploy"

type drainCommand struct {
	Host string `arg:"" help:"The host."`
	deployFlags
}

func (c *drainCommand) Run(s *session) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	return deploy.Drain(s.ctx, o, c.Host)
}
