package download

import "sync"

// Slots bounds the downloads that are under way, of everybody and of each.
type Slots struct {
	most, each int

	mu   sync.Mutex
	open int
	of   map[string]int
}

// NewSlots allows most downloads at once, and each of them to one visitor.
func NewSlots(most, each int) *Slots { return &Slots{most: most, each: each, of: map[string]int{}} }

// Take begins a download of a visitor, who is named somehow; "" is one of whom nothing is known and who counts for
// everybody alone. The caller calls release at its end. It returns false when there are too many.
func (s *Slots) Take(visitor string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.most || visitor != "" && s.of[visitor] >= s.each {
		return nil, false
	}
	s.open++
	s.of[visitor]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.of[visitor]--; s.of[visitor] == 0 {
			delete(s.of, visitor)
		}
	}), true
}
