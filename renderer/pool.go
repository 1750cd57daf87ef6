package renderer

import (
	"slices"
	"sync"
	"time"
)

// overloadAfter is how long a queue may be without a pause before newest go first. Below that it is a burst, which is fairest served in
// its order; above, whoever waits longest is likeliest to have left.
const overloadAfter = 100 * time.Millisecond

// pool is a fixed number of workers behind a bounded queue. Workers take requests that one query can answer together: when it is idle
// nothing waits for company, when it is busy nothing is asked twice.
type pool struct {
	name    string
	workers int
	limit   int             // requests that may wait
	batch   int             // requests that a worker takes at a time, at most
	work    func([]*job)    // answers every one of them; it does not keep the slice
	depth   func(delta int) // told how the queue grows and shrinks

	mu      sync.Mutex
	arrived sync.Cond
	waiting []*job    // in the order of their arrival
	since   time.Time // when the queue last ceased to be empty
	closed  bool
	running sync.WaitGroup // the workers; they end after close
}

func newPool(name string, workers, limit, batch int, depth func(int), work func([]*job)) *pool {
	p := &pool{name: name, workers: workers, limit: limit, batch: batch, depth: depth, work: work}
	p.arrived.L = &p.mu
	return p
}

// start starts the workers.
func (p *pool) start() {
	for range p.workers {
		p.running.Go(func() {
			batch := make([]*job, 0, p.batch)
			for {
				if batch = p.take(batch); len(batch) == 0 {
					return
				}
				p.work(batch)
				clear(batch)
			}
		})
	}
}

// put queues j and returns nil, or returns the request that there is no room for: j itself, or under lasting overload the one that has
// waited longest.
func (p *pool) put(j *job) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	var excess *job
	switch {
	case p.closed:
		return j
	case len(p.waiting) == 0:
		p.since = j.arrived
	case len(p.waiting) >= p.limit:
		if !p.overloaded(j.arrived) {
			return j
		}
		excess = p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.depth(-1)
	}
	p.waiting = append(p.waiting, j)
	p.depth(1)
	p.arrived.Signal()
	return excess
}

// take waits for a request and returns it with those that can be answered together with it, in batch's memory. It returns none once the
// pool is closed and its queue empty.
func (p *pool) take(batch []*job) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) == 0 {
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
		if j := p.waiting[at]; len(batch) == 0 || batch[0].joins(j) {
			batch = append(batch, j)
			p.waiting[at] = nil
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(j *job) bool { return j == nil })
	p.depth(-len(batch))
	return batch
}

// overloaded reports whether somebody has been waiting at every moment for overloadAfter.
func (p *pool) overloaded(now time.Time) bool { return now.Sub(p.since) > overloadAfter }

// close makes the workers end once the queue is empty. Safe to call twice.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.arrived.Broadcast()
}
