package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group is goroutines that run together and are stopped together. Its zero value is empty and ready.
//
// Its context has no parent: Ctrl-C ends the groups of a site one after another, in the order that their owner chooses.
type Group struct {
	// OnFailure is called when the first member ends without being stopped; nil: nothing is. Set it before Add.
	OnFailure func()

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	failed chan struct{}
	fail   func() // closes failed and calls OnFailure, once

	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

func (g *Group) begin() {
	g.once.Do(func() {
		g.ctx, g.cancel = context.WithCancel(context.Background())
		g.failed = make(chan struct{})
		g.fail = sync.OnceFunc(func() {
			close(g.failed)
			if g.OnFailure != nil {
				g.OnFailure()
			}
		})
	})
}

// Member is one goroutine of a group.
type Member struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // valid once ended is closed
}

// Stop ends one member and waits for it. Its error is returned here and by the group's Stop.
func (m *Member) Stop() error {
	m.cancel()
	<-m.ended
	return m.err
}

// Add runs f in a goroutine until it, or the group, is stopped. f returns nil, or context.Canceled, after an orderly
// end.
func (g *Group) Add(name string, f func(context.Context) error) *Member {
	g.begin()
	ctx, cancel := context.WithCancel(g.ctx)
	m := &Member{cancel: cancel, ended: make(chan struct{})}
	g.running.Go(func() {
		defer close(m.ended)
		defer cancel()
		err := f(ctx)
		if ctx.Err() == nil { // it was not stopped
			if err == nil {
				err = fmt.Errorf("%s ended by itself", name)
			}
			defer g.fail()
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if err != nil && !errors.Is(err, context.Canceled) {
			m.err = err
			g.errs = append(g.errs, err)
		}
	})
	return m
}

// Failed is closed when a member has ended without being stopped; Stop returns why.
func (g *Group) Failed() <-chan struct{} {
	g.begin()
	return g.failed
}

// Stop ends all members, waits for them, and returns their errors. Safe to call twice.
func (g *Group) Stop() error {
	g.begin()
	g.cancel()
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}
