package renderer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"
	"github.com/cespare/xxhash/v2"

	"flickrkillr/renderer/picturekey"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Pages makes pages from rows. A Service sends them on the bus; a benchmark calls it without one. It is safe for
// concurrent use.
type Pages struct {
	store *store.Store
	site  templates.Site
	keys  *picturekey.Keys // nil until readKey, see OpenPages
	now   func() time.Time // Postgres' clock, as near as it is known
}

// OpenPages makes pages of site from rows, once it has read the site's key. now is the time that a page without rows
// says it was read at.
func OpenPages(
	ctx context.Context, rows *store.Store, site templates.Site, now func() time.Time,
) (*Pages, error) {
	key, err := rows.SiteKey(ctx)
	if err != nil {
		return nil, err
	}
	p := &Pages{store: rows, site: site, now: now}
	p.keys, err = picturekey.New(key)
	return p, err
}

// Files names the files in the picture store that pictures are made of, "" for one that is not shown. Refs may be any
// pages; what is no picture has no file.
func (p *Pages) Files(ctx context.Context, refs []page.Ref) ([]string, error) {
	files, err := p.files(ctx, refs)
	names := make([]string, len(files))
	for i := range files {
		names[i] = files[i].ImageID
	}
	return names, err
}

// files reads from rows what pictures are made of, without asking for what has no key of this site.
func (p *Pages) files(ctx context.Context, refs []page.Ref) ([]store.PictureFile, error) {
	queries, places := make([]store.PictureQuery, 0, len(refs)), make([]int, 0, len(refs))
	for i, ref := range refs {
		if photo, generation, ok := p.keys.Parse(ref.Name()); ok && ref.Kind() == page.KindImage {
			queries = append(queries, store.PictureQuery{Photo: photo, Generation: generation})
			places = append(places, i)
		}
	}
	found, err := p.store.PictureFiles(ctx, queries)
	if err != nil {
		return nil, err
	}
	files := make([]store.PictureFile, len(refs))
	for i, place := range places {
		files[place] = found[i]
	}
	return files, nil
}

// Make makes one page. The reply's body lies in buf, which is emptied before. What is not there is a reply that says
// so; an error means that nothing is known.
func (p *Pages) Make(ctx context.Context, ref page.Ref, buf *bytes.Buffer) (*wire.Reply, error) {
	drafts, err := p.draft(ctx, []page.Ref{ref})
	if err != nil {
		return nil, err
	}
	buf.Reset()
	return drafts[0].reply(ctx, buf)
}

// siteFor gives the site as visitors of a page reach it.
func (p *Pages) siteFor(ref page.Ref) templates.Site {
	site := p.site
	if origin := ref.Origin(); origin != "" {
		site.Base = origin
	}
	return site
}

const htmlType = "text/html; charset=utf-8"

// draft is a page that has been read and not yet rendered.
type draft struct {
	status      int    // 0 is 200
	contentType string // "" is HTML
	maxAge      time.Duration
	depends     []wire.Dep
	readAt      time.Time // by Postgres' clock
	source      string    // of the rows, see wire.HeaderSource
	view        templ.Component
}

// shown is a draft of what was found.
func shown(rows *store.Snapshot, maxAge time.Duration, view templ.Component) *draft {
	return &draft{maxAge: maxAge, depends: depends(rows.Depends), readAt: rows.ReadAt, view: view}
}

// draft reads what the pages of refs show, in the order of refs. They are either one, or all of a kind that is read
// several at once. A page that is not there is a draft that says so; an error means that nothing is known.
func (p *Pages) draft(ctx context.Context, refs []page.Ref) ([]*draft, error) {
	switch refs[0].Kind() {
	case page.KindUser:
		return p.users(ctx, refs)
	case page.KindPhoto:
		return p.photos(ctx, refs)
	}
	d, err := p.draftOne(ctx, refs[0])
	return []*draft{d}, err
}

// hasRows reports whether pages of this kind are made from rows.
func hasRows(kind page.Kind) bool {
	return kind != page.KindAbout && kind != page.KindError && kind != page.KindFile
}

func (p *Pages) draftOne(ctx context.Context, ref page.Ref) (*draft, error) {
	switch ref.Kind() {
	case page.KindHome:
		return p.home(ctx, ref)
	case page.KindExplore:
		return p.explore(ctx, ref)
	case page.KindAlbums:
		return p.albums(ctx, ref)
	case page.KindTag:
		return p.tag(ctx, ref)
	case page.KindTags:
		return p.tags(ctx, ref)
	case page.KindSearch:
		return p.search(ctx, ref)
	case page.KindAlbum:
		return p.album(ctx, ref)
	case page.KindFeed:
		return p.feed(ctx, ref)
	case page.KindFile:
		return p.file(ref)
	case page.KindSitemap:
		return p.sitemap(ctx, ref)
	case page.KindOEmbed:
		return p.oEmbed(ctx, ref)
	case page.KindAbout:
		return p.about(ref), nil
	case page.KindError:
		return p.errorPage(ref), nil
	}
	return nil, fmt.Errorf("%w: %s is no page", wire.ErrBadRequest, ref.Kind())
}

// reply renders a draft into buf, which must be empty and keeps the body.
func (d *draft) reply(ctx context.Context, buf *bytes.Buffer) (*wire.Reply, error) {
	if err := contained(func() error { return d.view.Render(ctx, buf) }); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return &wire.Reply{
		Status:      cmp.Or(d.status, http.StatusOK),
		ContentType: cmp.Or(d.contentType, htmlType),
		ETag:        etag(buf.Bytes()),
		MaxAge:      d.maxAge,
		ReadAt:      d.readAt,
		Depends:     d.depends,
		Body:        buf.Bytes(),
	}, nil
}

// etag names a body by its content: XXH64 in base 36. Whether two bodies of one page differ is all it has to tell, so
// 64 bits are plenty.
func etag(body []byte) string { return strconv.FormatUint(xxhash.Sum64(body), 36) }
