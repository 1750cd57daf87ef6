package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// group is things that run side by side and are stopped together. Its zero value is empty and ready.
//
// Its context is nobody's child: a Ctrl-C ends the groups one after another, in the order that whoever owns them chooses.
type group struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	broken chan struct{} // closed when a member ends by itself

	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
	snapped bool // broken is closed
}

func (g *group) begin() {
	g.once.Do(func() {
		g.ctx, g.cancel = context.WithCancel(context.Background())
		g.broken = make(chan struct{})
	})
}

// add runs f until stop; f returns nil after an orderly end.
func (g *group) add(name string, f func(context.Context) error) {
	g.begin()
	g.running.Go(func() {
		err := f(g.ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.ctx.Err() == nil { // nobody asked it to end
			if err == nil {
				err = fmt.Errorf("%s ended by itself", name)
			}
			if !g.snapped {
				g.snapped = true
				close(g.broken)
			}
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			g.errs = append(g.errs, err)
		}
	})
}

// failed is closed when a member has ended without being asked to; stop tells why.
func (g *group) failed() <-chan struct{} {
	g.begin()
	return g.broken
}

// stop ends all members, waits for them, and returns what went wrong in any. Safe to call twice.
func (g *group) stop() error {
	g.begin()
	g.cancel()
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}
