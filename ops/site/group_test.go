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
		g := Group{OnFailure: func() { t.Error("a member that was stopped counts as failed") }}
		g.Add("one", until)
		g.Add("other", until)
		if err := errors.Join(g.Stop(), g.Stop()); err != nil {
			t.Error(err)
		}
	})
	t.Run("names the member that ended by itself", func(t *testing.T) {
		t.Parallel()
		told := make(chan struct{})
		g := Group{OnFailure: func() { close(told) }}
		g.Add("one", until)
		g.Add("other", func(context.Context) error { return nil })
		<-g.Failed()
		<-told
		if err := g.Stop(); err == nil || !strings.Contains(err.Error(), "other ended by itself") {
			t.Error(err)
		}
	})
	t.Run("tells of a failure once", func(t *testing.T) {
		t.Parallel()
		calls := 0
		g := Group{OnFailure: func() { calls++ }}
		all := []*Member{
			g.Add("one", func(context.Context) error { return nil }),
			g.Add("other", func(context.Context) error { return nil }),
		}
		for _, m := range all {
			<-m.ended
		}
		if err := g.Stop(); err == nil || calls != 1 {
			t.Errorf("%d calls, error %v", calls, err)
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
