package ladder

import (
	"context"

	"flickrkillr/ops/lab/rig"
)

var rungProcess = rung{
	Version: "0.2", Then: 139,
	What:  "one process that stays, with its connections",
	Wrong: "There is only one process. When it is busy, a second one does not help, because no request reaches it; when it crashes, the site is down. (In 2007 it used one processor. Today it uses all of them, so 0.3 adds machines rather than speed.)",
	start: func(ctx context.Context, c *climb) (*rig.Server, error) {
		return c.startSelf(ctx, Serving{Version: versionProcess})
	},
}
