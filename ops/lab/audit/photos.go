package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"image"
	"image/jpeg"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// The ways to take a photo away, as reports name them.
const (
	makePrivate   = "make private"
	putIntoBin    = "put into the bin"
	deleteForGood = "delete for good"
	waysToHide    = 3
)

// mostHidden bounds the photos that a member keeps. Older ones are deleted.
const mostHidden = 4

// pictures finds the addresses of pictures on a page.
var pictures = regexp.MustCompile(`/img/[a-z0-9/]+\.jpg`)

// bringPhotos uploads a photo of a member that is theirs alone, so its title is a secret. A member who shows photos
// uploads a public one, too.
func (p *people) bringPhotos(ctx context.Context, m *member, draw *mathrand.Rand) {
	edge, as := p.edge(draw), m.browsers[0]
	p.checkHidden(ctx, m, edge)
	whole := context.WithoutCancel(ctx) // what has begun is completed
	title := rand.Text()
	p.secrets.add(&secret{text: title, what: "the title of a photo that only its owner may see", owner: m})
	if hidden, _ := p.upload(whole, edge, as, title, true); hidden != 0 {
		m.hidden = append(m.hidden, hidden)
	}
	if m.shows {
		p.showAndTakeAway(ctx, m, edge, draw)
	}
	for len(m.hidden) > mostHidden && p.takeAway(ctx, m, edge, m.hidden[0], deleteForGood) {
		m.hidden = m.hidden[1:]
	}
}

// showAndTakeAway uploads a public photo: through any edge its writer sees it at once (rule "own"). Then it takes the
// photo away, and from the bound on no edge may show its page or its picture (rule "gone").
func (p *people) showAndTakeAway(ctx context.Context, m *member, edge string, draw *mathrand.Rand) {
	whole, as := context.WithoutCancel(ctx), m.browsers[0]
	shown, fresh := p.upload(whole, edge, as, rand.Text(), false)
	if shown == 0 {
		return
	}
	addresses := p.seeEverywhere(ctx, shown, fresh)
	way := [waysToHide]string{makePrivate, putIntoBin, deleteForGood}[draw.IntN(waysToHide)]
	if !p.takeAway(ctx, m, edge, shown, way) {
		p.failed(ctx, way, nil)
		return
	}
	acked := p.a.now()
	p.a.tally.withdrew(way)
	if way == makePrivate {
		m.hidden = append(m.hidden, shown)
	}
	for _, address := range append(addresses, schema.Photo(shown).Path()) {
		for _, one := range p.a.cfg.Edges {
			p.probes.Go(func() { p.watchGone(ctx, one, address, "a photo that its owner took away", acked) })
		}
	}
}

// upload uploads a photo. It returns its number, and the cookie with which its writer sees it; 0 if the outcome is not
// known.
func (p *people) upload(ctx context.Context, edge string, as person.Session, title string, private bool) (
	photo int64, fresh string,
) {
	sent, err := newFile(title, private)
	if err == nil {
		key := rand.Text() // one for all tries
		var answer *person.Answer
		answer, err = p.until(ctx, func(ctx context.Context) (*person.Answer, error) {
			return p.web.Upload(ctx, edge, as, key, sent)
		})
		if err == nil {
			photo, _ = strconv.ParseInt(path.Base(answer.Header.Get("Killr-Photo")), 10, 64)
			fresh = freshCookie(answer.Header)
		}
	}
	if photo == 0 {
		p.failed(ctx, "upload", err)
	} else {
		p.a.tally.uploaded()
	}
	return photo, fresh
}

// newFile makes a small picture with a title, unlike any other.
func newFile(title string, private bool) (person.File, error) {
	small := image.NewGray(image.Rect(0, 0, 24, 16))
	_, _ = rand.Read(small.Pix) // never fails
	var file bytes.Buffer
	err := jpeg.Encode(&file, small, nil)
	return person.File{Name: title + ".jpg", Data: file.Bytes(), Private: private}, err
}

// freshCookie returns the read-your-writes token of an answer, as a browser sends it.
func freshCookie(h http.Header) string {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.Name == wire.FreshCookie {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// seeEverywhere requests the page of a new photo through every edge, as its writer, and the picture that it shows. It
// returns the addresses of the pictures.
func (p *people) seeEverywhere(ctx context.Context, photo int64, fresh string) (addresses []string) {
	shown := schema.Photo(photo).Path()
	for _, edge := range p.a.cfg.Edges {
		begin := p.a.now()
		answer, err := p.web.Get(ctx, http.MethodGet, edge, shown, person.Session{Cookie: fresh})
		switch {
		case err != nil || answer.Status >= 500:
			continue
		case answer.Status != http.StatusOK:
			p.violated("own", edge+shown, answer, begin, "its writer does not see the photo that they have uploaded")
			continue
		}
		if len(addresses) == 0 {
			if found := pictures.Find(answer.Body); found != nil {
				addresses = []string{string(found)}
			}
		}
		for _, address := range addresses {
			if _, err := p.web.Get(ctx, http.MethodGet, edge, address, person.Session{}); err != nil {
				p.failed(ctx, "see the picture to take away", err)
			}
		}
	}
	return addresses
}

// takeAway makes a photo private, or deletes it, with or without its time in the bin.
func (p *people) takeAway(ctx context.Context, m *member, edge string, photo int64, way string) bool {
	whole := context.WithoutCancel(ctx) // what has begun is completed
	do := "bin"
	if way == makePrivate {
		do = "private"
	}
	id := strconv.FormatInt(photo, 10)
	form := url.Values{"do": {do}, "photos": {id}}
	done := p.end(whole, edge, schema.PrivatePhotos.Path(), m.browsers[0], form)
	return done && (way != deleteForGood || p.removeForGood(ctx, m, edge, id))
}

// checkHidden looks at the photos that only a member may see: their owner finds all of them (rule "lost"), and neither
// nobody nor another member does (rule "secret").
func (p *people) checkHidden(ctx context.Context, m *member, edge string) {
	other := p.members[(slices.Index(p.members, m)+1)%len(p.members)]
	for _, photo := range m.hidden {
		own := schema.OwnPhoto(photo).Path()
		begin := p.a.now()
		answer := p.get(ctx, m, edge, own, m.browsers[0])
		if answer != nil && answer.Status == http.StatusNotFound {
			p.violated("lost", edge+own, answer, begin, "%s does not find a photo that they have uploaded", m.name)
		}
		for _, path := range []string{
			own, schema.OwnPicture(photo, 320).Path(), schema.OwnOriginalPath(photo), schema.Photo(photo).Path(),
			schema.OriginalPath(photo),
		} {
			p.mustNotSee(ctx, m, nil, edge, path)
			if other != m {
				p.mustNotSee(ctx, m, other, edge, path)
			}
		}
	}
}

// mustNotSee requests what only a member may see as another one, or as nobody.
func (p *people) mustNotSee(ctx context.Context, m, as *member, edge, path string) {
	var session person.Session
	if as != nil {
		session.Cookie = *as.cookie.Load()
	}
	begin := p.a.now()
	answer := p.get(ctx, as, edge, path, session)
	if answer != nil && answer.Status == http.StatusOK {
		p.violated("secret", edge+path, answer, begin, "it shows to others what only %s may see", m.name)
	}
}
