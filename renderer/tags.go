package renderer

import (
	"context"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

func (p *Pages) tags(ctx context.Context, ref page.Ref) (*draft, error) {
	rows, err := p.store.Tags(ctx)
	if err != nil {
		return nil, err
	}
	view := templates.TagsPage{Site: p.siteFor(ref)}
	for _, t := range rows.Tags {
		view.Tags = append(view.Tags, templates.TagCount{Tag: t.Name, Photos: int(t.Photos)})
	}
	return shown(&rows.Snapshot, wire.ListingAge, templates.Tags(view)), nil
}
