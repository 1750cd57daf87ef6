package renderer

import (
	"context"
	"net/http"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (p *Pages) explore(ctx context.Context, ref page.Ref) (*draft, error) {
	var rows store.ExplorePage
	var err error
	day, ofDay := ref.Day()
	if ofDay {
		rows, err = p.store.ExploreDay(ctx, day)
	} else {
		rows, err = p.store.Explore(ctx)
	}
	if err != nil {
		return nil, err
	}
	d := shown(&rows.Snapshot, wire.ListingAge, templates.Explore(templates.ExplorePage{
		Site: p.siteFor(ref), Self: ref, Photos: p.cards(rows.Photos), Days: rows.Days, Earlier: rows.Earlier,
		Later: rows.Later,
	}))
	if ofDay && len(rows.Photos) == 0 {
		d.status = http.StatusNotFound
	}
	return d, nil
}
