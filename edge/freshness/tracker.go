package freshness

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Bounds on what an edge assumes about its cached pages.
const (
	heartbeatGrace = 3 * time.Second // without a good heartbeat for this long, the feed counts as stale
	maxRelayLag    = time.Second     // a heartbeat of a relay that lags more is not a good one
	staleFeedAge   = time.Second     // up to this age a page is fresh if the feed is stale: a crowd shares one render
	checkEvery     = 50 * time.Millisecond
	maxPause       = 400 * time.Millisecond // without a check for this long, this process did not run
	maxScopes      = 500_000                // scopes in a generation, about 50 MB; then the older one is forgotten
)

// ClockSlip is how far cluster time, which is learned from heartbeats in transit, may lag behind the truth.
const ClockSlip = time.Second

// Tracker knows the newest version of each scope and compares cached pages with it. A check costs a few atomic reads.
// It is safe for concurrent use.
type Tracker struct {
	clock         *wire.Clock
	invalidBefore atomic.Int64 // cluster time, µs: pages read before it may have missed changes
	forgottenAt   atomic.Int64 // cluster time, µs: pages read before it may depend on forgotten scopes
	goodUntil     atomic.Int64 // nanoseconds since start: when the feed becomes stale unless another heartbeat comes
	ranAt         atomic.Int64 // wall clock, ns: when this process was last seen to run; 0: nobody looks
	resumedAt     atomic.Int64 // cluster time, µs: an earlier heartbeat is from before a pause of this process
	resumed       atomic.Int64 // the same moment, nanoseconds since start
	wasGood       atomic.Bool  // a heartbeat has counted
	stale         atomic.Int64 // nanoseconds for which the feed has been stale since
	start         time.Time
	changed       chan struct{} // capacity 1: a popular page may have been overtaken

	mu         sync.RWMutex
	young, old map[string]*Scope // two generations: a scope that is unused for one to two ChangesAge is forgotten
	rotated    time.Time
}

// Scope is what is known of one user, photo or album. Cached pages point to the scopes they depend on, so that a
// comparison needs no map. No usable page points to a forgotten scope: pages are usable for less time than it takes to
// forget a scope, and when the number of scopes shortens that time, older pages are invalidated.
type Scope struct {
	version atomic.Int64 // newest known
	gone    atomic.Int64 // newest version that deleted or hid something: an older page is not shown, not even as stale
	goneAt  atomic.Int64 // when gone last rose, in cluster time, µs
	popular atomic.Bool  // a popular page depends on it, or did
}

// Newest returns the newest known version.
func (s *Scope) Newest() int64 { return s.version.Load() }

// MarkPopular makes every further change of the scope wake the reader of [Tracker.Changed].
func (s *Scope) MarkPopular() { s.popular.Store(true) }

// Dep is a scope that a page depends on, and the version that the page shows.
type Dep struct {
	Scope   *Scope
	Version int64
}

// Overtaken reports whether a newer version is known.
func (d Dep) Overtaken() bool { return d.Version < d.Scope.version.Load() }

// Gone reports whether a newer version is known in which something of the scope is no longer public.
func (d Dep) Gone() bool { return d.Version < d.Scope.gone.Load() }

// Basis is what decides about the freshness of a page. It is immutable.
type Basis struct {
	ReadAt    time.Time     // cluster time at which the rows were read
	MaxAge    time.Duration // 0: never cached
	Immutable bool          // never changes and never goes, so always fresh
	GoneOnly  bool          // never changes, but may go, see [wire.Reply.GoneOnly]
	Deps      []Dep
}

// New returns a Tracker that considers the feed stale until the first heartbeat.
func New(clock *wire.Clock) *Tracker {
	now := time.Now()
	return &Tracker{
		clock: clock, start: now, changed: make(chan struct{}, 1), rotated: now,
		young: map[string]*Scope{}, old: map[string]*Scope{},
	}
}

// Clock returns the clock of cluster time.
func (t *Tracker) Clock() *wire.Clock { return t.clock }

// Changed receives when a change, or an invalidation, may have overtaken a popular page.
func (t *Tracker) Changed() <-chan struct{} { return t.changed }

