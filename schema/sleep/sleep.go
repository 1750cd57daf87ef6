// Package sleep pauses a goroutine until a time has passed or its context ends.
//
// **Input**: a context and a duration. **Output**: whether the time has passed. **Must not touch**: anything else.
package sleep

import (
	"context"
	"time"
)

// For returns true after d, or at once if d is not positive, and false as soon as ctx has ended.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
