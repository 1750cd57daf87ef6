package renderer

import (
	"context"
	"net/http"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// album shows photos in their owner's order; its positions are places in that order, not photo ids.
func (p *Pages) album(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	rows, err := p.store.Album(ctx, ref.ID(), after, before)
	if err != nil {
		return nil, err
	}
	if rows.Album == nil {
		return p.missing(&rows.Snapshot, wire.PageAge), nil
	}
	view := templates.AlbumPage{
		Site:        p.siteFor(ref),
		Self:        ref,
		Title:       rows.Album.Title,
		Description: rows.Album.Description,
		Owner:       person(rows.Album.Owner),
		Count:       int(rows.Album.PhotoCount),
		Photos:      p.cards(rows.Photos),
		Inside:      p.albumCards(rows.Inside),
		Cover:       p.card(rows.Cover),
	}
	if rows.Parent != nil {
		view.Parent = templates.AlbumCard{Album: page.Album(rows.Parent.ID), Title: rows.Parent.Title}
	}
	if rows.Previous > 0 {
		view.Earlier = ref.Before(rows.Previous)
	}
	if rows.Next > 0 {
		view.Later = ref.After(rows.Next)
	}
	d := shown(&rows.Snapshot, wire.PageAge, templates.Album(view))
	if beyond(ref, len(view.Photos)) {
		d.status = http.StatusNotFound
	}
	return d, nil
}
