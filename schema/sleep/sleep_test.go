package sleep

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !For(t.Context(), time.Second) || time.Since(begun) != time.Second {
			t.Errorf("a second took %s", time.Since(begun))
		}
		if !For(t.Context(), 0) || !For(t.Context(), -time.Second) {
			t.Error("no time did not pass")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if begun = time.Now(); For(ctx, time.Minute) || time.Since(begun) != time.Second {
			t.Errorf("the context ended after a second, the pause after %s", time.Since(begun))
		}
		if For(ctx, 0) {
			t.Error("the time passed after the context had ended")
		}
	})
}
