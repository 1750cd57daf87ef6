package renderer

import (
	"context"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (s *Service) photo(ctx context.Context, ref page.Ref) (*draft, error) {
	rows, err := s.store.Photo(ctx, ref.ID())
	if err != nil {
		return nil, err
	}
	p := rows.Photo
	if p == nil {
		return s.missing(&rows.Snapshot, wire.PageAge), nil
	}
	view := templates.PhotoPage{
		Site:        s.site,
		Photo:       ref,
		Title:       p.Title,
		Description: p.Description,
		Author:      person(p.Owner),
		Image:       picture(p.Picture),
		Posted:      p.PostedAt.UTC(),
		Faves:       int(p.Faves),
		Tags:        p.Tags,
		Camera: templates.Camera{
			Model: p.Camera.Model, Lens: p.Camera.Lens, Exposure: p.Camera.Exposure,
			Aperture: float64(p.Camera.Aperture), ISO: int(p.Camera.ISO), Focal: float64(p.Camera.FocalMM),
		},
		Previous: neighbour(p.Newer), // in reading order: the owner's page shows the newest first
		Next:     neighbour(p.Older),
	}
	if p.TakenAt != nil {
		view.Taken = p.TakenAt.UTC()
	}
	for _, a := range p.Albums {
		view.Albums = append(view.Albums, templates.AlbumCard{Album: page.Album(a.ID), Title: a.Title})
	}
	return shown(&rows.Snapshot, wire.PageAge, templates.Photo(view)), nil
}

func neighbour(n *store.Neighbour) page.Ref {
	if n == nil {
		return page.Ref{}
	}
	return page.Photo(n.ID)
}
