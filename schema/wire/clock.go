package wire

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock gives cluster time: Postgres' clock, which travels in every page and every tick. A machine whose own clock is off by an hour
// still gives deadlines and ages that the others understand. Before the first tick it is the machine's own clock. The zero Clock is ready;
// it is safe for concurrent use.
type Clock struct {
	offset atomic.Int64 // nanoseconds to add to the machine's clock

	mu     sync.Mutex
	recent [clockWindow]time.Duration // offsets of the last ticks, a ring
	n      int                        // ticks seen
}

// clockWindow is how many ticks are looked back on: long enough to remember one that came without delay.
const clockWindow = 64

// Observe takes in a tick that has just arrived. A tick can only be late, never early, so the greatest of the recent differences is the
// one nearest to the truth; a process that was frozen, and finds old ticks queued up, is not misled.
func (c *Clock) Observe(t Tick, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent[c.n%clockWindow] = t.Time.Sub(now)
	c.n++
	best := c.recent[0]
	for _, d := range c.recent[1:min(c.n, clockWindow)] {
		best = max(best, d)
	}
	c.offset.Store(int64(best))
}

// Now is the cluster's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Offset is cluster time minus the machine's.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }
