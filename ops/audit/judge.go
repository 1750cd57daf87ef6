package audit

import (
	"fmt"
	"slices"
	"time"
)

// Bounds that answers are held to. With nothing broken a change shows within a second; the stated bound while something is, and a moment
// after, is the edge's: the relay's last good tick is believed for 3 s, and a tick is good while the relay is at most 1 s behind.
const (
	QuietBound = time.Second
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
	homePage              // some photos
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
	unread     bool // a HEAD: there is no body to look at
	same       bool // a 304
	sight      *sight
	own        *event // the visitor carries the cookie of this write
}

func (o *observation) stale() bool { return o.cache == "stale" }

// judge holds answers against the writes. It is safe for concurrent use.
type judge struct {
	photos  map[int64]*photo
	trouble *trouble
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
	return QuietBound
}

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
		j.report(o, "fresh", missed, "it shows %s at %d, which was overtaken %v before it was asked for", n.scope(), n.version, late)
	}
}

// missed gives, of the writes that the version named does not show, the one that was acknowledged first.
func (n named) missed() (missed *event) {
	events := n.owner.events
	if n.photo != nil {
		events = n.photo.timeline
	}
	for _, e := range slices.Backward(events) {
		if n.photo == nil && e.after < n.version {
			break // it shows this one and all before
		}
		if (n.photo == nil || e.scope > n.version) && (missed == nil || e.acked < missed.acked) {
			missed = e
		}
	}
	return missed
}

func (j *judge) own(o *observation) {
	for _, n := range o.named {
		if n.owner == o.own.photo.owner && n.photo == nil && n.version < o.own.version ||
			n.photo == o.own.photo && n.version < o.own.scope {
			j.report(o, "own", o.own, "whoever wrote that does not see it, but %s at %d", n.scope(), n.version)
		}
	}
}

func (n named) scope() string {
	if n.photo != nil {
		return fmt.Sprintf("photo.%d", n.photo.id)
	}
	return "user." + n.owner.name
}

// label compares what is shown with the state at the versions that are named.
func (j *judge) label(o *observation) {
	for _, torn := range o.sight.torn {
		j.report(o, "label", nil, "photo %d is shown with two titles, one of them number %d", torn.photo, torn.write)
	}
	for _, m := range o.sight.photos {
		p := j.photos[m.photo]
		if p == nil {
			j.report(o, "label", nil, "photo %d is nobody's", m.photo)
			continue
		}
		if !slices.ContainsFunc(o.named, func(n named) bool { return n.owner == p.owner && n.photo == nil }) {
			j.report(o, "label", nil, "it shows photo %d, but says no version of user.%s", m.photo, p.owner.name)
		}
		if o.target.owner != nil && o.target.owner != p.owner {
			j.report(o, "label", nil, "photo %d is of %s", m.photo, p.owner.name)
		}
	}
	for _, n := range o.named {
		if n.photo == nil {
			j.compare(o, n)
		}
	}
}

func (j *judge) compare(o *observation, n named) {
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	if n.version < n.owner.known {
		return
	}
	if !n.owner.wrote(n.version) {
		j.report(o, "label", nil, "user.%s has no version %d: somebody else writes to it, or the version is wrong", n.owner.name, n.version)
		return
	}
	for _, p := range n.owner.photos {
		i := slices.IndexFunc(o.sight.photos, func(m shown) bool { return m.photo == p.id })
		was, or := p.at(n.version)
		if a := o.differs(p, i, was); a != "" && o.differs(p, i, or) != "" {
			var last *event
			if k := p.upTo(n.version); k > 0 {
				last = p.timeline[k-1]
			}
			j.report(o, "label", last, "user.%s is at %d, and so photo %d is %v: %s", n.owner.name, n.version, p.id, was, a)
		}
	}
	if o.target.owner == n.owner {
		if problem := o.disorder(); problem != "" {
			j.report(o, "label", nil, "%s", problem)
		}
	}
	if o.target.kind == userPage {
		j.covers(o, n)
	}
}

