package audit

import (
	"math/rand/v2"
	"slices"
	"strings"

	schema "flickrkillr/schema/page"
)

// address is one under which a page has linked to the picture of its photo. It ends when the photo is hidden or
// deleted, whatever becomes of the photo then.
type address struct {
	key   string
	since int64 // the lowest version of the owner at which a page had it
}

// keptAddresses is how many addresses of a photo are asked for, the newest ones.
const keptAddresses = 4

// pictureWidth is the one that is asked for: the smallest, which caches in memory take.
const pictureWidth = 320

// learnPicture notes the address that an answer with the page of a photo has.
func (o *observation) learnPicture() {
	p := o.target.photo
	if o.target.kind != photoPage || p == nil || o.content == nil || o.content.picture == "" {
		return
	}
	for _, n := range o.named {
		if n.owner == p.owner && n.photo == nil {
			p.learnAddress(address{o.content.picture, n.version})
		}
	}
}

func (p *photo) learnAddress(a address) {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	if i := slices.IndexFunc(p.addresses, func(b address) bool { return b.key == a.key }); i >= 0 {
		p.addresses[i].since = min(p.addresses[i].since, a.since)
		return
	}
	p.addresses = append(p.addresses, a)
	if n := len(p.addresses); n > keptAddresses {
		p.addresses = slices.Clone(p.addresses[n-keptAddresses:])
	}
}

// drawPicture draws one of the addresses of a photo's picture; false if none is known.
func (p *photo) drawPicture(draw *rand.Rand) (t target, ok bool) {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	if len(p.addresses) == 0 {
		return t, false
	}
	a := p.addresses[draw.IntN(len(p.addresses))]
	return target{kind: picturePage, owner: p.owner, photo: p, address: a,
		path: schema.Image(a.key, pictureWidth).Path()}, true
}

// checkPicture checks that an address of a picture is one until its photo is hidden or deleted, and no longer. Its copy
// may be of an older version than the newest: other changes do not concern it.
func (c *checker) checkPicture(o *observation) {
	p, a := o.target.photo, o.target.address
	p.owner.waitFor(o.end)
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	ended := p.hiddenSince(a.since)
	if o.status == 404 {
		if a.since >= p.owner.known && (ended == nil || ended.begun > o.end) {
			c.report(o, "label", ended, "the picture of photo %d is missing, but was never removed", p.id)
		}
		return
	}
	if !slices.ContainsFunc(strings.Fields(o.depends), func(dep string) bool {
		return strings.HasPrefix(dep, "user."+p.owner.name+"=")
	}) {
		c.report(o, "label", nil, "it shows photo %d, but names no version of user.%s", p.id, p.owner.name)
	}
	if e := o.own; e != nil && e.photo == p && !e.state.public && a.since <= e.after && !o.stale() {
		c.report(o, "own", e, "the writer, who has hidden photo %d, sees its picture", p.id)
	}
	if ended != nil && c.lateFor(o, ended) {
		c.report(o, "gone", ended, "it shows photo %d at an address that had ended %v before the request", p.id,
			o.begin-ended.acked)
	}
}

// hiddenSince is the first write after a version of the owner that hid or deleted the photo; nil if there is none.
func (p *photo) hiddenSince(version int64) *event {
	for _, e := range p.timeline {
		if e.version > version && !e.state.public {
			return e
		}
	}
	return nil
}
