package renderer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/sharelink"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// maxShareName bounds what its owner calls a link, in characters.
const maxShareName = 60

// undoShare is for how long the revocation of a link can be taken back.
const undoShare = time.Hour

// shareDays are how long a link may last, in days; 0 is until it is revoked.
var shareDays = []int{0, 1, 7, 30, 365}

// makeShare makes a link to a photo or an album of one's own.
func makeShare(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	var share store.NewShare
	all := problems{}
	share.Photo, share.Album = a.form.place("photo"), a.form.place("album")
	if (share.Photo == 0) == (share.Album == 0) {
		return nil, wrong(formField, "Choose one photo or one album: open it among your own, and share it there")
	}
	name, problem := a.form.line("name", maxShareName)
	all.note(problem)
	if name != nil {
		share.Name = *name
	}
	if share.Adds = a.form["adds"] != ""; share.Adds && share.Album == 0 {
		all["adds"] = "needs an album: nobody adds photos to a photo"
	}
	days, err := strconv.Atoi(a.form["days"])
	if share.Days = days; a.form["days"] != "" && (err != nil || !slices.Contains(shareDays, days)) {
		all["days"] = "is none of those that are offered: choose one of them"
	}
	if a.form["password"] != "" {
		secret, problem := a.form.newPassword("")
		all.note(problem)
		if share.Password = secret; len(all) == 0 {
			share.Password = password.Hash(secret, a.context("share "+strconv.FormatInt(a.user, 10)))
		}
	}
	if err := all.asError(); err != nil {
		return nil, err
	}
	link := d.newLink()
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.MakeShare(ctx, a.key, a.user, share, link, wire.MaxShares)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, wrong(formField, "This is not here any more, or in your bin")
	case errors.Is(err, store.ErrTooMany):
		return nil, wrong(formField, "You have %d links. Revoke some of them", wire.MaxShares)
	case err != nil:
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// newLink is what is stored of a new link.
func (d *actionRun) newLink() store.ShareSecret {
	nonce := sharelink.NewNonce()
	hash := d.links.Share(nonce).Hash()
	return store.ShareSecret{Nonce: nonce[:], Hash: hash[:]}
}

// address is a link as its owner hands it on, at the address of the site by which they have come.
func (d *actionRun) address(nonce []byte, origin string) string {
	return cmp.Or(origin, d.maker.site.Base) + d.links.Share(sharelink.Nonce(nonce)).Path()
}

// endShare revokes a link of one's own.
func endShare(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id := a.form.place("end")
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.EndShare(ctx, a.key, a.user, id)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, wrong(formField, "There is no such link. Perhaps it was revoked before")
	}
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// restoreShare takes back that a link of one's own was revoked.
func restoreShare(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	id := a.form.place("back")
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.RestoreShare(ctx, a.key, a.user, id, undoShare, wire.MaxShares)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, wrong(formField, "The link cannot be brought back now: perhaps it has ended, or what it shows "+
			"is in your bin, or was hidden or shown since")
	case errors.Is(err, store.ErrTooMany):
		return nil, wrong(formField, "You have %d links. Revoke some of them", wire.MaxShares)
	case err != nil:
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// place reads an id or a position, which may be missing; what is none is 0.
func (f form) place(name string) int64 {
	id, err := strconv.ParseInt(f[name], 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// addSharesTo adds to a private page what it shows of one's own links: all, or those to a photo or an album.
func (d *actionRun) addSharesTo(ctx context.Context, p *templates.PrivatePage, v visit, notice string) error {
	if p.Kind != page.PrivateShares {
		return nil
	}
	f := form(p.Form.Values)
	if id := f.place("undo"); id != 0 && notice == wire.NoticeUnshared {
		ended, err := fromRows(ctx, d, func(ctx context.Context) (bool, error) {
			return d.store.EndedShare(ctx, v.user, id, undoShare)
		})
		if err != nil {
			return err
		}
		if ended {
			p.Undo, p.UndoBy = []int64{id}, "back"
		} else { // an address of before: the link may be back
			p.Form.Notice = ""
		}
	}
	err := d.addSharedTo(ctx, p, v)
	if errors.Is(err, store.ErrNotFound) { // it was deleted meanwhile
		delete(f, "photo")
		delete(f, "album")
		p.Form.Problems = map[string]string{templates.FormProblem: "This is not here any more, or in your bin"}
	} else if err != nil {
		return err
	}
	list, err := fromRows(ctx, d, func(ctx context.Context) (store.OwnShares, error) {
		return d.store.OwnShares(ctx, v.user, f.place("photo"), f.place("album"), f.place("before"))
	})
	if err != nil {
		return err
	}
	p.Older = list.Older
	for _, row := range list.Shares {
		p.Shares = append(p.Shares, d.shareCard(row, v.origin))
	}
	return nil
}

// addSharedTo adds what a new link is to show, if the page is about that. It returns store.ErrNotFound for what is none
// of one's own.
func (d *actionRun) addSharedTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	f := form(p.Form.Values)
	if photo := f.place("photo"); photo != 0 {
		row, err := fromRows(ctx, d, func(ctx context.Context) (*store.OwnPhoto, error) {
			return d.store.OwnPhoto(ctx, v.user, photo)
		})
		if err == nil {
			p.Photos, p.Shared = []templates.OwnCard{d.maker.ownCard(*row)}, row.Title
		}
		return err
	}
	album := f.place("album")
	if album == 0 {
		delete(f, "album")
		delete(f, "photo")
		return nil
	}
	title, err := fromRows(ctx, d, func(ctx context.Context) (string, error) {
		return d.store.OwnAlbumTitle(ctx, v.user, album)
	})
	p.Shared = title
	return err
}

// shareCard is a link as its owner sees it.
func (d *actionRun) shareCard(row store.OwnShare, origin string) templates.ShareCard {
	c := templates.ShareCard{ID: row.ID, Name: row.Name, Title: row.Title, Photo: row.Photo, Album: row.Album,
		Password: row.Password, Unlisted: row.Unlisted, Adds: row.Adds, Added: row.Added, Made: row.CreatedAt,
		Expired: row.Expired,
		Link:    d.address(row.Nonce, origin)}
	if row.ExpiresAt != nil {
		c.Expires = *row.ExpiresAt
	}
	if row.SeenAt != nil {
		c.Seen = *row.SeenAt
	}
	return c
}
