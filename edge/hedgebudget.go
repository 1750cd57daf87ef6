package edge

import (
	"context"
	"sync"
	"sync/atomic"

	"flickrkillr/schema/sleep"
)

// hedgeBudget limits how many requests on the bus may be hedged at once: budgetFloor, or budgetRate of those in flight.
type hedgeBudget struct{ requests, hedged atomic.Int64 }

func (b *hedgeBudget) take() bool {
	if n := b.hedged.Add(1); n <= budgetFloor || float64(n) <= budgetRate*float64(b.requests.Load()) {
		return true
	}
	b.hedged.Add(-1)
	return false
}

// begin counts one more request, until its permit ends.
func (b *hedgeBudget) begin() *permit {
	b.requests.Add(1)
	return &permit{budget: b}
}

// permit is what one request needs from the budget before its first hedge. It keeps the permit to its end: further
// hedges of a request are sent because the ones before went to renderers that do not run, and so cost little. (With a
// permit for each hedge, those that waited for frozen renderers held all of them, and no request got another.)
type permit struct {
	budget  *hedgeBudget
	waiting atomic.Bool // a hedge of this request waits for the permit

	mu    sync.Mutex
	held  bool
	ended bool // the request is answered
}

// try takes the permit if the budget has one.
func (p *permit) try() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = p.held || !p.ended && p.budget.take()
	return p.held
}

func (p *permit) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.budget.requests.Add(-1)
	if p.held {
		p.held = false
		p.budget.hedged.Add(-1)
	}
}

// acquire waits for the permit. While one hedge of a request waits, it returns errOthersWork to further ones.
func (p *permit) acquire(ctx context.Context) error {
	if p.try() {
		return nil
	}
	if p.waiting.Swap(true) {
		return errOthersWork
	}
	defer p.waiting.Store(false)
	for sleep.For(ctx, hedgeFloor) {
		if p.try() {
			return nil
		}
	}
	return ctx.Err()
}
