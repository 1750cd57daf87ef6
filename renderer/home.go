package renderer

import (
	"context"
	"net/http"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (p *Pages) home(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	rows, err := p.store.Home(ctx, before, after)
	if err != nil {
		return nil, err
	}
	view := templates.HomePage{Site: p.siteFor(ref), Self: ref, Popular: p.cards(rows.Popular),
		Recent: p.cards(rows.Photos)}
	view.Newer, view.Older = neighbours(ref, rows.Listing)
	d := shown(&rows.Snapshot, wire.ListingAge, templates.Home(view))
	if beyond(ref, len(view.Recent)) {
		d.status = http.StatusNotFound
	}
	return d, nil
}
