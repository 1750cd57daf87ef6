package renderer

import (
	"context"
	"fmt"
	"io"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

const sitemapType = "application/xml; charset=utf-8"

// neverKept is the age of what shows more users' rows than an answer can depend on: nobody may keep a copy, for nothing
// would tell that what it shows is private by now.
const neverKept = 0

// sitemap is the index or a part. Sitemaps hold absolute addresses only, so a site that does not know its own has none.
func (p *Pages) sitemap(ctx context.Context, ref page.Ref) (*draft, error) {
	if ref.ID() == 0 {
		return p.sitemapIndex(ctx, ref)
	}
	site := p.siteFor(ref)
	var part store.SitemapPart
	var err error
	var address func(store.SitemapRow) templates.SitemapEntry
	switch ref.Name() {
	case "photos":
		part, err = p.store.SitemapPhotos(ctx, ref.ID())
		address = func(r store.SitemapRow) templates.SitemapEntry {
			return templates.SitemapEntry{Ref: page.Photo(r.ID),
				Image: p.picture(r.Picture)}
		}
	case "users":
		part, err = p.store.SitemapUsers(ctx, ref.ID())
		address = func(r store.SitemapRow) templates.SitemapEntry {
			return templates.SitemapEntry{Ref: page.User(r.Name)}
		}
	case "albums":
		part, err = p.store.SitemapAlbums(ctx, ref.ID())
		address = func(r store.SitemapRow) templates.SitemapEntry {
			return templates.SitemapEntry{Ref: page.Album(r.ID)}
		}
	default:
		err = fmt.Errorf("%w: no sitemap of %s", wire.ErrBadRequest, ref.Name())
	}
	if err != nil {
		return nil, err
	}
	if len(part.Rows) == 0 || site.Base == "" {
		return p.missing(&part.Snapshot, wire.ListingAge), nil
	}
	entries := make([]templates.SitemapEntry, len(part.Rows))
	for i, r := range part.Rows {
		entries[i] = address(r)
	}
	return written(&part.Snapshot, neverKept, sitemapType,
		func(w io.Writer) error { return templates.WriteSitemap(w, site, entries) }), nil
}

func (p *Pages) sitemapIndex(ctx context.Context, ref page.Ref) (*draft, error) {
	index, err := p.store.SitemapIndex(ctx)
	if err != nil {
		return nil, err
	}
	site := p.siteFor(ref)
	if site.Base == "" {
		return p.missing(&index.Snapshot, wire.ListingAge), nil
	}
	var entries []templates.SitemapEntry
	for _, of := range [...]struct {
		name  string
		parts []store.SitemapPartRow
	}{{"photos", index.Photos}, {"users", index.Users}, {"albums", index.Albums}} {
		for _, part := range of.parts {
			entries = append(entries, templates.SitemapEntry{Ref: page.SitemapPart(of.name, part.N),
				Changed: part.Changed})
		}
	}
	return written(&index.Snapshot, wire.ListingAge, sitemapType, func(w io.Writer) error {
		return templates.WriteSitemapIndex(w, site, entries)
	}), nil
}
