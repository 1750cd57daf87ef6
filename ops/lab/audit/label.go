package audit

import (
	"fmt"
	"slices"
)

// checkLabel compares what an answer shows with the state at the versions that it names.
func (c *checker) checkLabel(o *observation) {
	for _, m := range o.content.conflicting {
		c.report(o, "label", nil, "photo %d is shown with two titles, one of them number %d", m.photo, m.write)
	}
	for _, m := range o.content.photos {
		p := c.photos[m.photo]
		if p == nil { // of a user whom an earlier audit had taken over
			if o.target.owner != nil {
				c.report(o, "label", nil, "photo %d is not of %s", m.photo, o.target.owner.name)
			}
			continue
		}
		if !slices.ContainsFunc(o.named, func(n named) bool { return n.owner == p.owner && n.photo == nil }) {
			c.report(o, "label", nil, "it shows photo %d, but names no version of user.%s", m.photo, p.owner.name)
		}
		if o.target.owner != nil && o.target.owner != p.owner {
			c.report(o, "label", nil, "photo %d is of %s", m.photo, p.owner.name)
		}
	}
	for _, n := range o.named {
		if n.photo == nil {
			c.compare(o, n)
		}
	}
}

// compare compares what is shown of one user with the state at a named version.
func (c *checker) compare(o *observation, n named) {
	n.owner.mu.Lock()
	wrote := n.owner.wrote(n.version)
	n.owner.mu.Unlock() // writers need it, and the database, which is asked what was announced, may be gone
	if !wrote && (c.announced == nil || !c.announced(n.version)) {
		c.report(
			o, "label", nil, "no write raised user.%s to %d: the version is wrong, or others write to it",
			n.owner.name, n.version,
		)
		return
	}
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	if n.version < n.owner.known {
		return
	}
	for _, p := range n.owner.photos {
		i := slices.IndexFunc(o.content.photos, func(m shown) bool { return m.photo == p.id })
		was, maybe := p.at(n.version)
		if a := o.differs(p, i, was); a != "" && o.differs(p, i, maybe) != "" {
			var last *event
			if k := p.upTo(n.version); k > 0 {
				last = p.timeline[k-1]
			}
			c.report(
				o, "label", last, "at version %[2]d of user.%[1]s photo %[3]d is %[4]v: %[5]s",
				n.owner.name, n.version, p.id, was, a,
			)
		}
	}
	if o.target.owner == n.owner {
		if problem := o.misplaced(); problem != "" {
			c.report(o, "label", nil, "%s", problem)
		}
	}
	if o.target.kind == userPage {
		c.checkAlbums(o, n)
	}
}

// differs says how photo i of the body differs from a state, or "" if it does not. A negative i says that the body does
// not show p.
func (o *observation) differs(p *photo, i int, s state) string {
	if i < 0 {
		if o.mustShow(p, s) {
			return "it is not shown"
		}
		return ""
	}
	switch m := o.content.photos[i]; {
	case !s.public:
		return fmt.Sprintf("it is shown, with title %d", m.write)
	case m.write != s.write:
		return fmt.Sprintf("its title is number %d", m.write)
	}
	switch o.target.kind {
	case photoPage:
		if o.content.tags != s.tags {
			return fmt.Sprintf("its tags are %b", o.content.tags)
		}
		if albums := p.owner.bits(o.content.albums); albums != s.albums {
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

// mustShow reports whether the page must show a photo that is in a state.
func (o *observation) mustShow(p *photo, s state) bool {
	if !s.public || p.owner != o.target.owner {
		return false
	}
	switch o.target.kind {
	case userPage:
		return true
	case feedPage: // the newest 30: a photo older than the 30th may be missing
		return len(o.content.photos) < feedSize || p.id > o.content.photos[len(o.content.photos)-1].photo
	case photoPage:
		return o.target.photo == p
	case albumPage:
		return s.albums&(1<<o.target.album) != 0
	}
	return false
}

// misplaced says which photo of an owner's listing is in the wrong place.
func (o *observation) misplaced() string {
	place := func(m shown) int64 { return -m.photo }
	if o.target.kind == albumPage {
		at := o.target.owner.albums[o.target.album].position
		place = func(m shown) int64 { return int64(at[m.photo]) }
	}
	for i := 1; i < len(o.content.photos); i++ {
		if a, b := o.content.photos[i-1], o.content.photos[i]; place(a) >= place(b) {
			return fmt.Sprintf("photo %d stands before photo %d", a.photo, b.photo)
		}
	}
	return ""
}

// checkAlbums compares the albums on an owner's page with those that have a public photo.
func (c *checker) checkAlbums(o *observation, n named) {
	var sure, perhaps uint32
	for _, p := range n.owner.photos {
		was, maybe := p.at(n.version)
		if was.public {
			perhaps |= was.albums
		}
		if maybe.public {
			perhaps |= maybe.albums
		}
		if was.public && maybe.public {
			sure |= was.albums & maybe.albums
		}
	}
	if got := n.owner.bits(o.content.albums); got&^perhaps != 0 || sure&^got != 0 {
		c.report(
			o, "label", nil, "at version %[2]d of user.%[1]s the albums with photos are %[3]b, not %[4]b",
			n.owner.name, n.version, sure, got,
		)
	}
}

// bits returns the albums with these ids as a bit set.
func (o *owner) bits(ids []int64) (b uint32) {
	for i, a := range o.albums {
		if slices.Contains(ids, a.id) {
			b |= 1 << i
		}
	}
	return b
}

// checkAbsent checks an answer that says that a photo does not exist.
func (c *checker) checkAbsent(o *observation) {
	p := o.target.photo
	switch {
	case p == nil && o.target.owner != nil:
		c.report(o, "label", nil, "the page is missing, but it was never removed")
		return
	case p == nil:
		return
	}
	i := slices.IndexFunc(o.named, func(n named) bool { return n.photo == p })
	if i < 0 {
		if !o.withheld {
			c.report(o, "label", nil, "it names no version of photo.%d", p.id)
		}
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
		c.report(o, "label", last, "at version %[2]d photo.%[1]d exists", p.id, o.named[i].version)
	}
}
