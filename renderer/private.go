package renderer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/a-h/templ"
	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// privateEndpoints lists the pages that are made for one person. They are never batched, shared or kept.
func privateEndpoints(workers, files, archives *pool) []*endpoint {
	var all []*endpoint
	for _, kind := range page.Privates() {
		pool := workers
		switch kind {
		case page.PrivatePicture:
			pool = files
		case page.PrivatePhotos, page.PrivateBin:
			pool = archives
		}
		all = append(all, &endpoint{
			name: "private-" + kind.String(), subjects: []string{kind.Subject()}, pool: pool,
			parse: func(m *nats.Msg) (parsed, error) {
				visit, err := visitOf(m, kind.NeedsSession())
				if err != nil {
					return parsed{}, err
				}
				asked, err := wire.DecodePrivateRequest(m.Data)
				if err != nil {
					return parsed{}, err
				}
				if kind == page.PrivatePicture {
					return ownPicture(visit, asked)
				}
				return parsed{limit: wire.PageDeadline, action: &action{
					run: func(ctx context.Context, d *actionRun) (*outcome, error) {
						return d.privatePage(ctx, kind, visit, asked)
					},
				}}, nil
			},
		})
	}
	return all
}

// notices are what a page says about what has just happened.
var notices = map[string]string{
	wire.NoticeToken:          "The token is ended.",
	wire.NoticeNoSession:      "There is no such session. Perhaps it had ended before.",
	wire.NoticePassword:       "Your password is changed. All other browsers are signed out.",
	wire.NoticeRecovered:      "Your password is set. All other browsers are signed out.",
	wire.NoticeEnded:          "That browser is signed out.",
	wire.NoticePasskeyAdded:   "The passkey is added. It signs you in from now on.",
	wire.NoticePasskeyRenamed: "The passkey is renamed.",
	wire.NoticePasskeyRemoved: "The passkey is removed here. Your device may still offer it: remove it there, too.",
	wire.NoticeMailLink:       "A link is on its way, if there is such an account and it has an address.",
	wire.NoticeEmailSent:      "A link is on its way to that address. Open it to confirm the address.",
	wire.NoticeEmailRemoved:   "Your address is removed.",
	wire.NoticeConfirmed:      "Your address is confirmed.",
	wire.NoticeSaved:          "The photo is saved. Only you can see it.",
	wire.NoticeUnlisted:       "The photo is saved. Whoever has its link sees it.",
	wire.NoticeChanged:        "The photos are changed.",
	wire.NoticeHidden:         "Only you can see these photos now.",
	wire.NoticeShown:          "Everybody can see these photos now.",
	wire.NoticeTagged:         "The photos have the tag now.",
	wire.NoticeUntagged:       "The photos do not have the tag any more.",
	wire.NoticeBinned:         "What you deleted is in the bin for 30 days.",
	wire.NoticeRestored:       "The photos are back.",
	wire.NoticeRemoved:        "The photos are deleted for good.",
	wire.NoticeAdded:          "The photos are in the album.",
	wire.NoticeTaken:          "The photos are out of the album. They are still here.",
	wire.NoticeMoved:          "The order is changed.",
	wire.NoticeCover:          "The cover is changed.",
	wire.NoticeAlbumShown:     "Who sees the album is saved.",
	wire.NoticeAlbumSaved:     "The album is saved.",
	wire.NoticeAlbumDeleted:   "The album is deleted. Its photos are still here.",
	wire.NoticeShared:         "The link is made. Whoever has it sees what it leads to.",
	wire.NoticeUnshared:       "The link is revoked. It shows nothing any more.",
	wire.NoticeReshared:       "The link is back. It shows what it did before.",
	wire.NoticeLetAdd:         "People with the link can add photos.",
	wire.NoticeStopAdd:        "Nobody can add photos by the link any more.",
	wire.NoticeTakeout:        "Your zip file is being prepared. It appears below.",
	wire.NoticeCookies:        "Your browser sent two session cookies, so neither of them counts. Sign in again.",
}

