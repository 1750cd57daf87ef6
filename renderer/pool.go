package renderer

import (
	"context"
	"slices"
	"sync"
	"time"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/page"
)

// overloadAfter is how long a queue may be non-empty before the newest request goes first. Below, it is a burst,
// which is fairest served in order; above, the requester that has waited longest has most likely left.
const overloadAfter = 100 * time.Millisecond

// Bounds of the time in a queue whose pool is prompt. A burst may wait, because it ends: when memcached dies, all its
// pages are requested at once. A queue that has not been empty for burstWait is an overload, in which waiting helps
// nobody: what would wait longer than overloadWait is refused on arrival. As many as limit says may always wait.
const (
	burstWait    = 500 * time.Millisecond
	overloadWait = 50 * time.Millisecond
)

// Batchable requests wait until the running query of their kind ends, batchFull requests are queued, or batchWindow has
// passed. A statement, a write and a wake-up then serve more pages. Measured with 16 visitors: 4.8 pages a query
// instead of 4.0, and 6% less processor time for a page that is in no cache.
const (
	batchFull   = 6
	batchWindow = time.Millisecond
)

// restartQueue is how many requests may wait while Postgres restarts, and just after NATS did: those of 4 s at 250 a
// second. A batch is 32 of them, so they are answered within a second when it is back.
const restartQueue = 1000

// pool is a fixed number of workers behind a bounded queue. A worker takes requests that one query can answer
// together. An idle pool adds no wait; a busy pool makes each page once.
type pool struct {
	name    string
	workers int
	limit   int                           // requests that may wait
	batch   int                           // requests that a worker takes at a time, at most
	work    func(context.Context, []*job) // answers every job; must not keep the slice
	depth   func(delta int)               // called when the queue grows or shrinks
	patient func() bool                   // reports a restart, whose requests are all held; nil: there is none
	prompt  bool                          // the queue is bounded by the time in it, not by limit, see room
	ordered bool                          // the oldest request goes first in an overload, too
	alone   bool                          // a worker takes only requests for one page at a time
	perLink int                           // requests of visitors of one link that may wait; 0: as many as limit says

	mu      sync.Mutex
	arrived sync.Cond
	waiting []*job            // in the order of their arrival
	since   time.Time         // when the queue last ceased to be empty
	reading map[page.Kind]int // queries under way that other pages of the kind could have joined
	window  *time.Timer
	timed   bool // window is running
	relaxed bool // restartQueue holds: since a restart, until the queue is as short again as limit says
	closed  bool
	worked  time.Duration  // of all workers
	busy    uint64         // requests refused
	each    time.Duration  // that a worker lately took for a request, of a batch its part; 0: none was answered
	running sync.WaitGroup // the workers; they end after close
}

func newPool(name string, workers, limit, batch int, depth func(int), work func(context.Context, []*job)) *pool {
	p := &pool{reading: map[page.Kind]int{}, name: name, workers: workers, limit: limit, batch: batch, depth: depth,
		work: work}
	p.arrived.L = &p.mu
	p.window = time.AfterFunc(batchWindow, p.windowEnded)
	p.window.Stop()
	return p
}

// start starts the workers. They work under ctx.
func (p *pool) start(ctx context.Context) {
	for range p.workers {
		p.running.Go(func() {
			batch := make([]*job, 0, p.batch)
			for {
				if batch = p.take(batch); len(batch) == 0 {
					return
				}
				begun := time.Now()
				p.work(ctx, batch)
				p.took(time.Since(begun), len(batch))
				p.read(batch)
				clear(batch)
			}
		})
	}
}

// put queues j and returns nil. If the queue is full it returns the request to refuse: j itself, or, where the newest
// goes first, the one that has waited longest.
func (p *pool) put(j *job) (excess *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if excess != nil {
			p.busy++
		}
	}()
	switch {
	case len(p.waiting) < p.limit:
		if p.relaxed {
			p.relaxed, p.since = false, j.arrived
		}
	case p.patient != nil && p.patient():
		p.relaxed = true
	}
	switch {
	case p.closed, p.perLink > 0 && p.waitingOf(j.link()) >= p.perLink:
		return j
	case len(p.waiting) == 0:
		p.since = j.arrived
	case len(p.waiting) >= p.room(j.arrived):
		if !p.overloaded(j.arrived) {
			return j
		}
		excess = p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.depth(-1)
	}
	p.waiting = append(p.waiting, j)
	p.depth(1)
	p.wake()
	return excess
}