// Scope returns the scope of a name; it is made if unknown.
func (t *Tracker) Scope(name string) *Scope {
	t.mu.RLock()
	s := t.young[name]
	t.mu.RUnlock()
	if s != nil {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.rotated) > wire.ChangesAge || len(t.young) >= maxScopes {
		// Pages decoded since the last rotation point to young scopes. Older pages may point to scopes that are
		// forgotten now.
		t.invalidateBefore(now.Sub(t.rotated))
		t.forgottenAt.Store(t.invalidBefore.Load())
		t.old, t.young, t.rotated = t.young, map[string]*Scope{}, now
	}
	if s = t.young[name]; s != nil {
		return s
	}
	if s = t.old[name]; s == nil {
		s = &Scope{}
	}
	t.young[name] = s
	return s
}

// Scopes counts the scopes that are remembered.
func (t *Tracker) Scopes() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.young) + len(t.old)
}

// Learn records a change. Versions only rise, so a repeated or late notice does no harm.
func (t *Tracker) Learn(c wire.Change) {
	s := t.Scope(c.Scope)
	raise(&s.version, c.Version)
	if c.Gone {
		if s.gone.Load() < c.Version {
			s.goneAt.Store(t.clock.Now().UnixMicro())
		}
		raise(&s.gone, c.Version)
	}
	if s.popular.Load() {
		t.wake()
	}
}

