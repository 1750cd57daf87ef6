package edge

import (
	"sync"
	"time"

	"flickrkillr/schema/page"
)

// Bounds of heat.
const (
	heatWindow  = 30 * time.Second // "twice in a while"
	heatEntries = 20_000           // in one generation; beyond, the oldest generation is dropped early
)

// heat remembers which pages were rendered lately, so that one that is asked for again is put into memcached and one that is asked for
// once is not. Two generations bound it in time and in count.
type heat struct {
	mu         sync.Mutex
	young, old map[page.Ref]struct{}
	rotated    time.Time
}

func newHeat() *heat {
	return &heat{young: map[page.Ref]struct{}{}, rotated: time.Now()}
}

// again notes that ref was asked for and reports whether it had been before, within one to two windows.
func (h *heat) again(ref page.Ref) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.rotated) > heatWindow || len(h.young) >= heatEntries {
		h.old, h.young, h.rotated = h.young, map[page.Ref]struct{}{}, now
	}
	_, seen := h.young[ref]
	if !seen {
		_, seen = h.old[ref]
		h.young[ref] = struct{}{}
	}
	return seen
}