// room is how many requests may wait. In a prompt pool it is as many as its workers answer within burstWait, or
// overloadWait, at their recent rate. p.mu is held.
func (p *pool) room(now time.Time) int {
	switch {
	case p.relaxed:
		return restartQueue
	case !p.prompt || p.each == 0:
		return p.limit
	}
	wait := burstWait
	if now.Sub(p.since) > burstWait {
		wait = overloadWait
	}
	return min(max(p.limit, p.answered(wait)), restartQueue)
}

// waitingOf is how many visitors of a link wait; 0 for "", which is no link. p.mu is held.
func (p *pool) waitingOf(link string) (n int) {
	if link == "" {
		return 0
	}
	for _, j := range p.waiting {
		if j.link() == link {
			n++
		}
	}
	return n
}

// answered is how many requests the workers answer within the time d at their recent rate. p.mu is held.
func (p *pool) answered(d time.Duration) int { return int(d * time.Duration(p.workers) / p.each) }

// took records that a worker answered n requests in the time d. A turn counts for an eighth, so that one that waited
// for a lock does not close the queue.
func (p *pool) took(d time.Duration, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worked += d
	each := max(1, d/time.Duration(n))
	if p.each == 0 {
		p.each = each
	}
	p.each += (each - p.each) / 8
}

// wake wakes a worker for the queue, now or when the batch window ends. p.mu is held.
func (p *pool) wake() {
	switch now := time.Now(); {
	case len(p.waiting) == 0:
	case p.ready(now):
		p.arrived.Signal()
	case !p.timed:
		p.timed = true
		p.window.Reset(p.waiting[0].arrived.Add(batchWindow).Sub(now))
	}
}

// windowEnded runs when the batch window has passed.
func (p *pool) windowEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timed = false
	p.wake()
}

// ready reports whether a worker may take a batch from the queue, which is not empty. p.mu is held.
func (p *pool) ready(now time.Time) bool {
	return p.closed || len(p.waiting) >= batchFull || now.Sub(p.waiting[0].arrived) >= batchWindow ||
		slices.ContainsFunc(p.waiting, func(j *job) bool { return p.reading[j.ref.Kind()] == 0 })
}

// read notes that the query for a batch has ended. It is safe to call twice.
func (p *pool) read(batch []*job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := batch[0]; first.reading {
		first.reading = false
		p.reading[first.ref.Kind()]--
		p.wake()
	}
}

// take waits for requests and returns a batch that can be answered together, in the memory of batch. It returns none
// when the pool is closed and the queue empty.
func (p *pool) take(batch []*job) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) == 0 || !p.ready(time.Now()) {
		if p.closed {
			return nil
		}
		p.arrived.Wait()
	}
	batch = batch[:0]
	at, step := 0, 1
	if p.overloaded(time.Now()) {
		at, step = len(p.waiting)-1, -1
	}
	for ; at >= 0 && at < len(p.waiting) && len(batch) < p.batch; at += step {
		if j := p.waiting[at]; len(batch) == 0 || batch[0].same(j) || !p.alone && batch[0].joins(j) {
			batch = append(batch, j)
			p.waiting[at] = nil
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(j *job) bool { return j == nil })
	p.depth(-len(batch))
	if !p.alone && batchable(batch[0].ref.Kind()) {
		batch[0].reading = true
		p.reading[batch[0].ref.Kind()]++
	}
	p.wake()
	return batch
}

// overloaded reports that the newest request goes first: the queue has not been empty for overloadAfter. The queue of a
// restart is served in order, and so is one that is short: there nobody waits for long.
func (p *pool) overloaded(now time.Time) bool {
	return !p.relaxed && !p.prompt && !p.ordered && now.Sub(p.since) > overloadAfter
}

// figures are part of the answer on $SRV.STATS. The histogram is among the metrics.
func (p *pool) figures() discovery.PoolFigures {
	p.mu.Lock()
	defer p.mu.Unlock()
	return discovery.PoolFigures{
		Workers: p.workers, Worked: p.worked.Seconds(), Queued: len(p.waiting), Busy: p.busy,
	}
}

// close makes the workers end when the queue is empty. It is safe to call twice.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.window.Stop()
	p.arrived.Broadcast()
}
