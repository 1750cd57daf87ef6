package renderer

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/a-h/templ"
	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Guests: whoever has a link to an album that lets people add photos. Every request about an upload of theirs reads the
// row of the link, so one that is revoked takes nothing from that moment on.

// guestLimits bound what is added by one link. Its owner can make further ones.
var guestLimits = store.GuestLimits{InAlbum: 10_000, Files: 1_000, Bytes: 5 << 30}

// Problems of guests, in whole sentences.
const (
	problemNoAdding   = "No photos can be added by this link any more."
	problemNoPassword = "Open the link and give its password first."
	problemFullAlbum  = "The album has as many photos as it may."
	problemManyToday  = "Enough was added by this link today. Try again tomorrow."
	problemNoRoom     = "The owner of the album has no room for it."
)

// guestVisitOf reads by which link an upload comes; nil: its owner sends it.
func guestVisitOf(m *nats.Msg) (*shareVisit, error) {
	if _, isGuest := m.Header[wire.HeaderShare]; !isGuest {
		return nil, nil
	}
	v, err := shareVisitOf(m)
	return &v, err
}

// ofGuest is a request about an upload by a guest: the link must let people add photos, and the upload be one by it. A
// chunk is only of one that has not ended: the end of a link has ended it, whatever is staged.
func ofGuest(v *shareVisit, u store.UploadID, verb string, run actionFunc) actionFunc {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		found, err := fromRows(ctx, d, func(ctx context.Context) (store.GuestUpload, error) {
			return d.store.GuestUpload(ctx, v.hash, u)
		})
		switch {
		case err != nil:
			return nil, guestError(err)
		case !d.granted(*v, found.Password):
			return nil, wrong(fileField, problemNoPassword)
		case found.Ended && verb == wire.UploadChunk:
			return nil, wire.ErrNotFound
		}
		return run(ctx, d)
	}
}

// createAsGuest begins an upload by a guest.
func createAsGuest(v *shareVisit, u store.UploadID, file wire.UploadFile) actionFunc {
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		share, err := d.shareOf(ctx, *v)
		if err == nil && share.User != u.User {
			err = store.ErrNotFound
		}
		if err == nil && !d.granted(*v, share.Password) {
			err = wrong(fileField, problemNoPassword)
		}
		if err != nil {
			return nil, guestError(err)
		}
		out, err := fromRows(ctx, d, func(ctx context.Context) (*store.Outcome, error) {
			return d.store.CreateGuestUpload(ctx, v.hash, guestName(file.Guest), u,
				store.UploadFile{Name: fileName(file.Name), Bytes: file.Bytes}, wire.MaxUpload, d.quota(), guestLimits)
		})
		if err != nil {
			return nil, guestError(err)
		}
		return d.begun(ctx, u, out)
	}
}

// guestError makes an error one for a guest, who learns nothing of the owner that is not needed. That of a link which
// is revoked is the same as that of one that never was.
func guestError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wrong(fileField, problemNoAdding)
	case errors.Is(err, store.ErrAlbumFull):
		return wrong(fileField, problemFullAlbum)
	case errors.Is(err, store.ErrGuestFiles), errors.Is(err, store.ErrGuestBytes),
		errors.Is(err, store.ErrTooManyUploads):
		return wrong(fileField, problemManyToday)
	case errors.Is(err, store.ErrTooManyBytes), errors.Is(err, store.ErrTooManyPhotos):
		return wrong(fileField, problemNoRoom)
	}
	return err
}

// guestName is what a guest is called: one line, at most wire.MaxGuest characters, of which each can be seen.
func guestName(typed string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.Join(strings.Fields(strings.ToValidUTF8(typed, "")), " "))
	letters := []rune(name)
	name = strings.TrimSpace(string(letters[:min(len(letters), wire.MaxGuest)]))
	if !wire.HasVisible(name) {
		return ""
	}
	return name
}

// mayAdd answers whether a visitor may add photos by a link, and to whom the uploads belong.
func (d *actionRun) mayAdd(share *store.Share, granted bool) (*outcome, error) {
	switch {
	case !share.Adds:
		return nil, wrong(fileField, problemNoAdding)
	case !granted:
		return nil, wrong(fileField, problemNoPassword)
	}
	return &outcome{owner: share.User}, nil
}

// addPage is the page where photos are added by a link.
func (d *actionRun) addPage(share *store.Share, asked wire.ShareRequest) (templ.Component, error) {
	if !share.Adds {
		return nil, wire.ErrNotFound
	}
	at := shareIn(d, share)
	view := templates.SharedAddPage{Site: d.maker.site, Share: at, Title: share.Title, Owner: person(share.Owner),
		HEIC: d.cfg.HEIC, Form: templates.Form{Key: asked.Key, Problems: asked.Problems,
			Values: map[string]string{"guest": guestName(asked.Guest)}}}
	for _, line := range asked.Uploads {
		shown := templates.UploadLine{Name: line.Name, Photo: line.Photo, Problem: line.Problem}
		if line.Photo != 0 {
			shown.Share = page.Share{Token: at.Token, Photo: line.Photo}
		}
		view.Uploads = append(view.Uploads, shown)
	}
	return templates.SharedAdd(view), nil
}

// letAdd says whether people may add photos by a link of one's own.
func letAdd(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id, adds := a.form.place("let"), true
	if id == 0 {
		id, adds = a.form.place("stop"), false
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.LetAdd(ctx, a.key, a.user, id, adds)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong(formField, "There is no such link to an album. Perhaps it was revoked before")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// addGuestsTo adds who has added the photos on a page.
func (d *actionRun) addGuestsTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	ids := make([]int64, len(p.Photos))
	for i, c := range p.Photos {
		ids[i] = c.ID
	}
	guests, err := fromRows(ctx, d, func(ctx context.Context) (map[int64]store.Guest, error) {
		return d.store.Guests(ctx, v.user, ids)
	})
	for i := range p.Photos {
		if g, ok := guests[p.Photos[i].ID]; ok {
			p.Photos[i].Guest = &templates.Guest{Name: g.Name, Link: g.Link}
		}
	}
	return err
}
