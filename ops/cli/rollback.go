package cli

import "flickrkillr/ops/deploy"

type rollbackCommand struct {
	deployFlags
}

func (c *rollbackCommand) Run(s *session) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	return deploy.Rollback(s.ctx, o)
}
