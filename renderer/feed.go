package renderer

import (
	"context"
	"fmt"
	"io"

	"github.com/a-h/templ"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

const atomType = "application/atom+xml; charset=utf-8"

func (p *Pages) feed(ctx context.Context, ref page.Ref) (*draft, error) {
	if ref.Of().Kind() != page.KindUser {
		return nil, fmt.Errorf("%w: no feed of a %s yet", wire.ErrBadRequest, ref.Of().Kind())
	}
	rows, err := p.store.Feed(ctx, ref.Name())
	if err != nil {
		return nil, err
	}
	if rows.User == nil {
		return p.missing(&rows.Snapshot, wire.PageAge), nil
	}
	feed := templates.Feed{Site: p.siteFor(ref), User: person(rows.User.Owner), Joined: rows.User.CreatedAt.UTC()}
	for _, e := range rows.Entries {
		feed.Entries = append(feed.Entries, templates.FeedEntry{Card: card(e.Card), Description: e.Description})
	}
	view := templ.ComponentFunc(func(_ context.Context, w io.Writer) error { return templates.WriteFeed(w, feed) })
	d := shown(&rows.Snapshot, wire.PageAge, view)
	d.contentType = atomType
	return d, nil
}
