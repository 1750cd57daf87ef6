package popularity

import (
	"sync"
	"time"

	"flickrkillr/schema/page"
)

const (
	recentWindow = 30 * time.Second
	recentPages  = 20_000 // in one generation; beyond, the older generation is dropped early
)

// recent remembers which pages were rendered lately, so that a page goes to memcached when it is rendered for the
// second time. Two generations bound it in time and in count.
type recent struct {
	mu         sync.Mutex
	young, old map[page.Ref]struct{}
	rotated    time.Time
}

func newRecent() *recent {
	return &recent{young: map[page.Ref]struct{}{}, rotated: time.Now()}
}

// again records that ref was rendered and reports whether it had been before, within one to two windows.
func (r *recent) again(ref page.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.rotated) > recentWindow || len(r.young) >= recentPages {
		r.old, r.young, r.rotated = r.young, map[page.Ref]struct{}{}, now
	}
	_, seen := r.young[ref]
	if !seen {
		_, seen = r.old[ref]
		r.young[ref] = struct{}{}
	}
	return seen
}
