package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// The kinds of links, as reports name them.
const (
	toPhoto      = "to a private photo"
	toUnlisted   = "to an unlisted photo"
	toAlbum      = "to a private album"
	kindsOfLinks = 3
)

const sharedWidth = 320

// shareLink is a link to something of a member, and what its visitors send to open it.
type shareLink struct {
	schema.Share
	kind  string
	end   string         // the value of the form that revokes it
	photo int64          // that it shows
	as    person.Session // of a visitor who has given its password
}

// linksOf finds the tokens of links, endsOf what the forms send that revoke them. A list of links has the newest first.
var (
	linksOf = regexp.MustCompile(schema.PathShares + `([a-z2-7]{` + strconv.Itoa(schema.ShareTokenSize) + `})"`)
	endsOf  = regexp.MustCompile(`name="end" value="(\d+)"`)
)

// share has a member make a link to what only they may see. Visitors open it through every edge: rule "link". Then the
// member revokes it, and from the answer on no edge may show anything by it: rule "closed".
func (p *people) share(ctx context.Context, m *member, draw *mathrand.Rand) {
	if len(m.hidden) == 0 {
		return
	}
	whole := context.WithoutCancel(ctx) // what has begun is completed
	photo := m.hidden[draw.IntN(len(m.hidden))]
	kind := [kindsOfLinks]string{toPhoto, toUnlisted, toAlbum}[draw.IntN(kindsOfLinks)]
	password := ""
	if kind != toUnlisted && draw.IntN(2) == 0 {
		password = rand.Text()
		p.secrets.add(&secret{text: password, what: "the password of a link"})
	}
	l := p.makeLink(whole, m, p.edge(draw), kind, photo, password)
	if l == nil {
		p.failed(ctx, "make a link "+kind, nil)
		return
	}
	p.a.tally.linked(kind)
	if password != "" && !p.openLink(whole, m, p.edge(draw), l, password) {
		p.failed(ctx, "open a link", nil)
	} else {
		p.seeByLink(ctx, m, l)
		if kind == toAlbum {
			p.addAsGuest(ctx, m, p.edge(draw), l)
		}
	}
	p.revokeLink(ctx, m, p.edge(draw), l)
}

// makeLink makes a link to a photo of a member or to their private album, into which it puts the photo. nil: the
// outcome is not known.
func (p *people) makeLink(
	ctx context.Context, m *member, edge, kind string, photo int64, password string,
) *shareLink {
	of := url.Values{"photo": {strconv.FormatInt(photo, 10)}}
	if kind == toAlbum {
		if !p.fillAlbum(ctx, m, edge, photo) {
			return nil
		}
		of = url.Values{"album": {strconv.FormatInt(m.album, 10)}}
	}
	list, as := schema.PrivateShares.Path()+"?"+of.Encode(), m.browsers[0]
	made := false
	if kind == toUnlisted {
		form := url.Values{"do": {"unlisted"}, "photos": of["photo"]}
		made = p.end(ctx, edge, schema.PrivatePhotos.Path(), as, form)
	} else {
		form := url.Values{"photo": of["photo"], "album": of["album"]}
		if kind == toAlbum {
			form.Set("adds", "1")
		}
		if password != "" {
			form.Set("password", password)
		}
		made = p.end(ctx, edge, schema.PrivateShares.Path(), as, form)
	}
	if !made {
		return nil
	}
	answer, err := p.until(ctx, func(ctx context.Context) (*person.Answer, error) {
		return p.web.Get(ctx, http.MethodGet, edge, list, as)
	})
	if err != nil {
		return nil
	}
	token, end := linksOf.FindSubmatch(answer.Body), endsOf.FindSubmatch(answer.Body)
	if token == nil || end == nil {
		return nil
	}
	l := &shareLink{Share: schema.Share{Token: string(token[1])}, kind: kind, end: string(end[1]), photo: photo}
	p.secrets.add(&secret{text: l.Token, what: "the token of a link", owner: m})
	return l
}

// fillAlbum puts a photo into the private album of a member, which it makes first if they have none.
func (p *people) fillAlbum(ctx context.Context, m *member, edge string, photo int64) bool {
	albums, as := schema.PrivateAlbums.Path(), m.browsers[0]
	if m.album == 0 {
		title := rand.Text()
		p.secrets.add(&secret{text: title, what: "the title of a private album", owner: m})
		form := url.Values{"do": {"make"}, "title": {title}, "visibility": {"private"}}
		answer, err := p.post(ctx, edge, albums, as, form)
		if err != nil {
			return false
		}
		made, _ := strings.CutPrefix(answer.Header.Get("Location"), albums+"/")
		if m.album, err = strconv.ParseInt(made, 10, 64); err != nil {
			return false
		}
		m.albumTitle = title
	}
	form := url.Values{"do": {"add"}, "album": {m.albumTitle}, "photos": {strconv.FormatInt(photo, 10)}}
	return p.end(ctx, edge, albums, as, form)
}

