package cachefill

import (
	"maps"
	"slices"
	"sync"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// queue holds waiting jobs, at most one for each page. A note for a page that waits joins its job. A note for a page
// that is being filled waits until that fill ends, so that no two workers wait for each other.
type queue struct {
	ready chan page.Ref // pages whose job may be taken

	mu      sync.Mutex
	waiting map[page.Ref]*job // at most cap(ready)
	working map[page.Ref]struct{}
}

// job is one page to fill.
type job struct {
	wire.Fill
	came  time.Time // the first of its notes
	reply []string  // subjects of the requesters that wait to hear how it ended
}

// maxReplies bounds how many wait for the answer of one job.
const maxReplies = 64

func newQueue(size int) *queue {
	return &queue{ready: make(chan page.Ref, size), waiting: map[page.Ref]*job{}, working: map[page.Ref]struct{}{}}
}

// put adds a job. If it does not queue one, ended says why: the note joined another, or the queue is full.
func (q *queue) put(j *job) (ended result, queued bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if other := q.waiting[j.Ref]; other != nil {
		if len(other.reply)+len(j.reply) > maxReplies {
			return resultDropped, false
		}
		other.Fill, other.reply = other.And(j.Fill), slices.Concat(other.reply, j.reply)
		return resultJoined, false
	}
	if len(q.waiting) == cap(q.ready) {
		return resultDropped, false
	}
	q.waiting[j.Ref] = j
	if _, busy := q.working[j.Ref]; !busy {
		q.ready <- j.Ref // there is room: each page in ready is one that waits
	}
	return 0, true
}

// take returns the job of a page that was ready. The worker must call done afterwards.
func (q *queue) take(ref page.Ref) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.waiting[ref]
	delete(q.waiting, ref)
	q.working[ref] = struct{}{}
	return j
}

func (q *queue) done(ref page.Ref) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, ref)
	if q.waiting[ref] != nil {
		q.ready <- ref
	}
}

// rest returns the jobs that no worker will take any more.
func (q *queue) rest() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Values(q.waiting))
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
