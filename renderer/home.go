package renderer

import (
	"context"
	"net/http"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (s *Service) home(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	rows, err := s.store.Home(ctx, before, after)
	if err != nil {
		return nil, err
	}
	view := templates.HomePage{Site: s.site, Self: ref, Popular: cards(rows.Popular), Recent: cards(rows.Photos)}
	view.Newer, view.Older = neighbours(ref, rows.Listing)
	d := shown(&rows.Snapshot, wire.ListingAge, templates.Home(view))
	if beyond(ref, len(view.Recent)) {
		d.status = http.StatusNotFound
	}
	return d, nil
}