// openLink gives the password of a link. Before that the link shows nothing: rule "secret".
func (p *people) openLink(ctx context.Context, m *member, edge string, l *shareLink, password string) bool {
	for _, path := range l.paths() {
		begin := p.a.now()
		answer := p.get(ctx, m, edge, path, person.Session{})
		if answer != nil && l.shownBy(path, answer) {
			p.violated("secret", edge+path, answer, begin, "a link shows what it leads to without its password")
		}
	}
	answer, err := p.post(ctx, edge, l.Path(), person.Session{}, url.Values{"password": {password}})
	if err != nil || answer.Status != http.StatusSeeOther {
		return false
	}
	for _, c := range (&http.Response{Header: answer.Header}).Cookies() {
		if strings.HasSuffix(c.Name, "share") {
			l.as.Cookie = c.Name + "=" + c.Value
			p.secrets.add(&secret{text: c.Value, what: "the proof of a link's password", owner: m})
		}
	}
	return l.as.Cookie != ""
}

// paths are where visitors find what a link shows: its page, that of the photo, and the photo's picture.
func (l *shareLink) paths() []string {
	photo := schema.Share{Token: l.Token, Photo: l.photo}
	picture := photo
	picture.Width = sharedWidth
	return []string{l.Path(), photo.Path(), picture.Path()}
}

// shownBy reports whether an answer shows the photo of a link. Each page of it names the photo, or its picture.
func (l *shareLink) shownBy(path string, answer *person.Answer) bool {
	photo := schema.Share{Token: l.Token, Photo: l.photo}.Path()
	return answer.Status == http.StatusOK &&
		(strings.HasSuffix(path, ".jpg") || strings.Contains(string(answer.Body), photo))
}

// seeByLink opens a link through every edge, as a visitor. It passes no cache. Others find nothing of it.
func (p *people) seeByLink(ctx context.Context, m *member, l *shareLink) {
	other := p.members[(slices.Index(p.members, m)+1)%len(p.members)]
	for _, edge := range p.a.cfg.Edges {
		for _, path := range l.paths() {
			begin := p.a.now()
			answer := p.get(ctx, m, edge, path, l.as)
			if answer == nil || answer.Status >= 500 || answer.Status == http.StatusTooManyRequests {
				continue
			}
			from := cmp.Or(answer.Header.Get("X-Cache"), "none")
			switch {
			case !l.shownBy(path, answer):
				p.violated("link", edge+path, answer, begin, "a link shows nothing: it leads %s of %s", l.kind, m.name)
			case from != "none" && from != "render":
				p.violated("secret", edge+path, answer, begin, "what a link shows is in a cache: %s", from)
			default:
				p.a.tally.sawByLink()
			}
		}
		if other != m {
			p.get(ctx, other, edge, schema.PrivateShares.Path(), person.Session{Cookie: *other.cookie.Load()})
		}
		if l.kind == toAlbum {
			p.mustNotSee(ctx, m, nil, edge, schema.Album(m.album).Path())
		}
	}
}

// revokeLink revokes a link, and asks every edge for it at once, and once more when the bound is over. The row of a
// link is read for each request, so there is no time in which it may still count.
func (p *people) revokeLink(ctx context.Context, m *member, edge string, l *shareLink) {
	whole := context.WithoutCancel(ctx) // what has begun is completed
	form := url.Values{"end": {l.end}}
	done := p.end(whole, edge, schema.PrivateShares.Path(), m.browsers[0], form)
	acked := p.a.now()
	if !done { // whether it counts is unknown: no further link leads there
		m.hidden = slices.DeleteFunc(m.hidden, func(photo int64) bool { return photo == l.photo })
		m.album = 0
		p.failed(ctx, "revoke a link", nil)
		return
	}
	p.a.tally.unlinked()
	for _, one := range p.a.cfg.Edges {
		if l.kind == toAlbum {
			p.probes.Go(func() { p.askAdd(ctx, one, l, acked) })
		}
		for _, path := range l.paths() {
			p.probes.Go(func() {
				p.askRevoked(ctx, m, one, path, l, acked)
				if sleep.For(ctx, acked+p.a.cfg.Bound+probeAfter-p.a.now()) {
					p.askRevoked(ctx, m, one, path, l, acked)
				}
			})
		}
	}
}

// askRevoked requests what a link showed before it was revoked.
func (p *people) askRevoked(ctx context.Context, m *member, edge, path string, l *shareLink, acked moment) {
	begin := p.a.now()
	answer := p.get(ctx, m, edge, path, l.as)
	switch {
	case answer == nil || answer.Status >= 500 || answer.Status == http.StatusTooManyRequests:
	case answer.Status == http.StatusOK:
		p.violated("closed", edge+path, answer, begin, "a link %s counts %v after it was revoked", l.kind, begin-acked)
	default:
		p.a.tally.refusedLink()
	}
}
