package cli

import (
	"flickrkillr/ops/setup"
)

type setupCommand struct {
	Tests bool `default:"true" negatable:"" help:"Also install what only the tests need: Chromium, the NATS CLI, npm and what it brings (default: yes)."`
}

func (c *setupCommand) Run(s *session) error {
	return setup.Run(s.ctx, setup.Config{Tests: c.Tests, Out: s.stdout})
}