// differs says how what is shown of a photo, the i-th of the sight or none, differs from a state; "" if it does not.
func (o *observation) differs(p *photo, i int, s state) string {
	if i < 0 {
		if o.wants(p, s) {
			return "it is not shown"
		}
		return ""
	}
	switch m := o.sight.photos[i]; {
	case !s.public:
		return fmt.Sprintf("it is shown, with title %d", m.write)
	case m.write != s.write:
		return fmt.Sprintf("its title is number %d", m.write)
	}
	switch o.target.kind {
	case photoPage:
		if o.sight.tags != s.tags {
			return fmt.Sprintf("its tags are %b", o.sight.tags)
		}
		if albums := p.owner.bits(o.sight.albums); albums != s.albums {
			return fmt.Sprintf("its albums are %b", albums)
		}
	case albumPage:
		if s.albums&(1<<o.target.album) == 0 {
			return "the album shows it"
		}
	case tagPage:
		if s.tags&(1<<o.target.tag) == 0 {
			return "the tag shows it"
		}
	}
	return ""
}

// wants reports whether a page must show a photo that is in a state.
func (o *observation) wants(p *photo, s state) bool {
	if !s.public || p.owner != o.target.owner {
		return false
	}
	switch o.target.kind {
	case userPage:
		return true
	case feedPage: // the newest 30: one that is older than the 30th may be missing
		return len(o.sight.photos) < feedSize || p.id > o.sight.photos[len(o.sight.photos)-1].photo
	case photoPage:
		return o.target.photo == p
	case albumPage:
		return s.albums&(1<<o.target.album) != 0
	}
	return false
}

// disorder says which photo of an owner's listing stands in the wrong place.
func (o *observation) disorder() string {
	place := func(m shown) int64 { return -m.photo }
	if o.target.kind == albumPage {
		at := o.target.owner.albums[o.target.album].position
		place = func(m shown) int64 { return int64(at[m.photo]) }
	}
	for i := 1; i < len(o.sight.photos); i++ {
		if a, b := o.sight.photos[i-1], o.sight.photos[i]; place(a) >= place(b) {
			return fmt.Sprintf("photo %d stands before photo %d", a.photo, b.photo)
		}
	}
	return ""
}

// covers compares the albums on an owner's page with those that have a public photo.
func (j *judge) covers(o *observation, n named) {
	var sure, perhaps uint32
	for _, p := range n.owner.photos {
		was, or := p.at(n.version)
		if was.public {
			perhaps |= was.albums
		}
		if or.public {
			perhaps |= or.albums
		}
		if was.public && or.public {
			sure |= was.albums & or.albums
		}
	}
	if got := n.owner.bits(o.sight.albums); got&^perhaps != 0 || sure&^got != 0 {
		j.report(o, "label", nil, "user.%s is at %d, and the albums with photos are %b, not %b", n.owner.name, n.version, sure, got)
	}
}

// bits gives the owner's albums among those with these ids.
func (o *owner) bits(ids []int64) (b uint32) {
	for i, a := range o.albums {
		if slices.Contains(ids, a.id) {
			b |= 1 << i
		}
	}
	return b
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
		if late <= j.bound(vanished.acked, o.begin) || o.stale() && j.trouble.quiet(vanished.acked, o.begin) < FaultBound {
			continue
		}
		j.report(o, "gone", vanished, "it shows photo %d, which was gone %v before it was asked for", m.photo, late)
	}
}

// vanished is the first write since which a photo has not been public in any version, if it was acknowledged before an answer began; nil
// if the photo may have been there, or have come back before the answer ended.
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

// absent checks an answer that says that a photo is not there.
func (j *judge) absent(o *observation) {
	p := o.target.photo
	switch {
	case p == nil && o.target.owner != nil:
		j.report(o, "label", nil, "the page is not there, but it never went")
		return
	case p == nil:
		return
	}
	i := slices.IndexFunc(o.named, func(n named) bool { return n.photo == p })
	if i < 0 {
		j.report(o, "label", nil, "it says no version of photo.%d", p.id)
		return
	}
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	var last *event // that made it come or go, at the version named
	for _, e := range p.timeline {
		if e.scope != 0 && e.scope <= o.named[i].version {
			last = e
		}
	}
	if last != nil && last.state.public && last.exact() {
		j.report(o, "label", last, "photo.%d is at %d, and so it is there", p.id, o.named[i].version)
	}
}

func (j *judge) report(o *observation, rule string, e *event, format string, args ...any) {
	j.broken(violation(o, rule, e, fmt.Sprintf(format, args...)))
}
