package stack

import (
	"context"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// Turns lets processes of one kind start again one after another: the next when the one that starts is ready. If all
// have ended at once, the first has the machine's processors for itself, and so visitors are served sooner than if all
// started together. No process waits for its turn, or keeps it, longer than the bound.
type Turns struct {
	bound time.Duration
	free  chan struct{} // holds one value while nobody has the turn
}

// NewTurns returns turns that nobody has. A process waits at most bound for its turn.
func NewTurns(bound time.Duration) *Turns {
	t := &Turns{bound: bound, free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	return t
}

// take waits until the turn is free, for the bound, or until ctx ends. end gives the turn back, if it was taken. It may
// be called twice.
func (t *Turns) take(ctx context.Context) (end func()) {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	select {
	case <-t.free:
		return sync.OnceFunc(func() { t.free <- struct{}{} })
	case <-ctx.Done():
		return func() {}
	}
}

// readyPoll is the time between two questions whether a process is ready.
const readyPoll = 10 * time.Millisecond

// InTurn makes the process start again only in its turn, which it keeps until ready returns nil or it has ended. The
// first start waits for nobody. Call InTurn before Run.
func (s *Supervised) InTurn(turns *Turns, ready func(context.Context) error) {
	s.turns, s.ready = turns, ready
}

// startInTurn starts the process again, in its turn if it has turns.
func (s *Supervised) startInTurn(ctx context.Context) error {
	if s.turns == nil {
		return s.start(ctx)
	}
	end := s.turns.take(ctx)
	if err := ctx.Err(); err != nil {
		end()
		return err
	}
	if err := s.start(ctx); err != nil {
		end()
		return err
	}
	c := s.child.Load()
	s.awaiting.Go(func() {
		defer end()
		ctx, cancel := context.WithTimeout(ctx, s.turns.bound)
		defer cancel()
		for c.running() && s.ready(ctx) != nil && sleep.For(ctx, readyPoll) {
		}
	})
	return nil
}
