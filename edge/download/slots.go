package download

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrTurn is why the context of a download ends whose place somebody else has got.
var ErrTurn = errors.New("download: others wait for the place")

// Slots bounds the downloads that are under way, of everybody and of each. When there is no free place, the oldest
// download that has had its turn makes room: its client goes on with a range. So nobody keeps others out by reading
// slowly, or from many addresses.
type Slots struct {
	most, each int
	turn       time.Duration
	now        func() time.Time

	mu   sync.Mutex
	open []*taken // the oldest first
	of   map[string]int
}

// taken is a place that is taken.
type taken struct {
	visitor string
	since   time.Time
	end     context.CancelCauseFunc
}

// NewSlots allows most downloads at once, and each of them to one visitor. Each has its place for a turn at least.
func NewSlots(most, each int, turn time.Duration, now func() time.Time) *Slots {
	return &Slots{most: most, each: each, turn: turn, now: now, of: map[string]int{}}
}

// Take begins a download of a visitor, who is named somehow; "" is one of whom nothing is known and who counts for
// everybody alone. The download goes on until the context ends that it returns; the caller calls release at its end. It
// returns false when there are too many.
func (s *Slots) Take(ctx context.Context, visitor string) (_ context.Context, release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if visitor != "" && s.of[visitor] >= s.each {
		return nil, nil, false
	}
	if len(s.open) >= s.most {
		oldest := s.open[0]
		if now.Sub(oldest.since) < s.turn {
			return nil, nil, false
		}
		oldest.end(ErrTurn)
		s.remove(oldest)
	}
	ctx, end := context.WithCancelCause(ctx)
	mine := &taken{visitor, now, end}
	s.open = append(s.open, mine)
	s.of[visitor]++
	return ctx, func() {
		end(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(mine)
	}, true
}

// remove frees a place, unless that has happened.
func (s *Slots) remove(t *taken) {
	i := slices.Index(s.open, t)
	if i < 0 {
		return
	}
	s.open = slices.Delete(s.open, i, i+1)
	if s.of[t.visitor]--; s.of[t.visitor] == 0 {
		delete(s.of, t.visitor)
	}
}
