package audit

import (
	"fmt"
	"slices"
	"time"
)

// Bounds that answers are held to. With nothing broken a change shows within a second; the stated bound while something
// is, and a moment after, is the edge's: the relay's last good tick is believed for 3 s, and a tick is good while the
// relay is at most 1 s behind.
const (
	QuietBound = time.Second // unless the Config says another
	FaultBound = 4 * time.Second
)

// kind is what sort of page was looked at, and so what of its body is known.
type kind uint8

const (
	userPage  kind = iota // all public photos of a user, newest first, and the albums with any
	feedPage              // the newest 30 of them
	photoPage             // one photo, its tags and albums
	albumPage             // all public photos of an album, in its order
	tagPage               // some photos, all with the tag
	homePage              // some photos; also what a search finds
	kinds
)

const feedSize = 30 // entries of a feed

// target is a page that can be looked at.
type target struct {
	kind  kind
	path  string
	owner *owner // but for tag and home
	photo *photo // photoPage
	album int    // albumPage: index among the owner's
	tag   int    // tagPage
}

// named is a version that an answer says it was made from.
type named struct {
	owner   *owner
	photo   *photo // not nil: the photo's own scope, of which a "not found" tells
	version int64
}

// observation is one answer.
type observation struct {
	target     target
	edge       int
	begin, end moment
	status     int
	cache      string // X-Cache
	id         string // X-Request-Id
	depends    string // X-Depends, to be told
	named      []named
	// some versions are not told: without the edges' key, or by an edge that has just begun and has none
	veiled bool
	unread bool // a HEAD: there is no body to look at
	same   bool // a 304
	sight  *sight
	own    *event // the visitor carries the cookie of this write
}

func (o *observation) stale() bool { return o.cache == "stale" }

// judge holds answers against the writes. It is safe for concurrent use.
type judge struct {
	photos  map[int64]*photo
	trouble *trouble
	quiet   time.Duration // bound while nothing is broken
	broken  func(Violation)
	stale   func(age time.Duration) // an answer showed what had been overtaken so long before
}

// judge finds what is wrong with an answer. It waits for writes that have no outcome yet.
func (j *judge) judge(o *observation) {
	for _, n := range o.named {
		n.owner.waitFor(o.end)
	}
	if !o.stale() {
		for _, n := range o.named {
			j.fresh(o, n)
		}
	}
	if o.own != nil && !o.stale() {
		j.own(o)
	}
	if o.sight != nil {
		j.label(o)
		j.gone(o)
	}
	if o.status == 404 {
		j.absent(o)
	}
}

// bound is what an answer that began at a time is held to, about a write that was acknowledged before.
func (j *judge) bound(acked, begin moment) time.Duration {
	if j.trouble.between(acked-FaultBound, begin) {
		return FaultBound
	}
	return j.quiet
}

// fresh checks that nothing named was overtaken too long ago.
func (j *judge) fresh(o *observation, n named) {
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	missed := n.missed()
	if missed == nil || missed.acked >= o.begin {
		return
	}
	late := o.begin - missed.acked
	j.stale(late)
	if late > j.bound(missed.acked, o.begin) {
		j.report(
			o, "fresh", missed, "it shows %s at %d, which was overtaken %v before it was asked for", n.scope(),
			n.version, late,
		)
	}
}

// missed gives, of the writes that the version named does not show, the one that was acknowledged first.
func (n named) missed() (missed *event) {
	events := n.owner.events
	if n.photo != nil {
		events = n.photo.timeline
	}
	for _, e := range slices.Backward(events) {
		shows := e.after < n.version // or may show
		if n.photo != nil {
			shows = e.scope <= n.version
		} else if e.version <= n.version {
			break // and so it shows all before
		}
		if !shows && (missed == nil || e.acked < missed.acked) {
			missed = e
		}
	}
	return missed
}

// own checks that who carries the cookie of a write sees it.
func (j *judge) own(o *observation) {
	for _, n := range o.named {
		if n.owner == o.own.photo.owner && n.photo == nil && n.version < o.own.version ||
			n.photo == o.own.photo && n.version < o.own.scope {
			j.report(o, "own", o.own, "whoever wrote that does not see it, but %s at %d", n.scope(), n.version)
		}
	}
}

// scope is what it is called on the bus.
func (n named) scope() string {
	if n.photo != nil {
		return fmt.Sprintf("photo.%d", n.photo.id)
	}
	return "user." + n.owner.name
}

// gone finds what should have vanished. Of a stale copy it is asked only if whoever shows it had time to hear of it.
func (j *judge) gone(o *observation) {
	for _, m := range o.sight.photos {
		p := j.photos[m.photo]
		if p == nil {
			continue
		}
		p.owner.mu.Lock()
		vanished := p.vanished(o.begin, o.end)
		p.owner.mu.Unlock()
		if vanished == nil {
			continue
		}
		late := o.begin - vanished.acked
		if late <= j.bound(vanished.acked, o.begin) ||
			o.stale() && j.trouble.quiet(vanished.acked, o.begin) < FaultBound {
			continue
		}
		j.report(o, "gone", vanished, "it shows photo %d, which was gone %v before it was asked for", m.photo, late)
	}
}

// vanished is the first write since which a photo has not been public in any version, if it was acknowledged before an
// answer began; nil if the photo may have been there, or have come back before the answer ended.
func (p *photo) vanished(begin, end moment) *event {
	var first *event
	for _, e := range slices.Backward(p.timeline) {
		if e.state.public {
			if e.begun < end {
				return first
			}
		} else if e.acked < begin {
			first = e
		}
	}
	return first
}

func (j *judge) report(o *observation, rule string, e *event, format string, args ...any) {
	j.broken(violation(o, rule, e, fmt.Sprintf(format, args...)))
}
