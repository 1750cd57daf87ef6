package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"flickrkillr/ops/deploy"
	"flickrkillr/schema/wire"
)

type scaleCommand struct {
	Count string `arg:"" name:"role=n" help:"The role and how many instances there are to be on all hosts together: renderer=6."`
	deployFlags
}

func (c *scaleCommand) Run(s *session) error {
	role, number, ok := strings.Cut(c.Count, "=")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return usage(fmt.Errorf("%q is no role and number: say %s=6", c.Count, cmp.Or(role, "renderer")))
	}
	o, err := c.options(s)
	if err != nil {
		return err
	}
	return deploy.Scale(s.ctx, o, wire.Role(role), n)
}
