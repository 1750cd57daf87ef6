package wire

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock gives cluster time: Postgres' clock, which travels in every page and every tick. A machine whose own clock is
// off by an hour still gives deadlines and ages that the others understand. Before the first tick it is the machine's
// own clock. The zero Clock is ready; it is safe for concurrent use.
type Clock struct {
	offset atomic.Int64 // nanoseconds to add to the machine's clock

	mu     sync.Mutex
	recent [clockWindow]time.Duration // offsets of the last ticks, a ring
	n      int                        // slots used
	last   time.Time                  // when the last one came
	slotAt time.Time                  // when the first of the current slot came
}

// clockWindow is how many slots are looked back on, and clockSlot how long each takes in ticks, of which it keeps the
// earliest come: long enough to remember one without delay, however many late ones are found queued up.
const (
	clockWindow = 64
	clockSlot   = 500 * time.Millisecond
)

// clockStep is how far wall clock and monotonic clock may part between two ticks before the machine's clock counts as
// set.
const clockStep = 500 * time.Millisecond

// Observe takes in a tick that has just arrived. A tick can only be late, never early, so the greatest of the recent
// differences is the one nearest to the truth; a process that was frozen, and finds old ticks queued up, is not misled.
func (c *Clock) Observe(t Tick, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if elapsed := now.Sub(c.last); c.n > 0 && (now.Round(0).Sub(c.last.Round(0))-elapsed).Abs() > clockStep {
		c.n = 0 // the machine's clock was set: what was learned of it is void
	}
	d := t.Time.Sub(now)
	if slot := (c.n - 1) % clockWindow; c.n > 0 && now.Sub(c.slotAt) < clockSlot {
		c.recent[slot] = max(c.recent[slot], d)
	} else {
		c.recent[c.n%clockWindow] = d
		c.n, c.slotAt = c.n+1, now
	}
	c.last = now
	best := c.recent[0]
	for _, d := range c.recent[1:min(c.n, clockWindow)] {
		best = max(best, d)
	}
	c.offset.Store(int64(best))
}

// Now is the cluster's time.
func (c *Clock) Now() time.Time { return c.At(time.Now()) }

// At is cluster time at a moment of the machine's.
func (c *Clock) At(t time.Time) time.Time { return t.Add(time.Duration(c.offset.Load())) }

// Offset is cluster time minus the machine's.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }
