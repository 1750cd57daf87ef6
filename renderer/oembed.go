package renderer

import (
	"context"
	"io"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// oEmbed answers how another site shows a photo.
func (p *Pages) oEmbed(ctx context.Context, ref page.Ref) (*draft, error) {
	pages, err := p.store.Photos(ctx, []int64{ref.ID()})
	if err != nil {
		return nil, err
	}
	rows := &pages[0]
	if rows.Photo == nil {
		return p.missing(&rows.Snapshot, wire.PageAge), nil
	}
	contentType := "application/json"
	if ref.Format() == "xml" {
		contentType = "text/xml; charset=utf-8"
	}
	answer := templates.OEmbed{
		Site: p.siteFor(ref), Photo: page.Photo(ref.ID()), Title: rows.Photo.Title, Author: person(rows.Photo.Owner),
		Image:    p.picture(rows.Photo.Picture),
		Licence:  rows.Photo.Licence,
		CacheAge: int(wire.PageAge / time.Second),
	}
	answer.MaxWidth, answer.MaxHeight = ref.MaxSize()
	return written(&rows.Snapshot, wire.PageAge, contentType, func(w io.Writer) error {
		return templates.WriteOEmbed(w, answer, ref.Format())
	}), nil
}
