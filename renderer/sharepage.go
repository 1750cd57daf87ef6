package renderer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/a-h/templ"
	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/sharelink"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// What whoever has a link sees. Each page and picture is made for one visitor and kept nowhere. Every statement reads
// the link's row, so what is asked for after it is revoked finds nothing.

const (
	// shareWorkers make pages of shares, apart from other pages: many visitors of one link keep nobody else waiting.
	shareWorkers = 2
	// shareQueue lets two hundred people open a link at the same moment, and as many others other links.
	shareQueue = 400
	// sharePerLink is how many of them may be visitors of one link.
	sharePerLink = shareQueue / 2

	// shareFileWorkers read stored pictures for visitors of links, apart from those of owners.
	shareFileWorkers = 2
	// shareFileQueue lets ten people open a page of 48 such pictures at the same moment.
	shareFileQueue = 10 * 48
	// shareFilesPerLink is how many of these pictures one link may show, and shareImagesPerLink how many of those that
	// are not stored, which everybody's wait for, too.
	shareFilesPerLink  = shareFileQueue / 2
	shareImagesPerLink = 48
)

// shareVisit is a visit of a link.
type shareVisit struct {
	link   string   // the page.Share.ID
	hash   []byte   // of its token
	grants []string // for one with a password: what the browser has, of which one may count
}

// shareVisitOf reads by which link a visitor comes.
func shareVisitOf(m *nats.Msg) (v shareVisit, err error) {
	link := m.Header.Get(wire.HeaderShare)
	hash, ok := page.ParseShareID(link)
	if !ok {
		return v, wrong(wire.HeaderShare, "is not the id of a link: give 52 characters of base32")
	}
	return shareVisit{link, hash, m.Header[wire.HeaderGrant]}, nil
}

// shareEndpoints lists the endpoints of shares.
func shareEndpoints(pages, passwords, files *pool) []*endpoint {
	return []*endpoint{
		{name: "share-page", subjects: []string{wire.SubjectSharePage}, pool: pages,
			parse: func(m *nats.Msg) (parsed, error) {
				v, asked, err := shareRequestOf(m)
				return parsed{limit: wire.PageDeadline, action: &action{dropped: true, link: v.link,
					run: func(ctx context.Context, d *actionRun) (*outcome, error) {
						return d.sharePage(ctx, v, asked)
					},
				}}, err
			}},
		{name: "share-picture", subjects: []string{wire.SubjectSharePicture}, pool: files,
			parse: func(m *nats.Msg) (parsed, error) {
				v, asked, err := shareRequestOf(m)
				if err != nil {
					return parsed{}, err
				}
				request, err := privatePicture(asked.Width, func(ctx context.Context, d *actionRun) (string, error) {
					return d.sharedImage(ctx, v, asked.Photo)
				})
				if err == nil {
					request.action.link = v.link
				}
				return request, err
			}},
		{name: "share-open", subjects: []string{wire.ActionSubject(wire.ActionShareOpen)}, pool: passwords,
			parse: func(m *nats.Msg) (parsed, error) {
				key, err := keyOf(m)
				if err != nil {
					return parsed{}, err
				}
				v, err := shareVisitOf(m)
				if err != nil {
					return parsed{}, err
				}
				form, err := parseForm(wire.ActionShareOpen, m.Data, "password", "add")
				return parsed{limit: wire.ActionDeadline, action: &action{
					run: func(ctx context.Context, d *actionRun) (*outcome, error) {
						return d.openShare(ctx, v, key, form)
					},
				}}, err
			}},
	}
}

func shareRequestOf(m *nats.Msg) (v shareVisit, asked wire.ShareRequest, err error) {
	if v, err = shareVisitOf(m); err != nil {
		return v, asked, err
	}
	asked, err = wire.DecodeShareRequest(m.Data)
	return v, asked, err
}

// granted reports whether a visitor may see what a link with a password shows, which is "" if it has none.
func (d *actionRun) granted(v shareVisit, password string) bool {
	return password == "" || slices.ContainsFunc(v.grants, func(grant string) bool {
		return d.links.Granted(grant, v.hash, password)
	})
}

func (d *actionRun) shareOf(ctx context.Context, v shareVisit) (*store.Share, error) {
	return fromRows(ctx, d, func(ctx context.Context) (*store.Share, error) { return d.store.Share(ctx, v.hash) })
}

// sharePage answers with what a link shows, or with the form that asks for its password.
func (d *actionRun) sharePage(ctx context.Context, v shareVisit, asked wire.ShareRequest) (*outcome, error) {
	share, err := d.shareOf(ctx, v)
	if err != nil {
		return nil, err
	}
	granted := d.granted(v, share.Password)
	switch {
	case asked.Exists && asked.Add:
		return d.mayAdd(share, granted)
	case asked.Exists:
		return &outcome{}, nil
	}
	if !granted || asked.Wait > 0 {
		f := templates.Form{Key: asked.Key, Next: nextOf(d, share, asked.Add), Problems: map[string]string{}}
		if asked.Wait > 0 {
			f.Problems[templates.FormProblem] = tooManyAttempts(asked.Wait)
		}
		return &outcome{view: d.passwordOf(share, f)}, nil
	}
	var view templ.Component
	switch photo := cmp.Or(asked.Photo, share.Photo); {
	case asked.Add:
		view, err = d.addPage(share, asked)
	case photo != 0:
		view, err = d.sharedPhoto(ctx, v, share, photo)
	default:
		view, err = d.sharedAlbum(ctx, v, share, asked)
	}
	if err != nil {
		return nil, err
	}
	return &outcome{view: view, then: func() { d.noteSeen(share) }}, nil
}

