package audit

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"

	"flickrkillr/ops/lab/person"
	schema "flickrkillr/schema/page"
)

// addAsGuest adds a photo to the album of a link, as a visitor who has it. By the link it is seen through every edge,
// as all that the link shows. To its owner it is one of the photos that only they may see.
func (p *people) addAsGuest(ctx context.Context, m *member, edge string, l *shareLink) {
	file, err := newFile(rand.Text(), false)
	if err != nil {
		p.failed(ctx, "add by a link", err)
		return
	}
	p.secrets.add(&secret{text: file.Name, what: "the name of a file that was added by a link", owner: m})
	file.To = l.FilesPath()
	key := rand.Text() // one for all tries
	answer, err := p.until(context.WithoutCancel(ctx), func(ctx context.Context) (*person.Answer, error) {
		return p.web.Upload(ctx, edge, l.as, key, file)
	})
	if err != nil {
		p.failed(ctx, "add by a link", err)
		return
	}
	number, _ := strings.CutPrefix(answer.Header.Get("Killr-Photo"), l.Path()+"/")
	photo, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		p.failed(ctx, "add by a link", err)
		return
	}
	p.a.tally.added()
	m.hidden = append(m.hidden, photo)
	for _, one := range p.a.cfg.Edges {
		for _, path := range []string{schema.Photo(photo).Path(), schema.OriginalPath(photo)} {
			p.mustNotSee(ctx, m, nil, one, path)
		}
	}
	added := *l
	added.photo = photo
	p.seeByLink(ctx, m, &added)
}

// askAdd tries to add a photo by a link that was revoked.
func (p *people) askAdd(ctx context.Context, edge string, l *shareLink, acked moment) {
	file, err := newFile(rand.Text(), false)
	if err != nil {
		return
	}
	file.To = l.FilesPath()
	begin := p.a.now()
	answer, err := p.web.Upload(ctx, edge, l.as, rand.Text(), file)
	switch {
	case err != nil || answer.Status >= 500 || answer.Status == http.StatusTooManyRequests:
	case answer.Status < 300:
		p.violated("closed", edge+file.To, answer, begin, "a link takes a file %v after it was revoked", begin-acked)
	default:
		p.a.tally.refusedLink()
	}
}
