package renderer

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// abandoned hears of requests that nobody waits for any more. One that waits for a worker is then not worked; the turn
// of a worker is cut short when all of its requests are abandoned. An action is never abandoned: whether it is done
// must not depend on who still looks.
type abandoned struct {
	mu   sync.Mutex
	jobs map[string][]*job // by request id, while they are held; more than one when a request was asked twice
}

// turn is what the requests that a worker works on together have in common.
type turn struct {
	waited int // how many of them are not abandoned
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

// hear takes in that nobody waits for a request.
func (a *abandoned) hear(m *nats.Msg) {
	id, ok := wire.ParseCancel(m.Subject)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, j := range a.jobs[id] {
		if j.abandonment.abandoned {
			continue
		}
		j.abandonment.abandoned = true
		if t := j.abandonment.turn; t != nil {
			if t.waited--; t.waited == 0 {
				t.cancel(wire.ErrAbandoned)
			}
		}
	}
}

// is reports whether nobody waits for a request.
func (a *abandoned) is(j *job) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return j.abandonment.abandoned
}

// begin puts requests into a turn, which cancel ends.
func (a *abandoned) begin(groups [][]*job, cancel context.CancelCauseFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &turn{cancel: cancel}
	for _, g := range groups {
		for _, j := range g {
			if j.abandonment.turn = t; !j.abandonment.abandoned {
				t.waited++
			}
		}
	}
	if t.waited == 0 {
		cancel(wire.ErrAbandoned)
	}
}
