package renderer

import (
	"context"
	"net/http"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// users reads pages of users, however many, with one query.
func (p *Pages) users(ctx context.Context, refs []page.Ref) ([]*draft, error) {
	queries := make([]store.UserQuery, len(refs))
	for i, ref := range refs {
		queries[i].Name = ref.Name()
		queries[i].Before, queries[i].After = ref.Position()
	}
	pages, err := p.store.Users(ctx, queries)
	if err != nil {
		return nil, err
	}
	drafts := make([]*draft, len(refs))
	for i, ref := range refs {
		drafts[i] = p.user(ref, &pages[i])
	}
	return drafts, nil
}

func (p *Pages) user(ref page.Ref, rows *store.UserPage) *draft {
	if rows.User == nil {
		return p.missing(&rows.Snapshot, wire.PageAge)
	}
	view := templates.UserPage{
		Site:       p.siteFor(ref),
		Self:       ref,
		User:       person(rows.User.Owner),
		Bio:        rows.User.Bio,
		Joined:     rows.User.CreatedAt.UTC(),
		PhotoCount: int(rows.User.PhotoCount),
		Albums:     p.albumCards(rows.Covers),
		Photos:     p.cards(rows.Photos),
	}
	view.Newer, view.Older = neighbours(ref, rows.Listing)
	d := shown(&rows.Snapshot, wire.PageAge, templates.User(view))
	if beyond(ref, len(view.Photos)) {
		d.status = http.StatusNotFound
	}
	return d
}
