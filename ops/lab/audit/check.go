package audit

import (
	"fmt"
	"slices"
	"time"
)

// Bounds within which a change must show. FaultBound holds while a fault is in effect and shortly after. It is the
// edge's: an edge relies on the relay's last good heartbeat for 3 s, and a heartbeat is good while the relay is at most
// 1 s behind.
const (
	QuietBound = time.Second // the default of Config.Bound
	FaultBound = 4 * time.Second
)

// kind is the kind of page, which says what is known of its body.
type kind uint8

const (
	userPage    kind = iota // all public photos of a user, newest first, and the albums with any
	feedPage                // the newest 30 of them
	photoPage               // one photo, its tags and albums
	albumPage               // all public photos of an album, in its order
	tagPage                 // some photos, all with the tag
	homePage                // some photos; also what a search finds
	picturePage             // the picture of a photo
)

const feedSize = 30 // entries of a feed

// target is a page that can be requested.
type target struct {
	kind  kind
	path  string
	owner *owner // not of tagPage and homePage
	photo *photo // photoPage and picturePage
	album int    // albumPage: index among the owner's albums
	tag   int    // tagPage

	address address // picturePage
}

// named is a version that an answer names in X-Depends.
type named struct {
	owner   *owner
	photo   *photo // not nil: the photo's own scope, as a "not found" names it
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
	depends    string // X-Depends, for reports
	named      []named
	// The edge withheld some versions: the audit does not have the edges' key, or the edge has just started and has
	// none.
	withheld    bool
	headOnly    bool // a HEAD request: there is no body
	notModified bool // a 304
	content     *content
	own         *event // the request carries the cookie of this write
	signedIn    bool   // the request carries a session
}

func (o *observation) stale() bool { return o.cache == "stale" }

// checker compares answers with the history of writes. It is safe for concurrent use.
type checker struct {
	photos    map[int64]*photo
	faults    *faultLog
	quiet     time.Duration // the bound while no fault is in effect
	violation func(Violation)
	stale     func(age time.Duration) // called with the age of what an answer showed after it was overtaken
	// Everything was announced to have changed at this version; nil: nobody should. It may wait for the database.
	announced func(version int64) bool
}

// check finds what is wrong with an answer. It first waits for the outcomes of writes that began before the answer
// ended.
func (c *checker) check(o *observation) {
	if o.target.kind == picturePage {
		c.checkPicture(o)
		return
	}
	for _, n := range o.named {
		n.owner.waitFor(o.end)
	}
	if !o.stale() {
		for _, n := range o.named {
			c.checkFresh(o, n)
		}
	}
	if o.own != nil && !o.stale() {
		c.checkOwn(o)
	}
	if o.content != nil {
		c.checkLabel(o)
		c.checkGone(o)
	}
	if o.status == 404 {
		c.checkAbsent(o)
	}
}

// bound is the time that an answer may lag behind a write, given when the write was acknowledged and when the request
// began.
func (c *checker) bound(acked, begin moment) time.Duration {
	if c.faults.between(acked-FaultBound, begin) {
		return FaultBound
	}
	return c.quiet
}

// checkFresh checks that no named version was overtaken too long ago.
func (c *checker) checkFresh(o *observation, n named) {
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	missed := n.missed()
	if missed == nil || missed.acked >= o.begin {
		return
	}
	late := o.begin - missed.acked
	c.stale(late)
	if late > c.bound(missed.acked, o.begin) {
		c.report(
			o, "fresh", missed, "it shows %s at %d, which was overtaken %v before the request", n.scope(),
			n.version, late,
		)
	}
}

// missed returns the write that was acknowledged first, among those that the named version does not show.
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

// checkOwn checks that the writer sees the write whose cookie the request carries.
func (c *checker) checkOwn(o *observation) {
	for _, n := range o.named {
		if n.owner == o.own.photo.owner && n.photo == nil && n.version < o.own.version ||
			n.photo == o.own.photo && n.version < o.own.scope {
			c.report(o, "own", o.own, "the writer does not see the write, but %s at %d", n.scope(), n.version)
		}
	}
}

// scope is the name of the scope on the bus.
func (n named) scope() string {
	if n.photo != nil {
		return fmt.Sprintf("photo.%d", n.photo.id)
	}
	return "user." + n.owner.name
}

// checkGone finds photos that should have vanished. A stale copy counts only if the edge had time to learn of the
// change.
func (c *checker) checkGone(o *observation) {
	for _, m := range o.content.photos {
		p := c.photos[m.photo]
		if p == nil {
			continue
		}
		p.owner.mu.Lock()
		vanished := p.vanished(o.begin, o.end)
		p.owner.mu.Unlock()
		if vanished == nil {
			continue
		}
		if c.lateFor(o, vanished) {
			c.report(o, "gone", vanished, "it shows photo %d, which was gone %v before the request", m.photo,
				o.begin-vanished.acked)
		}
	}
}

// lateFor reports whether an answer that shows what a write has taken away is one of too long after that.
func (c *checker) lateFor(o *observation, vanished *event) bool {
	return o.begin-vanished.acked > c.bound(vanished.acked, o.begin) &&
		(!o.stale() || c.faults.quiet(vanished.acked, o.begin) >= FaultBound)
}

// vanished is the first write since which the photo has not been public in any version, if it was acknowledged before
// begin. It is nil if the photo may still have been there, or have come back before end.
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

func (c *checker) report(o *observation, rule string, e *event, format string, args ...any) {
	c.violation(violation(o, rule, e, fmt.Sprintf(format, args...)))
}
