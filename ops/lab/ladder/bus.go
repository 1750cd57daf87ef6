package ladder

import (
	"context"

	"flickrkillr/ops/lab/rig"
)

var rungBus = rung{
	Version: "1.0",
	What:    "the bus: edges, renderers, cachefills, and warm pages",
	Wrong:   "Find out: measure, name the bottleneck, remove it, measure again. Use `killr bench`, `nats micro stats renderer` and `/debug/pprof`.",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) {
		if c.cfg.Running != "" {
			return rig.Start(ctx, rig.Config{URL: c.cfg.Running, Probe: c.page, Logger: c.cfg.Logger})
		}
		url, roles, err := c.cfg.Roles()
		if err != nil {
			return nil, err
		}
		return rig.Start(ctx, rig.Config{URL: url, Probe: c.page, Processes: roles, Logger: c.cfg.Logger})
	},
}