func (d *actionRun) privatePage(
	ctx context.Context, kind page.Private, v visit, asked wire.PrivateRequest,
) (*outcome, error) {
	if kind == page.PrivateReceipt {
		receipt, err := d.receipt(ctx, asked.Receipt)
		if err != nil {
			return nil, err
		}
		if asked.JSON {
			return &outcome{view: asJSON(receipt)}, nil
		}
		return &outcome{view: templates.ReceiptPage(d.maker.site, receipt)}, nil
	}
	if kind == page.PrivatePhotoReceipt {
		return d.photoReceipt(ctx, v, asked)
	}
	if asked.JSON && kind == page.PrivateBin {
		return d.binAsJSON(ctx, v, asked)
	}
	if asked.JSON && (kind == page.PrivateAlbums || kind == page.PrivateAlbum) {
		return d.albumsAsJSON(ctx, kind, v, asked)
	}
	if asked.JSON && kind == page.PrivatePhoto {
		return d.photoAsJSON(ctx, v, asked)
	}
	if asked.JSON {
		account, err := d.accountOf(ctx, v.user)
		if err != nil {
			return nil, err
		}
		return &outcome{view: asJSON(struct {
			Name        string `json:"name"`
			DisplayName string `json:"display_name"`
			Bio         string `json:"bio"`
			Licence     string `json:"licence"` // of new photos
			Download    bool   `json:"download"`
		}{account.Name, account.DisplayName, account.Bio, string(account.Rights.Licence),
			account.Rights.Downloadable})}, nil
	}
	f := templates.Form{Key: asked.Key, Next: asked.Next, Notice: notices[asked.Notice], Values: map[string]string{}}
	for name := range asked.Values {
		f.Values[name] = asked.Values.Get(name)
	}
	f.Problems = asked.Problems
	if asked.Wait > 0 {
		f.Problems = map[string]string{templates.FormProblem: tooManyAttempts(asked.Wait)}
	}
	view, err := d.privateView(ctx, kind, v, f, asked)
	return &outcome{view: view}, err
}

// tooManyAttempts says when a form may be sent again.
func tooManyAttempts(wait time.Duration) string {
	return fmt.Sprintf("There were too many attempts. Try again in %d seconds",
		int(wait.Round(time.Second)/time.Second)+1)
}

// privateView makes the view of a private page. For the profile's form without values it takes those of the user.
func (d *actionRun) privateView(
	ctx context.Context, kind page.Private, v visit, f templates.Form, asked wire.PrivateRequest,
) (templ.Component, error) {
	p := templates.PrivatePage{Site: d.maker.site, Kind: kind, Form: f}
	if kind.NeedsSession() {
		account, err := d.accountOf(ctx, v.user)
		if err != nil {
			return nil, err
		}
		p.Person = templates.Person{Name: account.Name, Display: account.DisplayName}
		p.Codes = account.Codes
		if kind == page.PrivateProfile && len(f.Problems) == 0 {
			f.Values["display"], f.Values["bio"] = account.DisplayName, account.Bio
			form(f.Values).showRights(account.Rights)
		}
	}
	if err := errors.Join(d.addPasskeysTo(ctx, &p, v), d.addMailTo(ctx, &p, v),
		d.addPhotosTo(ctx, &p, v, asked.Notice), d.addAlbumsTo(ctx, &p, v), d.addSharesTo(ctx, &p, v, asked.Notice),
		d.addTakeoutsTo(ctx, &p, v)); err != nil {
		return nil, err
	}
	for _, session := range asked.Sessions {
		p.Sessions = append(p.Sessions, templates.SessionCard(session))
	}
	for _, token := range asked.Tokens {
		p.Tokens = append(p.Tokens, templates.TokenCard(token))
	}
	for _, line := range asked.Uploads {
		p.Uploads = append(p.Uploads, templates.UploadLine{Name: line.Name, Photo: line.Photo,
			Duplicate: line.Duplicate, Problem: line.Problem})
	}
	if asked.Made != nil {
		p.Made = templates.MadeToken(*asked.Made)
	}
	if kind == page.PrivateDelete {
		has, err := fromRows(ctx, d, func(ctx context.Context) (store.Holdings, error) {
			return d.store.Holdings(ctx, v.user)
		})
		if err != nil {
			return nil, err
		}
		p.Has, p.HasMore = templates.Holdings(has), has.Photos == store.HoldingsMost
		if f.Values["sessions"] == "" {
			f.Values["sessions"] = strconv.Itoa(len(asked.Sessions))
			f.Values["tokens"] = strconv.Itoa(len(asked.Tokens))
		}
	}
	return templates.Private(p), nil
}
