package audit

import (
	"fmt"
	"slices"
)

// label compares what is shown with the state at the versions that are named.
func (j *judge) label(o *observation) {
	for _, torn := range o.sight.torn {
		j.report(o, "label", nil, "photo %d is shown with two titles, one of them number %d", torn.photo, torn.write)
	}
	for _, m := range o.sight.photos {
		p := j.photos[m.photo]
		if p == nil { // of a user whom an earlier audit had taken over
			if o.target.owner != nil {
				j.report(o, "label", nil, "photo %d is not of %s", m.photo, o.target.owner.name)
			}
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

// compare holds what is shown of one user against a version that is named.
func (j *judge) compare(o *observation, n named) {
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	if n.version < n.owner.known {
		return
	}
	if !n.owner.wrote(n.version) {
		j.report(
			o, "label", nil, "user.%s has no version %d: somebody else writes to it, or the version is wrong",
			n.owner.name, n.version,
		)
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
			j.report(
				o, "label", last, "user.%s is at %d, and so photo %d is %v: %s", n.owner.name, n.version, p.id, was, a,
			)
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
		j.report(
			o, "label", nil, "user.%s is at %d, and the albums with photos are %b, not %b", n.owner.name, n.version,
			sure, got,
		)
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
		if !o.veiled {
			j.report(o, "label", nil, "it says no version of photo.%d", p.id)
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
		j.report(o, "label", last, "photo.%d is at %d, and so it is there", p.id, o.named[i].version)
	}
}