// noteSeen notes that a link is used. It need not succeed.
func (d *actionRun) noteSeen(share *store.Share) {
	if !share.Unseen {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.ReadTimeout)
	defer cancel()
	if err := d.store.ShareSeen(ctx, share.ID); err != nil {
		d.log.Warn("the use of a link is not noted", "err", err)
	}
}

func shareIn(d *actionRun, share *store.Share) page.Share {
	return d.links.Share(sharelink.Nonce(share.Nonce))
}

// nextOf is where the form that asks for the password leads: to where photos are added, or "", the usual page.
func nextOf(d *actionRun, share *store.Share, add bool) string {
	if !add || !share.Adds {
		return ""
	}
	return shareIn(d, share).AddPage().Path()
}

func (d *actionRun) passwordOf(share *store.Share, f templates.Form) templ.Component {
	return templates.SharePassword(templates.SharePasswordPage{Site: d.maker.site, Share: shareIn(d, share), Form: f})
}

func (d *actionRun) sharedPhoto(
	ctx context.Context, v shareVisit, share *store.Share, id int64,
) (templ.Component, error) {
	row, err := fromRows(ctx, d, func(ctx context.Context) (*store.SharedPhoto, error) {
		return d.store.SharedPhoto(ctx, v.hash, id)
	})
	if err != nil {
		return nil, err
	}
	at := shareIn(d, share)
	view := templates.SharedPhotoPage{
		Share: at, Album: share.Title, IsAlbum: share.Album != 0, Previous: row.Previous, Next: row.Next,
		PhotoPage: templates.PhotoPage{
			Site: d.maker.site, Photo: page.Photo(row.ID), Title: row.Title, Description: row.Description,
			Author: person(row.Owner), Image: d.maker.sharedImage(row.Card, row.Private, at),
			Posted: row.PostedAt.UTC(), Camera: camera(row.Camera),
		},
	}
	if row.TakenAt != nil {
		view.Taken = row.TakenAt.UTC()
	}
	return templates.SharedPhoto(view), nil
}

func (d *actionRun) sharedAlbum(
	ctx context.Context, v shareVisit, share *store.Share, asked wire.ShareRequest,
) (templ.Component, error) {
	rows, err := fromRows(ctx, d, func(ctx context.Context) (store.SharedAlbum, error) {
		return d.store.SharedAlbum(ctx, v.hash, asked.After, asked.Before)
	})
	if err != nil {
		return nil, err
	}
	at := shareIn(d, share)
	view := templates.SharedAlbumPage{Site: d.maker.site, Share: at, Title: share.Title,
		Description: share.Description, Owner: person(share.Owner), Earlier: rows.Previous, Later: rows.Next,
		Adds: share.Adds}
	for _, row := range rows.Photos {
		card := d.maker.card(row.Card)
		card.Image = d.maker.sharedImage(row.Card, row.Private, at)
		card.Share = page.Share{Token: at.Token, Photo: row.ID}
		view.Photos = append(view.Photos, card)
	}
	return templates.SharedAlbum(view), nil
}

// sharedImage is the picture of a photo that a link shows. Whatever everybody may see has the picture of everybody,
// which caches keep.
func (p *Pages) sharedImage(c store.Card, private bool, at page.Share) templates.Image {
	image := p.picture(c.Picture)
	if private {
		image.Own, image.Share = c.ID, at.Token
	}
	return image
}

// sharedImage reads which file shows a photo to a visitor of a link.
func (d *actionRun) sharedImage(ctx context.Context, v shareVisit, photo int64) (string, error) {
	picture, err := fromRows(ctx, d, func(ctx context.Context) (*store.SharedPicture, error) {
		return d.store.SharedPicture(ctx, v.hash, photo)
	})
	if err != nil {
		return "", err
	}
	if !d.granted(v, picture.Password) {
		return "", fmt.Errorf("%w: the picture of a link whose password was not given", wire.ErrNotFound)
	}
	return picture.ImageID, nil
}

// openShare checks the password of a link. A wrong one is answered by the form.
func (d *actionRun) openShare(ctx context.Context, v shareVisit, key string, f form) (*outcome, error) {
	share, err := d.shareOf(ctx, v)
	if err != nil {
		return nil, err
	}
	if share.Password == "" {
		return &outcome{}, nil
	}
	typed, problem := f.typedPassword("password")
	ok := false
	if problem == nil {
		if ok, err = password.Verify(share.Password, typed); err != nil {
			return nil, fmt.Errorf("the password of link %d: %w", share.ID, err)
		}
		problem = wrong("password", "is wrong: ask whoever has given you the link")
	}
	if !ok {
		all := problems{problem.Field: problem.Problem}
		return &outcome{refused: all, view: d.passwordOf(share, templates.Form{Key: key,
			Next: nextOf(d, share, f["add"] != ""), Problems: all})}, nil
	}
	if _, err := d.shareOf(ctx, v); errors.Is(err, store.ErrNotFound) { // it was revoked while the password was hashed
		return nil, err
	}
	return &outcome{grant: d.links.Grant(v.hash, share.Password)}, nil
}
