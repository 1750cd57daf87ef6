package site

import (
	"context"
	"time"
)

// ScaleQuickly is ScaleRenderers that removes a renderer after another time of quiet, on a machine whose processors are
// never full: other tests may use them.
func (s *Site) ScaleQuickly(ctx context.Context, least, most int, quiet time.Duration) error {
	return s.scale(ctx, scaling{least: least, most: most, quietFor: quiet},
		func() processorTimes { return processorTimes{} })
}
