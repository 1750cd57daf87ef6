package renderer

import (
	"context"
	"net/http"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (p *Pages) tag(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	rows, err := p.store.Tag(ctx, ref.Name(), before, after)
	if err != nil {
		return nil, err
	}
	view := templates.TagPage{Site: p.siteFor(ref), Self: ref, Photos: p.cards(rows.Photos)}
	if len(rows.Photos) > 0 && ref == ref.First() {
		if view.Related, err = p.store.RelatedTags(ctx, ref.Name()); err != nil {
			return nil, err
		}
	}
	view.Newer, view.Older = neighbours(ref, rows.Listing)
	d := shown(&rows.Snapshot, wire.ListingAge, templates.Tag(view))
	if len(view.Photos) == 0 { // a tag is there while a photo carries it
		d.status = http.StatusNotFound
	}
	return d, nil
}
