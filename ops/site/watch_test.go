package site

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/ops/debug"
)

// TestStoppingIsNoNews: while roles stop, which are not ready then, nobody watches whether they are.
func TestStoppingIsNoNews(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	watched := make(chan struct{})
	s.watch.Add("watch", func(ctx context.Context) error {
		<-ctx.Done()
		close(watched)
		return nil
	})
	s.edges.Add("edge", func(ctx context.Context) error {
		<-ctx.Done()
		select {
		case <-watched:
			return nil
		default:
			return errors.New("it is watched while it stops")
		}
	})
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// TestWatchReady: what a role waits for is logged within a second or so, then every 10 s, and once more when it is
// there. A start that takes as long as usual is not worth a line.
func TestWatchReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		begun := time.Now()
		roles := []debug.Role{
			{Name: "quick", Ready: func() error {
				if time.Since(begun) < 700*time.Millisecond {
					return errors.New("starting")
				}
				return nil
			}},
			{Name: "slow", Ready: func() error {
				if time.Since(begun) < 25*time.Second {
					return errors.New("nobody there")
				}
				return nil
			}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		log := slog.New(slog.NewTextHandler(&out, nil))
		if err := watchReady(ctx, func() []debug.Role { return roles }, log); err != nil {
			t.Error(err)
		}
		said := out.String()
		const warning = `level=WARN msg="not ready; trying again" role=slow err="nobody there"`
		if strings.Contains(said, "quick") || strings.Count(said, warning) != 3 ||
			strings.Count(said, "msg=ready role=slow took=25s") != 1 ||
			strings.Count(said, "\n") != 4 {
			t.Errorf("it logged\n%s", said)
		}
	})
}
