package renderer

import (
	"context"
	"fmt"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// search shows what a query finds; having found nothing is an answer, not a missing page. Results are only ever read on towards older
// ones: the way back is the first page.
func (p *Pages) search(ctx context.Context, ref page.Ref) (*draft, error) {
	before, after := ref.Position()
	if after != 0 {
		return nil, fmt.Errorf("%w: searches have no page after a photo", wire.ErrBadRequest)
	}
	rows, err := p.store.Search(ctx, ref.Name(), before)
	if err != nil {
		return nil, err
	}
	view := templates.SearchPage{Site: p.siteFor(ref), Self: ref, Photos: cards(rows.Photos)}
	for _, u := range rows.People {
		view.People = append(view.People, templates.PersonCount{Person: person(u.Owner), Photos: int(u.PhotoCount)})
	}
	for _, tag := range rows.Tags {
		view.Tags = append(view.Tags, templates.TagCount{Tag: tag})
	}
	if ref != ref.First() {
		view.Newer = ref.First()
	}
	_, view.Older = neighbours(ref, rows.Listing)
	return shown(&rows.Snapshot, wire.ListingAge, templates.Search(view)), nil
}
