package audit

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Fault is something that goes wrong while the audit goes on, and is over when Do returns: it undoes itself.
type Fault struct {
	Name string
	Do   func(context.Context) error
}

// Happening is a fault that was.
type Happening struct {
	Name  string        `json:"name"`
	Began time.Duration `json:"began_ns"` // after the start
	Ended time.Duration `json:"ended_ns"`
	Err   string        `json:"error,omitempty"` // it could not be done, or not undone
}

// trouble remembers when something was broken.
type trouble struct {
	now func() moment
	log *slog.Logger

	mu   sync.Mutex
	list []Happening // one that goes on has not ended: Ended is 0
}

// run breaks things, one after the other, with a rest between, until ctx ends. The first round is all of them in turn,
// so that a short audit has had each; then they are drawn.
func (t *trouble) run(ctx context.Context, faults []Fault, every time.Duration, draw *rand.Rand) {
	order := draw.Perm(len(faults))
	rest := every / 8 // the first comes soon
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		rest = every/2 + time.Duration(draw.Int64N(int64(every)))/2
		f := faults[order[n%len(order)]]
		if n >= len(order) {
			f = faults[draw.IntN(len(faults))]
		}
		t.happen(ctx, f)
	}
}

func (t *trouble) happen(ctx context.Context, f Fault) {
	t.mu.Lock()
	t.log.Info("breaking something", "fault", f.Name)
	n := len(t.list)
	t.list = append(t.list, Happening{Name: f.Name, Began: t.now()})
	t.mu.Unlock()
	err := f.Do(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list[n].Ended = t.now()
	if err != nil && ctx.Err() == nil {
		t.list[n].Err = err.Error()
	}
}

// between reports whether anything was broken at any time from one moment to another.
func (t *trouble) between(from, to moment) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.list {
		if h.Began < to && (h.Ended == 0 || h.Ended > from) {
			return true
		}
	}
	return false
}

// quiet is the longest time without anything broken between two moments.
func (t *trouble) quiet(from, to moment) (longest time.Duration) {
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

// over counts what was broken and is no more.
func (t *trouble) over() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.list)
	if n > 0 && t.list[n-1].Ended == 0 {
		n--
	}
	return n
}

// happened gives what was broken so far.
func (t *trouble) happened() []Happening {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Happening(nil), t.list...)
}
