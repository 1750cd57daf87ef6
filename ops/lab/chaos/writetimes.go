package chaos

import (
	"sync"
	"time"
)

// writeTimes are when writes were acknowledged.
type writeTimes struct {
	mu  sync.Mutex
	all []time.Time
}

func (w *writeTimes) note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, time.Now())
}

// pause is the longest time without an acknowledged write, of which a part was between two moments. It ends at the
// second one at the latest, and begins with the last write before the first one.
func (w *writeTimes) pause(from, to time.Time) (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := from
	for _, at := range w.all {
		if at.After(to) {
			break
		}
		if at.After(from) {
			longest = max(longest, at.Sub(last))
		}
		last = at
	}
	return max(longest, to.Sub(last))
}
