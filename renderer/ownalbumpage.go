package renderer

import (
	"context"
	"strconv"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// addAlbumsTo adds to a private page what it shows of one's own albums. The form of an album gets what is written about
// it, unless something is wrong with what was typed there.
func (d *actionRun) addAlbumsTo(ctx context.Context, p *templates.PrivatePage, v visit) (err error) {
	f := &p.Form
	switch p.Kind {
	case page.PrivateAlbums:
		albums, older, err := d.ownAlbums(ctx, v, form(f.Values))
		if err != nil {
			return err
		}
		p.Albums, p.Older = d.maker.ownAlbumCards(albums), older
	case page.PrivateAlbum:
		row, err := d.ownAlbum(ctx, v, form(f.Values))
		if err != nil {
			return err
		}
		d.maker.showOwnAlbum(p, row)
		if row.Link != nil {
			p.Album.Link = d.address(row.Link, v.origin)
		}
		if err := d.addLinksTo(ctx, p, v); err != nil {
			return err
		}
	case page.PrivatePhotos, page.PrivateUpload:
	default:
		return nil
	}
	p.HEIC = d.cfg.HEIC
	p.AlbumNames, err = fromRows(ctx, d, func(ctx context.Context) ([]string, error) {
		outer := p.Kind == page.PrivateAlbums || p.Kind == page.PrivateAlbum
		return d.store.OwnAlbumNames(ctx, v.user, outer)
	})
	return err
}

func (d *actionRun) ownAlbums(ctx context.Context, v visit, f form) (albums []store.OwnAlbum, older int64, err error) {
	albums, err = fromRows(ctx, d, func(ctx context.Context) ([]store.OwnAlbum, error) {
		albums, older, err = d.store.OwnAlbums(ctx, v.user, f.position("before"))
		return albums, err
	})
	return albums, older, err
}

func (d *actionRun) ownAlbum(ctx context.Context, v visit, f form) (*store.OwnAlbumPage, error) {
	id, problem := f.id()
	if problem != nil {
		return nil, problem
	}
	return fromRows(ctx, d, func(ctx context.Context) (*store.OwnAlbumPage, error) {
		return d.store.OwnAlbum(ctx, v.user, id, f.position("after"), f.position("before"))
	})
}

// position reads a position in a list; 0, which is that of the first page, for what is none.
func (f form) position(name string) int64 {
	position, err := strconv.ParseInt(f[name], 10, 64)
	if err != nil {
		return 0
	}
	return max(position, 0)
}

func (p *Pages) showOwnAlbum(view *templates.PrivatePage, row *store.OwnAlbumPage) {
	view.Album = templates.OwnAlbum{ID: row.ID, Title: row.Title, Parent: row.Parent, Total: int(row.Total),
		Place: int(row.Place), Previous: row.Previous, Next: row.Next, HasCover: row.CoverPhoto != 0,
		Inside: p.coverCards(row.Inside)}
	f := &view.Form
	f.Values["visibility"] = visibilityOf(row.Private, row.Link != nil)
	view.Photos = p.ownCards(row.Photos, f.Values["photos"])
	for i := range view.Photos {
		view.Photos[i].Cover = view.Photos[i].ID == row.CoverPhoto
	}
	if f.Values["do"] != "save" || len(f.Problems) == 0 {
		f.Values["title"], f.Values["description"] = row.Title, row.Description
		f.Values["parent"] = row.Parent
		for _, name := range albumFields() {
			f.Values[wasPrefix+name] = f.Values[name]
		}
	}
}

func (p *Pages) ownAlbumCards(rows []store.OwnAlbum) []templates.OwnAlbumCard {
	cards := make([]templates.OwnAlbumCard, len(rows))
	for i, row := range rows {
		cards[i] = p.coverCards([]store.Cover{row.Cover})[0]
		cards[i].Inside, cards[i].Private = p.coverCards(row.Inside), row.Private
	}
	return cards
}

func (p *Pages) coverCards(rows []store.Cover) []templates.OwnAlbumCard {
	cards := make([]templates.OwnAlbumCard, len(rows))
	for i, row := range rows {
		cards[i] = templates.OwnAlbumCard{ID: row.ID, Title: row.Title, Count: int(row.PhotoCount),
			Cover: p.picture(row.Picture)}
	}
	return cards
}

// albumEntry is an album in JSON for programs.
type albumEntry struct {
	ID     int64        `json:"id"`
	Title  string       `json:"title"`
	Public int64        `json:"public_photos"`
	Albums []albumEntry `json:"albums,omitempty"` // those in it
}

func albumEntries(rows []store.Cover) []albumEntry {
	all := make([]albumEntry, len(rows))
	for i, row := range rows {
		all[i] = albumEntry{ID: row.ID, Title: row.Title, Public: row.PhotoCount}
	}
	return all
}

// albumsAsJSON answers a program that asks for one's own albums, or for one of them.
func (d *actionRun) albumsAsJSON(ctx context.Context, kind page.Private, v visit, asked wire.PrivateRequest) (
	*outcome, error,
) {
	f := form{}
	for name := range asked.Values {
		f[name] = asked.Values.Get(name)
	}
	if kind == page.PrivateAlbums {
		rows, older, err := d.ownAlbums(ctx, v, f)
		if err != nil {
			return nil, err
		}
		albums := make([]albumEntry, len(rows))
		for i, row := range rows {
			albums[i] = albumEntries([]store.Cover{row.Cover})[0]
			albums[i].Albums = albumEntries(row.Inside)
		}
		return &outcome{view: asJSON(struct {
			Albums []albumEntry `json:"albums"`
			Older  int64        `json:"older,omitempty"` // the value of before for the next page
		}{albums, older})}, nil
	}
	row, err := d.ownAlbum(ctx, v, f)
	if err != nil {
		return nil, err
	}
	photos := make([]int64, len(row.Photos))
	for i, p := range row.Photos {
		photos[i] = p.ID
	}
	return &outcome{view: asJSON(struct {
		ID          int64        `json:"id"`
		Title       string       `json:"title"`
		Description string       `json:"description"`
		Parent      string       `json:"parent,omitempty"`
		Visibility  string       `json:"visibility"`
		Cover       int64        `json:"cover,omitempty"` // the photo that was chosen
		Total       int64        `json:"photos_in_all"`
		Place       int64        `json:"place"`           // of the first of these photos
		Photos      []int64      `json:"photos"`          // a page of them, in their order
		After       int64        `json:"after,omitempty"` // the value of after for the next page
		Albums      []albumEntry `json:"albums"`
	}{row.ID, row.Title, row.Description, row.Parent, visibilityOf(row.Private, row.Link != nil), row.CoverPhoto,
		row.Total, row.Place, photos, row.Next, albumEntries(row.Inside)})}, nil
}
