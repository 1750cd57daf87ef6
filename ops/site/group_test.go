package site

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	until := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

	t.Run("stops all, without an error", func(t *testing.T) {
		t.Parallel()
		var g Group
		g.Add("one", until)
		g.Add("other", until)
		if err := errors.Join(g.Stop(), g.Stop()); err != nil {
			t.Error(err)
		}
	})
	t.Run("says who ended by itself", func(t *testing.T) {
		t.Parallel()
		var g Group
		g.Add("one", until)
		g.Add("other", func(context.Context) error { return nil })
		<-g.Failed()
		if err := g.Stop(); err == nil || !strings.Contains(err.Error(), "other ended by itself") {
			t.Error(err)
		}
	})
	t.Run("keeps errors of the stop", func(t *testing.T) {
		t.Parallel()
		var g Group
		cut := errors.New("requests cut")
		g.Add("one", func(ctx context.Context) error { <-ctx.Done(); return cut })
		if err := g.Stop(); !errors.Is(err, cut) {
			t.Error(err)
		}
	})
	t.Run("is ready when empty", func(t *testing.T) {
		t.Parallel()
		var g Group
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
}
