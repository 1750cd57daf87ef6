package bench

import (
	"context"
	"slices"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// turns lets visitors of the two kinds take turns, so that processor time can be told apart within one run: nobody of
// the other kind makes a request during a turn. What slows the machine down slows both down.
type turns struct {
	mu      sync.Mutex
	changed sync.Cond
	whose   part // partKinds: nobody's
	over    bool
	working int // visitors who view a page
	ended   []turn
}

// turn is a whole turn in the counted time.
type turn struct {
	kind     part
	requests int64
	used     time.Duration // processor time of the servers
	unknown  bool
}

func newTurns() *turns {
	t := &turns{whose: partKinds}
	t.changed.L = &t.mu
	return t
}

// begin waits for the turn of a kind. It returns false when there are no more turns. Each true is followed by end.
func (t *turns) begin(kind part) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.whose != kind && !t.over {
		t.changed.Wait()
	}
	if t.over {
		return false
	}
	t.working++
	return true
}

func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.working--; t.working == 0 {
		t.changed.Broadcast()
	}
}

// give gives the next turn to a kind, or with partKinds to nobody, and returns when all pages of the last turn are
// viewed.
func (t *turns) give(kind part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.whose = kind
	t.changed.Broadcast()
	for kind == partKinds && t.working > 0 {
		t.changed.Wait()
	}
}

func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.changed.Broadcast()
}

// takeTurns gives turns until the time is over or ctx ends: first to the one kind and then to the other, then the other
// way round, so that neither always comes first.
func (r *run) takeTurns(ctx context.Context) {
	t := r.turns
	defer t.close()
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		counted := r.measured(began)
		if counted {
			n = len(t.ended)
		}
		if began.Add(r.cfg.Turns).After(r.end) {
			return
		}
		kind := [...]part{partAnonymous, partSignedIn, partSignedIn, partAnonymous}[n%4]
		before, requests := r.costs(), r.requests.Load()
		t.give(kind)
		sleep.For(ctx, r.cfg.Turns)
		t.give(partKinds)
		after := r.costs()
		if counted && ctx.Err() == nil {
			t.ended = append(t.ended, turn{kind, r.requests.Load() - requests, after.servers() - before.servers(),
				before.unknown+after.unknown != ""})
		}
	}
}

// servers is the processor time of all of them.
func (c costs) servers() (sum time.Duration) {
	for _, used := range c.used {
		sum += used
	}
	return sum
}

// Comparison is what requests of the two kinds of visitors cost, in turns.
type Comparison struct {
	Pairs     int     `json:"pairs"`                 // of turns, one of each kind
	Anonymous float64 `json:"anonymous_per_request"` // microseconds of processor time of the servers
	SignedIn  float64 `json:"signed_in_per_request"`
	Ratio     float64 `json:"ratio"` // signed in to anonymous, the median of the pairs
	Least     float64 `json:"least"` // of the pairs' ratios, the lower quartile
	Most      float64 `json:"most"`  // the upper quartile
}

// comparison compares the turns two by two; nil if there is no pair whose processor time is known.
func (t *turns) comparison() *Comparison {
	var c Comparison
	var ratios []float64
	var requests [partKinds]int64
	var used [partKinds]time.Duration
	for two := range slices.Chunk(t.ended, 2) {
		if len(two) < 2 || two[0].unknown || two[1].unknown {
			continue
		}
		var cost [partKinds]float64
		for _, one := range two {
			requests[one.kind] += one.requests
			used[one.kind] += one.used
			cost[one.kind] = one.used.Seconds() / float64(max(1, one.requests))
		}
		if cost[partAnonymous] > 0 {
			ratios = append(ratios, cost[partSignedIn]/cost[partAnonymous])
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	slices.Sort(ratios)
	perRequest := func(p part) float64 { return used[p].Seconds() * 1e6 / float64(max(1, requests[p])) }
	c.Pairs, c.Anonymous, c.SignedIn = len(ratios), perRequest(partAnonymous), perRequest(partSignedIn)
	c.Ratio, c.Least, c.Most = ratios[len(ratios)/2], ratios[len(ratios)/4], ratios[len(ratios)*3/4]
	return &c
}
