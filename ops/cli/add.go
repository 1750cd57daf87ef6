package cli

import "flickrkillr/ops/deploy"

type addCommand struct {
	Host string `arg:"" help:"The host, which site.toml has."`
	deployFlags
}

func (c *addCommand) Run(s *session) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	return deploy.Add(s.ctx, o, c.Host)
}
