package renderer

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// abandoned tracks requests whose answer nobody waits for any more, as cancel notes on the bus tell. Such a request
// is dropped from the queue; a worker's turn is cut short when all its requests are abandoned. What changes
// something is never abandoned: whether it is done must not depend on its visitor.
type abandoned struct {
	mu   sync.Mutex
	jobs map[string][]*job // by request id; several when a request was sent twice
}

// turn is the state that the requests of one turn of a worker share.
type turn struct {
	waited int // requests not abandoned
	cancel context.CancelCauseFunc
}

// add notes a request that waits for its answer, until remove.
func (a *abandoned) add(j *job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.jobs == nil {
		a.jobs = map[string][]*job{}
	}
	a.jobs[j.id] = append(a.jobs[j.id], j)
}

// remove forgets a request that has its answer.
func (a *abandoned) remove(j *job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.jobs[j.id]
	for i, other := range all {
		if other != j {
			continue
		}
		if len(all) == 1 {
			delete(a.jobs, j.id)
			return
		}
		all[i] = all[len(all)-1]
		a.jobs[j.id] = all[:len(all)-1]
		return
	}
}

// hear handles a cancel note.
func (a *abandoned) hear(m *nats.Msg) {
	id, ok := wire.ParseCancel(m.Subject)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, j := range a.jobs[id] {
		if j.lost {
			continue
		}
		j.lost = true
		if t := j.turn; t != nil {
			if t.waited--; t.waited == 0 {
				t.cancel(wire.ErrAbandoned)
			}
		}
	}
}

// is reports whether a request is abandoned.
func (a *abandoned) is(j *job) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return j.lost
}

// begin puts requests into a turn. It calls cancel when all of them are abandoned.
func (a *abandoned) begin(groups [][]*job, cancel context.CancelCauseFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &turn{cancel: cancel}
	for _, g := range groups {
		for _, j := range g {
			if j.turn = t; !j.lost {
				t.waited++
			}
		}
	}
	if t.waited == 0 {
		cancel(wire.ErrAbandoned)
	}
}
