package pool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

// TopConfig says how the pool is shown in a terminal.
type TopConfig struct {
	Bus  Bus
	NATS *nats.Conn // that of Bus
	Out  io.Writer
	// Redraw draws each view in the place of the one before. Without it views follow one another.
	Redraw bool
	Once   bool          // show one view, of the first second
	Every  time.Duration // between views; 0: 1 s
}

// Top shows the pool until ctx ends, or once. The error of one view is that the bus does not answer.
func Top(ctx context.Context, cfg TopConfig) error {
	if cfg.Every == 0 {
		cfg.Every = every
	}
	connected(ctx, cfg.NATS)
	gatherer, history := NewGatherer(cfg.NATS, ""), &History{}
	if cfg.Once {
		gatherer.waitLonger()
	}
	ticker := time.NewTicker(cfg.Every)
	defer ticker.Stop()
	drawn := false
	for n := 0; ; n++ {
		shot, err := gatherer.Gather(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if down := cfg.Bus.Down(); down != nil {
			err = down
		}
		view := View{}
		if err != nil {
			view.Problem = err.Error()
		} else {
			history.Add(shot)
			view = history.View()
		}
		switch {
		case cfg.Once && err != nil:
			return err
		case cfg.Once && n == 0: // rates need two moments
		default:
			if err := cfg.draw(view, drawn); err != nil || cfg.Once {
				return err
			}
			drawn = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// draw draws a view. again: it is not the first one.
func (cfg TopConfig) draw(v View, again bool) error {
	var b bytes.Buffer
	if err := v.Write(&b); err != nil {
		return err
	}
	text := b.Bytes()
	switch {
	case cfg.Redraw: // from the top left; what is behind the end of a line, and below the last, is cleared
		text = append(bytes.ReplaceAll(text, []byte("\n"), []byte("\x1b[K\n")), "\x1b[J"...)
		start := "\x1b[2J\x1b[H"
		if again {
			start = "\x1b[H"
		}
		text = append([]byte(start), text...)
	case again:
		text = append([]byte("\n"), text...)
	}
	if _, err := cfg.Out.Write(text); err != nil {
		return fmt.Errorf("show the pool: %w", err)
	}
	return nil
}
