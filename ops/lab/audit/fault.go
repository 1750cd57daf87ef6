package audit

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"flickrkillr/schema/sleep"
)

// Fault is something that goes wrong during the audit. Inject returns when it is over: each fault undoes itself.
type Fault struct {
	Name   string
	Strict bool // the bound of quiet times holds during it
	Inject func(context.Context) error
}

// FaultEvent is a fault that was injected.
type FaultEvent struct {
	Name  string        `json:"name"`
	Began time.Duration `json:"began_ns"` // after the start of the audit
	Ended time.Duration `json:"ended_ns"`

	Strict bool   `json:"strict,omitempty"`
	Err    string `json:"error,omitempty"` // why it could not be injected or undone
}

// faultLog injects faults, and records when one was in effect.
type faultLog struct {
	now func() moment
	log *slog.Logger

	mu   sync.Mutex
	list []FaultEvent // one that has not ended has Ended 0
}

// run injects faults, one after the other with pauses between, until ctx ends. First it injects each fault once, in
// random order, so that a short audit has had them all. Then it draws them. Every other pause, from the first one, is
// longer by FaultBound: only after that time does the quiet bound hold again, and so it is checked whatever every is.
func (t *faultLog) run(ctx context.Context, faults []Fault, every time.Duration, draw *rand.Rand) {
	order := draw.Perm(len(faults))
	rest := every / 8 // the first one comes soon
	for n := 0; ; n++ {
		if !sleep.For(ctx, rest) {
			return
		}
		rest = every/2 + time.Duration(draw.Int64N(int64(every)))/2
		f := faults[order[n%len(order)]]
		if n >= len(order) {
			f = faults[draw.IntN(len(faults))]
		}
		t.inject(ctx, f)
		if n%2 == 0 {
			rest += FaultBound
		}
	}
}

func (t *faultLog) inject(ctx context.Context, f Fault) {
	t.mu.Lock()
	t.log.Info("injecting a fault", "fault", f.Name)
	n := len(t.list)
	t.list = append(t.list, FaultEvent{Name: f.Name, Strict: f.Strict, Began: t.now()})
	t.mu.Unlock()
	err := f.Inject(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list[n].Ended = t.now()
	if err != nil && ctx.Err() == nil {
		t.list[n].Err = err.Error()
	}
}

// between reports whether any fault that is not strict was in effect at any time between two moments.
func (t *faultLog) between(from, to moment) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.list {
		if !h.Strict && h.Began < to && (h.Ended == 0 || h.Ended > from) {
			return true
		}
	}
	return false
}

// quiet is the longest time without a fault between two moments.
func (t *faultLog) quiet(from, to moment) (longest time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.list { // they do not overlap
		if h.Ended != 0 && h.Ended <= from {
			continue
		}
		longest = max(longest, min(h.Began, to)-from)
		if h.Ended == 0 || h.Ended >= to {
			return longest
		}
		from = h.Ended
	}
	return max(longest, to-from)
}

// over counts the faults that have ended.
func (t *faultLog) over() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.list)
	if n > 0 && t.list[n-1].Ended == 0 {
		n--
	}
	return n
}

// events returns the faults so far.
func (t *faultLog) events() []FaultEvent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]FaultEvent(nil), t.list...)
}
