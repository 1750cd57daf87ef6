package wire

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock gives cluster time, which is Postgres' clock and travels in every page and every heartbeat. So a machine
// whose clock is wrong by an hour sends deadlines and ages that others understand. Before the first heartbeat it is
// the machine's own clock. The zero Clock is ready; it is safe for concurrent use.
type Clock struct {
	offset atomic.Int64 // nanoseconds to add to the machine's clock

	mu     sync.Mutex
	recent [clockWindow]time.Duration // offsets of the last heartbeats, a ring
	n      int                        // slots used
	last   time.Time                  // when the last one came
	slotAt time.Time                  // when the first of the current slot came
}

// The clock remembers clockWindow slots of clockSlot each, and of each slot the heartbeat that was least late. That is
// long enough to remember one without delay, however many late ones are queued.
const (
	clockWindow = 64
	clockSlot   = 500 * time.Millisecond
)

// clockStep is how far wall clock and monotonic clock may diverge between two heartbeats. Beyond it the machine's
// clock was set.
const clockStep = 500 * time.Millisecond

// Bounds gives the earliest and the latest time that cluster time can be at a time of this machine's clock. They differ
// when that clock was set since the last heartbeat, or the machine was suspended: cluster time then went on by the
// monotonic clock, or by the machine's own. What must not come too early goes by the one, what must not come too late
// by the other.
func (c *Clock) Bounds(t time.Time) (earliest, latest time.Time) {
	at := c.At(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		return at, at
	}
	set := c.setBy(t)
	return at.Add(min(0, -set)), at.Add(max(0, -set))
}

// setBy is by how much this machine's clock was set forward since the last heartbeat, until t; negative: set back.
func (c *Clock) setBy(t time.Time) time.Duration {
	return t.Round(0).Sub(c.last.Round(0)) - t.Sub(c.last)
}

// Observe records a heartbeat that has just arrived. Heartbeats can be late but not early, so the greatest recent
// difference is closest to the truth. A process that was frozen and finds old heartbeats queued is not misled.
func (c *Clock) Observe(t Heartbeat, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n > 0 && c.setBy(now).Abs() > clockStep {
		c.n = 0 // the machine's clock was set: forget the old differences
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

// Now is cluster time.
func (c *Clock) Now() time.Time { return c.At(time.Now()) }

// At is cluster time at a time of this machine's clock.
func (c *Clock) At(t time.Time) time.Time { return t.Add(time.Duration(c.offset.Load())) }

// Known reports whether cluster time is known: a heartbeat has come. Until then it may be off by as much as this
// machine's clock is.
func (c *Clock) Known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n > 0
}

// Offset is cluster time minus this machine's time.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }
