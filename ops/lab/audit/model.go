package audit

import (
	"slices"
	"sync"
	"time"
)

// moment is a time of this run: how long after its start, by the monotonic clock.
type moment = time.Duration

// state is what visitors can tell of a photo. What is not public looks the same whatever else it is.
type state struct {
	public bool
	write  int32  // number of the title
	tags   uint32 // a bit for each of the auditor's tags
	albums uint32 // a bit for each of the owner's albums
}

// event is a write with its outcome: from a version of its owner on, a photo is in a state.
type event struct {
	photo   *photo
	state   state
	via     Via
	what    string
	version int64 // of the owner
	// the state may be seen in any version above this one; version-1 where the write's own version is known
	after int64
	// of the photo's own scope, if the photo came or went, otherwise 0; where it is not known, the least it may be
	scope int64

	begun, acked moment // the commit was between them
}

// exact reports whether the write's own version is known.
func (e *event) exact() bool { return e.after == e.version-1 }

// photo is one photo of an audited user.
type photo struct {
	id    int64
	owner *owner
	kept  kept // what it takes to post it again, after it was deleted

	busy   sync.Mutex // held by who writes to it
	number int32      // of the newest title; with busy
	exists bool       // with busy
	now    state      // with busy

	timeline []*event // by version, the first is how the audit found it; with owner.mu
}

// album is one album of an audited user.
type album struct {
	id       int64
	position map[int64]int32 // by photo: where it is, or would be
}

// owner is an audited user. Of its writes it keeps those that a copy, fresh or stale, may still show.
type owner struct {
	index  int // among the audited
	id     int64
	name   string
	photos []*photo // newest first, as on the page
	albums []album  // by id

	mu       sync.Mutex
	settled  sync.Cond // a write has been settled
	open     []*moment // when writes that have no outcome yet were begun
	events   []*event  // by version
	known    int64     // versions below were before the audit, or are forgotten
	recorded int
}

func newOwner(index int, id int64, name string) *owner {
	o := &owner{index: index, id: id, name: name}
	o.settled.L = &o.mu
	return o
}

// begin notes that a write begins now, and returns what settle takes.
func (o *owner) begin(now func() moment) *moment {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := now() // under the lock: who sees no open write may rely on it
	o.open = append(o.open, &at)
	return &at
}

// settle records the outcome of a write; none if it did not happen.
func (o *owner) settle(begun *moment, e *event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.open, begun); i >= 0 {
		o.open = slices.Delete(o.open, i, i+1)
	}
	if e != nil {
		o.record(e)
	}
	o.settled.Broadcast()
}

// record puts an event in its place.
func (o *owner) record(e *event) {
	o.events = insert(o.events, e)
	e.photo.timeline = insert(e.photo.timeline, e)
	if o.recorded++; o.recorded%1024 == 0 {
		o.forget(e.acked - remember)
	}
}

// insert keeps events in the order of their versions. A write that is heard of late is a few places from the end.
func insert(events []*event, e *event) []*event {
	i := len(events)
	for i > 0 && events[i-1].version > e.version {
		i--
	}
	return slices.Insert(events, i, e)
}

// remember is how long a write is kept: no copy is shown, not even as a stale one, that is older than 20 minutes.
const remember = 25 * time.Minute

// forget drops what was acknowledged before a time, but for the state that each photo had then.
func (o *owner) forget(before moment) {
	n := 0
	for n < len(o.events)-1 && o.events[n].acked < before {
		n++
	}
	if n == 0 {
		return
	}
	o.known = o.events[n-1].version
	o.events = slices.Clone(o.events[n:])
	for _, p := range o.photos {
		k := p.upTo(o.known)
		p.timeline = slices.Clone(p.timeline[max(0, k-1):])
	}
}

// waitFor returns when no write that was begun before a time lacks its outcome.
func (o *owner) waitFor(t moment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for slices.ContainsFunc(o.open, func(begun *moment) bool { return *begun < t }) {
		o.settled.Wait()
	}
}

// upTo counts the events of the photo up to a version.
func (p *photo) upTo(version int64) int {
	n := len(p.timeline)
	for n > 0 && p.timeline[n-1].version > version {
		n--
	}
	return n
}

// at gives the state that the photo had at a version of its owner, and a second one if a write may have been in force
// already whose own version is not known.
func (p *photo) at(version int64) (was, or state) {
	n := p.upTo(version)
	if n > 0 {
		was = p.timeline[n-1].state
	}
	or = was
	if n < len(p.timeline) && p.timeline[n].after < version {
		or = p.timeline[n].state
	}
	return was, or
}

// wrote reports whether a version is one that a write raised, or may have.
func (o *owner) wrote(version int64) bool {
	for i := len(o.events) - 1; i >= 0; i-- {
		switch e := o.events[i]; {
		case e.version == version || e.after < version && version < e.version:
			return true
		case e.version < version:
			return version <= o.known
		}
	}
	return version <= o.known
}

// newest is the highest version that is recorded.
func (o *owner) newest() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.events); n > 0 {
		return o.events[n-1].version
	}
	return o.known
}
