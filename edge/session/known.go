package session

import (
	"sync"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/wire"
)

// maxAbsent bounds the tokens without a session that are kept, each for two seconds.
const maxAbsent = 1000

// known holds the sessions that an edge has seen lately. It has two generations: when the newer one is full, it becomes
// the older one, whose rest is forgotten.
type known struct {
	capacity int // of each generation

	mu           sync.RWMutex
	newer, older map[key]*entry
	absent       map[key]*entry // tokens without a session, apart, so that made-up ones displace no session
	epoch        uint64         // rises when nothing that is kept may be relied on
	reading      map[key]*reads
	// How often the revocation of a user has changed, at the user modulo the length. A user who shares the place of
	// another is only read once more.
	revoked [1 << 14]uint32
}

// entry is what was read about a token.
type entry struct {
	session *wire.Session // nil: there is none, in known.absent
	epoch   uint64
	revoked uint32 // of known.revoked
	at      int64  // when it was read, as in package monotonic
}

// reads are readings of one session that are under way.
type reads struct {
	under   int
	changes uint64 // of the session since the first of them began
}

// reading is the state of things when a reading began.
type reading struct {
	epoch, changes uint64
	revoked        uint32 // of the session's user, see known.revocations
}

func newKnown(capacity int) known {
	return known{capacity: max(1, capacity/2), newer: map[key]*entry{}, absent: map[key]*entry{},
		reading: map[key]*reads{}}
}

// find returns the entry of a token and the present epoch.
func (k *known) find(at key) (*entry, uint64) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e, ok := k.newer[at]
	if !ok {
		e, ok = k.older[at]
	}
	if !ok {
		e = k.absent[at]
	}
	if e != nil && e.session != nil && e.revoked != *k.place(e.session.User) {
		return nil, k.epoch
	}
	return e, k.epoch
}

// place is where the changes of a user's revocation are counted. k.mu is held.
func (k *known) place(user int64) *uint32 { return &k.revoked[uint64(user)%uint64(len(k.revoked))] }

// revocations returns how often the revocation of a user has changed. It must be asked before that is read.
func (k *known) revocations(user int64) uint32 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return *k.place(user)
}

// revoke drops all sessions of a user, because the user's revocation has changed.
func (k *known) revoke(user int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*k.place(user)++
}

// get returns what is known of a token; nil if nothing is, or nothing that may be relied on.
func (k *known) get(at key) *entry {
	e, epoch := k.find(at)
	if e == nil || e.epoch != epoch {
		return nil
	}
	return e
}

// old returns a session that was read within the last five minutes; nil if there is none.
func (k *known) old(at key) *wire.Session {
	e, _ := k.find(at)
	if e == nil || monotonic.Since(e.at) >= unverifiedFor {
		return nil
	}
	return e.session
}

// begin begins a reading. put or end must follow.
func (k *known) begin(at key) reading {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.reading[at]
	if r == nil {
		r = &reads{}
		k.reading[at] = r
	}
	r.under++
	return reading{epoch: k.epoch, changes: r.changes}
}

// end ends a reading without a result.
func (k *known) end(at key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done(at)
}

// done ends a reading and returns how often the session has changed. k.mu is held.
func (k *known) done(at key) (changes uint64) {
	r := k.reading[at]
	if r.under--; r.under == 0 {
		delete(k.reading, at)
	}
	return r.changes
}

// put keeps what was read. It returns false if it may be outdated: the session, or the revocation of its user, has
// changed since the reading began.
func (k *known) put(at key, began reading, session *wire.Session) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done(at) != began.changes || k.epoch != began.epoch {
		return false
	}
	if session == nil {
		k.drop(at)
		if len(k.absent) >= maxAbsent {
			clear(k.absent)
		}
		k.absent[at] = &entry{nil, k.epoch, 0, monotonic.Now()}
		return true
	}
	if *k.place(session.User) != began.revoked {
		return false
	}
	delete(k.absent, at)
	if len(k.newer) >= k.capacity {
		k.older, k.newer = k.newer, make(map[key]*entry, k.capacity)
	}
	k.newer[at] = &entry{session, k.epoch, began.revoked, monotonic.Now()}
	return true
}

// changed forgets a session, because it has changed or ended.
func (k *known) changed(at key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(at)
	if r := k.reading[at]; r != nil {
		r.changes++
	}
}

// drop forgets a token. k.mu is held.
func (k *known) drop(at key) {
	delete(k.newer, at)
	delete(k.older, at)
	delete(k.absent, at)
}

// suspectAll makes everything that is kept be read again before it counts.
func (k *known) suspectAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch++
}
