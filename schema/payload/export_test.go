package payload

import "time"

// KeepFor has bytes that nobody takes dropped after d.
func (r *Receiver) KeepFor(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = d
}

// Kept is how many messages wait for Take.
func (r *Receiver) Kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kept)
}

// MostKept is mostKept.
const MostKept = mostKept

// Buffers is buffers.
type Buffers = buffers
