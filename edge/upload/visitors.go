package upload

import (
	"context"
	"sync/atomic"
	"time"

	"flickrkillr/schema/monotonic"
)

// How uploads make way for visitors who wait for pages.
const (
	// visitorsLast is for how long after a visitor was answered more are expected.
	visitorsLast = 250 * time.Millisecond
	// heldAtMost is how long a chunk waits for a moment in which no visitor does.
	heldAtMost = 10 * time.Millisecond
	// rest is how long no chunk goes after one is stored, so that most of the time pages have the processors for
	// themselves. A chunk takes about 4 ms of these. So an edge takes about 30 MB a second, 20 if a visitor always
	// waits, and 8 if a bucket takes 40 ms for a chunk as well.
	rest = 12 * time.Millisecond
	// turnAtMost is how long others wait behind a chunk. One that takes longer waits for a disk or a bucket, or is
	// asked for again, and costs no page anything.
	turnAtMost = 50 * time.Millisecond
)

// Visitors counts who waits for renderers at this edge, uploads apart. While there are some, chunks go to renderers one
// at a time, unless one takes long, each in a moment in which nobody waits, and with a rest in between. So a page finds
// processors and connections that have one chunk to do, if any. Without visitors chunks do not wait.
type Visitors struct {
	waiting atomic.Int64
	leftAt  atomic.Int64  // when the last one did, as in package monotonic; 0: never
	none    chan struct{} // capacity 1: nobody waits any more
	turn    chan struct{} // capacity 1: held by the chunk that went last
}

// NewVisitors returns a count of 0.
func NewVisitors() *Visitors {
	return &Visitors{none: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// Arrive counts a visitor who begins to wait, and for whom Leave is called once.
func (v *Visitors) Arrive() { v.waiting.Add(1) }

// Leave ends what Arrive has begun.
func (v *Visitors) Leave() {
	v.leftAt.Store(monotonic.Now())
	if v.waiting.Add(-1) > 0 {
		return
	}
	select {
	case v.none <- struct{}{}:
	default: // it has been said, and not heard
	}
}

// expected reports whether somebody waits, or did a moment ago.
func (v *Visitors) expected() bool {
	at := v.leftAt.Load()
	return v.waiting.Load() > 0 || at != 0 && monotonic.Since(at) < visitorsLast
}

// makeWay waits until a chunk may go to a renderer. Call done, once, when the chunk is stored. The error is the cause
// of ctx.
func (v *Visitors) makeWay(ctx context.Context) (done func(), err error) {
	if !v.expected() {
		return func() {}, nil
	}
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	held := time.NewTimer(heldAtMost)
	defer held.Stop()
	for v.waiting.Load() > 0 {
		select {
		case <-v.none:
			continue
		case <-held.C:
		case <-ctx.Done(): // the request says so
		}
		break
	}
	turn := time.AfterFunc(turnAtMost, func() { <-v.turn })
	return func() {
		if turn.Stop() {
			turn.Reset(rest)
		}
	}, nil
}
