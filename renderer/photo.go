package renderer

import (
	"context"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// photos reads pages of photos, however many, with one query.
func (p *Pages) photos(ctx context.Context, refs []page.Ref) ([]*draft, error) {
	ids := make([]int64, len(refs))
	for i, ref := range refs {
		ids[i] = ref.ID()
	}
	pages, err := p.store.Photos(ctx, ids)
	if err != nil {
		return nil, err
	}
	drafts := make([]*draft, len(refs))
	for i, ref := range refs {
		drafts[i] = p.photo(ref, &pages[i])
	}
	return drafts, nil
}

func (p *Pages) photo(ref page.Ref, rows *store.PhotoPage) *draft {
	row := rows.Photo
	if row == nil {
		return p.missing(&rows.Snapshot, wire.PageAge)
	}
	view := templates.PhotoPage{
		Site:        p.siteFor(ref),
		Photo:       ref,
		Title:       row.Title,
		Description: row.Description,
		Author:      person(row.Owner),
		Image:       p.picture(row.Picture),
		Posted:      row.PostedAt.UTC(),
		Faves:       int(row.Faves),
		Tags:        row.Tags,
		Camera:      camera(row.Camera),
		Licence:     row.Licence,
		Original:    row.Downloadable,
		Previous:    neighbour(row.Newer), // in reading order: the owner's page shows the newest first
		Next:        neighbour(row.Older),
	}
	if row.TakenAt != nil {
		view.Taken = row.TakenAt.UTC()
	}
	for _, a := range row.Albums {
		view.Albums = append(view.Albums, templates.AlbumCard{Album: page.Album(a.ID), Title: a.Title})
	}
	return shown(&rows.Snapshot, wire.PageAge, templates.Photo(view))
}

func neighbour(n *store.Neighbour) page.Ref {
	if n == nil {
		return page.Ref{}
	}
	return page.Photo(n.ID)
}

func camera(c store.Camera) templates.Camera {
	return templates.Camera{Model: c.Model, Lens: c.Lens, Exposure: c.Exposure, Aperture: float64(c.Aperture),
		ISO: int(c.ISO), Focal: float64(c.FocalMM)}
}
