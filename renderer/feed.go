package renderer

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/a-h/templ"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

const atomType = "application/atom+xml; charset=utf-8"

// feed is as old as the listing that it tells of may be.
func (p *Pages) feed(ctx context.Context, ref page.Ref) (*draft, error) {
	of := ref.Of()
	age := wire.PageAge
	var rows store.FeedPage
	var err error
	switch of.Kind() {
	case page.KindHome:
		age = wire.ListingAge
		rows, err = p.store.HomeFeed(ctx)
	case page.KindTag:
		age = wire.ListingAge
		rows, err = p.store.TagFeed(ctx, of.Name())
	case page.KindUser:
		rows, err = p.store.Feed(ctx, of.Name())
	case page.KindAlbum:
		rows, err = p.store.AlbumFeed(ctx, of.ID())
	default:
		err = fmt.Errorf("%w: no feed of %s", wire.ErrBadRequest, of)
	}
	if err != nil {
		return nil, err
	}
	feed := templates.Feed{Site: p.siteFor(ref), Of: of, Title: "Newest photos"}
	switch {
	case rows.User != nil:
		feed.Author, feed.Since = person(rows.User.Owner), rows.User.CreatedAt.UTC()
		feed.Title = feed.Author.Label()
	case rows.Album != nil:
		feed.Author, feed.Since = person(rows.Album.Owner), rows.Album.CreatedAt.UTC()
		feed.Title = rows.Album.Title
	case of.Kind() == page.KindTag && len(rows.Entries) > 0: // a tag is there while a photo carries it
		feed.Title = of.Name()
	case of.Kind() != page.KindHome:
		return p.missing(&rows.Snapshot, age), nil
	}
	for _, e := range rows.Entries {
		feed.Entries = append(feed.Entries, templates.FeedEntry{Card: p.card(e.Card), Description: e.Description,
			Licence: e.Licence})
	}
	return written(&rows.Snapshot, age, atomType, func(w io.Writer) error { return templates.WriteFeed(w, feed) }), nil
}

// written is a draft that is no HTML.
func written(rows *store.Snapshot, maxAge time.Duration, contentType string, write func(io.Writer) error) *draft {
	d := shown(rows, maxAge, templ.ComponentFunc(func(_ context.Context, w io.Writer) error { return write(w) }))
	d.contentType = contentType
	return d
}
