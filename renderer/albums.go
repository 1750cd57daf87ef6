package renderer

import (
	"context"
	"net/http"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// albums shows a user's albums; its positions are album ids.
func (p *Pages) albums(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	rows, err := p.store.Albums(ctx, ref.Name(), before, after)
	if err != nil {
		return nil, err
	}
	if rows.User == nil {
		return p.missing(&rows.Snapshot, wire.PageAge), nil
	}
	view := templates.AlbumsPage{Site: p.siteFor(ref), Self: ref, User: person(rows.User.Owner),
		Albums: p.albumCards(rows.Covers)}
	view.Newer, view.Older = neighbours(ref, store.Listing{Newer: rows.Newer, Older: rows.Older})
	d := shown(&rows.Snapshot, wire.PageAge, templates.Albums(view))
	if beyond(ref, len(view.Albums)) {
		d.status = http.StatusNotFound
	}
	return d, nil
}

func (p *Pages) albumCards(rows []store.Cover) []templates.AlbumCard {
	var all []templates.AlbumCard
	for _, c := range rows {
		all = append(all, templates.AlbumCard{Album: page.Album(c.ID), Title: c.Title, Count: int(c.PhotoCount),
			Cover: p.picture(c.Picture)})
	}
	return all
}
