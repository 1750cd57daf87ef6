package ladder

import (
	"context"

	"flickrkillr/ops/lab/rig"
)

var rungProcess = rung{
	Version: "0.2", Then: 139,
	What:  "one process that stays, with its connections",
	Wrong: "There is one of it. When it is full, no second one helps, for nobody would ask it; when it falls over, the site is gone. (In 2007 it used one processor; today it uses all of them, and 0.3 buys other machines rather than speed.)",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) {
		return c.startSelf(ctx, Serving{Version: versionProcess})
	},
}