// wake notifies the reader of Changed. It never waits.
func (t *Tracker) wake() {
	select {
	case t.changed <- struct{}{}:
	default: // a notification is already waiting
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

// GoneSince returns from when on no copy of before the version of a scope was shown, which went at a time; zero: one
// may be shown. What this edge has forgotten went so long ago that no copy is left.
func (t *Tracker) GoneSince(scope string, version int64, at time.Time) time.Time {
	t.mu.RLock()
	s := t.young[scope]
	if s == nil {
		s = t.old[scope]
	}
	t.mu.RUnlock()
	if s != nil && s.gone.Load() >= version {
		return time.UnixMicro(s.goneAt.Load())
	}
	if oldest := at.Add(wire.PageAge + wire.StaleAge); t.clock.Now().After(oldest) {
		return oldest
	}
	return time.Time{}
}

// Basis returns the basis of a reply. It also learns the reply's versions: a renderer has read them from the database.
func (t *Tracker) Basis(r *wire.Reply) Basis {
	b := Basis{ReadAt: r.ReadAt, MaxAge: r.MaxAge, Immutable: r.Immutable && !r.GoneOnly(), GoneOnly: r.GoneOnly(),
		Deps: make([]Dep, len(r.Depends))}
	for i, d := range r.Depends {
		s := t.Scope(d.Scope)
		raise(&s.version, d.Version)
		b.Deps[i] = Dep{s, d.Version}
	}
	return b
}

// heartbeat records a live heartbeat that arrived late by so much. After a pause of this process it ignores those
// written before its end: changes that came after them may still be queued. Heartbeats that come longer than
// heartbeatGrace after the end and yet seem to be from before it tell that the machine's clock was set forward.
func (t *Tracker) heartbeat(h wire.Heartbeat, late time.Duration) {
	now := time.Since(t.start)
	resumedAt := t.resumedAt.Load()
	before := h.Time.UnixMicro() < resumedAt && now-time.Duration(t.resumed.Load()) <= heartbeatGrace
	if h.Lag > maxRelayLag || before {
		return
	}
	t.wasGood.Store(true)
	raise(&t.goodUntil, int64(now+heartbeatGrace-max(0, late))) // an earlier one may come later, through the stream
	if t.resumedAt.Load() != resumedAt {                        // a pause was noticed meanwhile
		t.forgetHeartbeats()
	}
}

// invalidateBefore makes pages that were read before some time ago unusable as fresh ones.
func (t *Tracker) invalidateBefore(ago time.Duration) {
	raise(&t.invalidBefore, t.clock.Now().Add(ClockSlip-ago).UnixMicro())
	t.wake()
}

// InvalidBefore returns a cluster time: pages that were read before it are invalid.
func (t *Tracker) InvalidBefore() time.Time { return time.UnixMicro(t.invalidBefore.Load()) }

// noticePauses notes that this process runs, until ctx ends. When it did not run for maxPause, because it was stopped
// or its machine stalled, it calls paused with the length, and the feed is stale until a heartbeat that was written
// later.
func (t *Tracker) noticePauses(ctx context.Context, paused func(time.Duration)) {
	defer t.ranAt.Store(0)
	for last := time.Now(); ; {
		now := time.Now()
		if gap := t.runs(last, now); gap > maxPause {
			paused(gap)
		}
		if t.wasGood.Load() && t.feedStaleAt(now) {
			t.stale.Add(int64(now.Sub(last)))
		}
		last = now
		if !sleep.For(ctx, checkEvery) {
			return
		}
	}
}

// runs notes that this process runs now, and returns for how long it may not have run since it was seen last.
func (t *Tracker) runs(last, now time.Time) (gap time.Duration) {
	// The monotonic clock of a suspended machine stands still, and the wall clock may be set: the longer one counts.
	gap = max(now.Sub(last), now.Round(0).Sub(last.Round(0)))
	if gap > maxPause {
		t.resumed.Store(int64(now.Sub(t.start))) // before resumedAt, which heartbeat reads first
		t.resumedAt.Store(t.clock.At(now).UnixMicro())
		t.forgetHeartbeats()
	}
	t.ranAt.Store(now.UnixNano())
	return gap
}

// forgetHeartbeats makes the feed stale until the next heartbeat.
func (t *Tracker) forgetHeartbeats() { t.goodUntil.Store(0) }

// FeedStale reports that heartbeats have stopped, that they say that the relay lags, or that this process did not run.
func (t *Tracker) FeedStale() bool { return t.feedStaleAt(time.Now()) }

// StaleFor is for how long the feed has been stale since the first heartbeat that counted, looked at every 50 ms.
func (t *Tracker) StaleFor() time.Duration { return time.Duration(t.stale.Load()) }

func (t *Tracker) feedStaleAt(now time.Time) bool {
	if t.pausedAt(now) {
		return true
	}
	return int64(now.Sub(t.start)) > t.goodUntil.Load()
}

// pausedAt reports, to a request that comes before that is noticed, that this process did not run until now.
func (t *Tracker) pausedAt(now time.Time) bool {
	ran := t.ranAt.Load()
	return ran != 0 && now.UnixNano()-ran > int64(maxPause)
}

// Awake is for how long this process has run without a pause of 400 ms or longer.
func (t *Tracker) Awake() time.Duration {
	now := time.Now()
	if t.pausedAt(now) {
		return 0
	}
	return now.Sub(t.start) - time.Duration(t.resumed.Load())
}

// Fresh reports whether a page may be served as fresh now, by this machine's clock. Every promise about freshness rests
// on this comparison.
func (t *Tracker) Fresh(b *Basis, now time.Time) bool {
	if b.Immutable {
		return true
	}
	age := t.Age(b, now)
	if age < -ClockSlip || age >= b.MaxAge || b.ReadAt.UnixMicro() < t.invalidBefore.Load() {
		return false
	}
	if t.feedStaleAt(now) && age > staleFeedAge {
		return false
	}
	return !b.Overtaken()
}

// ReadSince returns a cluster time: pages that were read before it may lack changes that this edge has not heard of.
func (t *Tracker) ReadSince(now time.Time) time.Time {
	since := t.InvalidBefore()
	if t.feedStaleAt(now) {
		if oldest := t.clock.At(now).Add(-staleFeedAge); oldest.After(since) {
			return oldest
		}
	}
	return since
}

// Overtaken reports whether a change is known that the page should show and does not.
func (b *Basis) Overtaken() bool {
	if b.GoneOnly {
		return b.gone()
	}
	for _, d := range b.Deps {
		if d.Overtaken() {
			return true
		}
	}
	return false
}

// gone reports whether something on the page may be no longer public.
func (b *Basis) gone() bool {
	for _, d := range b.Deps {
		if d.Gone() {
			return true
		}
	}
	return false
}

// MayServeStale reports whether a page that is not fresh may be served, marked as stale, when no fresh one can be had.
// A page that depends on a forgotten scope may not: whether its rows were deleted is unknown.
func (t *Tracker) MayServeStale(b *Basis, now time.Time) bool {
	if b.MaxAge == 0 || t.Age(b, now) >= b.MaxAge+wire.StaleAge || b.ReadAt.UnixMicro() < t.forgottenAt.Load() {
		return false
	}
	return !b.gone()
}

// Age is how long ago the page's rows were read. It is negative if a clock was set back since.
func (t *Tracker) Age(b *Basis, now time.Time) time.Duration { return t.clock.At(now).Sub(b.ReadAt) }
