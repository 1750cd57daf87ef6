package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/wire"
)

// Bounds on what an edge believes about its copies.
const (
	tickGrace = 3 * time.Second // without a good tick for this long, no copy is known to be true any more
	lagGrace  = time.Second     // a relay that is further behind than this gives no good tick
	blindAge  = time.Second     // the age up to which a copy may be shown all the same, so that a crowd still shares one render
	maxScopes = 500_000         // scopes in one generation, some 50 MB; beyond, the older generation is forgotten early
	clockSlip = time.Second     // how far the cluster's clock, learned from ticks that take a while to arrive, may be behind the truth
)

// freshness decides whether a copy is still true. It keeps the newest known version of each scope and compares, at every serve; nothing
// is ever deleted to be correct. It is safe for concurrent use and costs a hit a few atomic reads.
type freshness struct {
	clock     *wire.Clock
	trustFrom atomic.Int64 // cluster time in µs: what was read before it may miss changes that were never told
	forgotten atomic.Int64 // likewise: what was read before it may depend on scopes that were forgotten, so that nobody knows whether it is gone
	goodUntil atomic.Int64 // nanoseconds since start: when ticks stop, copies are trusted until then
	start     time.Time
	changed   chan struct{} // holds one: something has happened that may have overtaken a hot page

	mu         sync.RWMutex
	young, old map[string]*scope // two generations: a scope that nobody used for one to two ChangesAge is forgotten
	rotated    time.Time
}

// scope is what is known of one user, photo or album. Copies hold pointers to the scopes they depend on, so that comparing looks nothing
// up. A forgotten scope is never one that a usable copy points to: copies are usable for less than the time it takes to be forgotten,
// and when so many scopes are asked for that it takes less, older copies are not usable any more.
type scope struct {
	version atomic.Int64 // newest known
	gone    atomic.Int64 // newest version with which something ceased to exist: no copy older than it is shown, not even as stale
	hot     atomic.Bool  // a hot page depends on it, or did
}

// dep is a scope that a copy depends on, and the version the copy shows.
type dep struct {
	scope   *scope
	version int64
}

func newFreshness(clock *wire.Clock) *freshness {
	now := time.Now()
	return &freshness{clock: clock, start: now, changed: make(chan struct{}, 1), rotated: now, young: map[string]*scope{}, old: map[string]*scope{}}
}

// intern gives the scope of this name, made if need be.
func (f *freshness) intern(name string) *scope {
	f.mu.RLock()
	s := f.young[name]
	f.mu.RUnlock()
	if s != nil {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.rotated) > wire.ChangesAge || len(f.young) >= maxScopes {
		// Whatever was decoded since the last time points to young scopes. An older copy may point to one that is forgotten now.
		f.distrust(now.Sub(f.rotated))
		f.forgotten.Store(f.trustFrom.Load())
		f.old, f.young, f.rotated = f.young, map[string]*scope{}, now
	}
	if s = f.young[name]; s != nil {
		return s
	}
	if s = f.old[name]; s == nil {
		s = &scope{}
	}
	f.young[name] = s
	return s
}

// scopes counts what is remembered.
func (f *freshness) scopes() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.young) + len(f.old)
}

// learn takes in a change. Versions only rise, so that a notice twice told, or told late, does no harm.
func (f *freshness) learn(c wire.Change) {
	s := f.intern(c.Scope)
	raise(&s.version, c.Version)
	if c.Gone {
		raise(&s.gone, c.Version)
	}
	if s.hot.Load() {
		f.wake()
	}
}

// wake has the refiller look. It never waits.
func (f *freshness) wake() {
	select {
	case f.changed <- struct{}{}:
	default: // it will look anyway
	}
}

func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// depend interns what a reply depends on. The versions it shows are news too: what a renderer read is so.
func (f *freshness) depend(deps []wire.Dep) []dep {
	out := make([]dep, len(deps))
	for i, d := range deps {
		s := f.intern(d.Scope)
		raise(&s.version, d.Version)
		out[i] = dep{s, d.Version}
	}
	return out
}

// tick takes in a live tick that came late by so much.
func (f *freshness) tick(t wire.Tick, late time.Duration) {
	if t.Lag <= lagGrace {
		f.goodUntil.Store(int64(time.Since(f.start) + tickGrace - max(0, late)))
	}
}

// distrust makes every copy that was read before some time ago unusable as a fresh one.
func (f *freshness) distrust(ago time.Duration) {
	raise(&f.trustFrom, f.clock.Now().Add(clockSlip-ago).UnixMicro())
	f.wake()
}

// forgetTicks makes the edge blind until the next tick.
func (f *freshness) forgetTicks() { f.goodUntil.Store(0) }

// blind reports that ticks have stopped, or say that the relay is behind.
func (f *freshness) blind() bool { return f.blindAt(time.Now()) }

func (f *freshness) blindAt(now time.Time) bool { return int64(now.Sub(f.start)) > f.goodUntil.Load() }

// check decides about a copy.
func (f *freshness) check(c *held) (fresh bool) { return f.checkAt(c, time.Now()) }

// checkAt decides about a copy that is to be shown now, by this machine's clock. It is the comparison that everything else rests on.
func (f *freshness) checkAt(c *held, now time.Time) (fresh bool) {
	if c.broken.Load() {
		return false
	}
	if c.reply.Immutable {
		return true
	}
	age := f.ageAt(c, now)
	if age < -clockSlip || age >= c.reply.MaxAge || c.reply.ReadAt.UnixMicro() < f.trustFrom.Load() || f.blindAt(now) && age > blindAge {
		return false
	}
	for _, d := range c.deps {
		if d.version < d.scope.version.Load() {
			return false
		}
	}
	return true
}

// presentable reports whether a copy that is not fresh may be shown, labelled as stale, when nothing else can be.
func (f *freshness) presentable(c *held) bool {
	if c == nil || c.broken.Load() || c.reply.MaxAge == 0 || f.age(c) >= c.reply.MaxAge+wire.StaleAge || c.reply.ReadAt.UnixMicro() < f.forgotten.Load() {
		return false
	}
	for _, d := range c.deps {
		if d.version < d.scope.gone.Load() {
			return false
		}
	}
	return true
}

// age is how long ago the copy's rows were read. It is negative for a copy from the future, that is, from before a clock was set back.
func (f *freshness) age(c *held) time.Duration { return f.ageAt(c, time.Now()) }

func (f *freshness) ageAt(c *held, now time.Time) time.Duration {
	return f.clock.At(now).Sub(c.reply.ReadAt)
}
