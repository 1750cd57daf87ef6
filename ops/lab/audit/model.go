package audit

import (
	"slices"
	"sync"
	"time"
)

// moment is a time since the start of the audit, by the monotonic clock.
type moment = time.Duration

// state is what visitors can see of a photo. A photo that is not public looks the same whatever else it is.
type state struct {
	public bool
	write  int32  // number of the title
	tags   uint32 // one bit for each of the audit's tags
	albums uint32 // one bit for each of the owner's albums
}

// event is a write with its outcome: the state of a photo from a version of its owner on.
type event struct {
	photo   *photo
	state   state
	via     Via
	what    string
	version int64 // of the owner
	// The state may be seen in any version above this one. It is version-1 where the write's own version is known.
	after int64
	// Version of the photo's own scope, if the photo appeared or vanished; otherwise 0. A lower limit where it is
	// unknown.
	scope int64

	begun, acked moment // the commit was between them
}

// exact reports whether the version that the write raised is known exactly.
func (e *event) exact() bool { return e.after == e.version-1 }

// photo is one photo of an audited user.
type photo struct {
	id     int64
	owner  *owner
	stored stored // for posting it again after a deletion

	busy   sync.Mutex // held while writing to the photo
	number int32      // of the newest title; guarded by busy
	exists bool       // guarded by busy
	now    state      // guarded by busy

	timeline  []*event  // by version, the first is the state at the start; guarded by owner.mu
	addresses []address // of its picture, the newest last; guarded by owner.mu
}

// album is one album of an audited user.
type album struct {
	id       int64
	position map[int64]int32 // by photo: its place, now or when it is added
}

// owner is an audited user. It keeps the writes that a fresh or stale copy may still show.
type owner struct {
	index  int // among the audited users
	id     int64
	name   string
	photos []*photo // newest first, as on the page
	albums []album  // by id

	mu       sync.Mutex
	settled  sync.Cond // broadcast when a write is settled
	open     []*moment // when the writes without an outcome began
	events   []*event  // by version
	known    int64     // lower versions are from before the audit, or forgotten
	recorded int
}

func newOwner(index int, id int64, name string) *owner {
	o := &owner{index: index, id: id, name: name}
	o.settled.L = &o.mu
	return o
}

// begin notes that a write begins now. The result is for settle.
func (o *owner) begin(now func() moment) *moment {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := now() // while holding the lock: a reader that sees no open write may rely on it
	o.open = append(o.open, &at)
	return &at
}

// settle records the outcome of a write; e is nil if the write did not happen.
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

// record inserts an event into the history.
func (o *owner) record(e *event) {
	o.events = insert(o.events, e)
	e.photo.timeline = insert(e.photo.timeline, e)
	if o.recorded++; o.recorded%1024 == 0 {
		o.forget(e.acked - remember)
	}
}

// insert keeps events ordered by version. A write whose outcome arrives late belongs a few places before the end.
func insert(events []*event, e *event) []*event {
	i := len(events)
	for i > 0 && events[i-1].version > e.version {
		i--
	}
	return slices.Insert(events, i, e)
}

// remember is how long writes are kept. No copy older than 20 minutes is shown, not even as a stale one.
const remember = 25 * time.Minute

// forget drops events that were acknowledged before a time, except the last one of each photo.
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

// waitFor returns when every write that began before t has its outcome.
func (o *owner) waitFor(t moment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for slices.ContainsFunc(o.open, func(begun *moment) bool { return *begun < t }) {
		o.settled.Wait()
	}
}

// upTo counts the events of the photo up to a version of its owner.
func (p *photo) upTo(version int64) int {
	n := len(p.timeline)
	for n > 0 && p.timeline[n-1].version > version {
		n--
	}
	return n
}

// at returns the state that the photo had at a version of its owner. If a write whose version is not known exactly may
// already have been in effect, maybe is the state after it; otherwise both are the same.
func (p *photo) at(version int64) (was, maybe state) {
	n := p.upTo(version)
	if n > 0 {
		was = p.timeline[n-1].state
	}
	maybe = was
	if n < len(p.timeline) && p.timeline[n].after < version {
		maybe = p.timeline[n].state
	}
	return was, maybe
}

// wrote reports whether a write raised a version, or may have.
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

// newest is the highest recorded version.
func (o *owner) newest() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.events); n > 0 {
		return o.events[n-1].version
	}
	return o.known
}
