package renderer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/templates"
)

// addPhotosTo adds to a private page what it shows of one's own photos. A form without problems gets the values of the
// photo; with problems it keeps what was typed.
func (d *actionRun) addPhotosTo(ctx context.Context, p *templates.PrivatePage, v visit, notice string) (err error) {
	f := &p.Form
	switch p.Kind {
	case page.PrivatePhoto:
		id, problem := form(f.Values).id()
		if problem != nil {
			return problem
		}
		row, err := fromRows(ctx, d, func(ctx context.Context) (*store.OwnPhoto, error) {
			return d.store.OwnPhoto(ctx, v.user, id)
		})
		if err != nil {
			return err
		}
		p.Photos = []templates.OwnCard{d.maker.ownCard(*row)}
		if err := errors.Join(d.addLinksTo(ctx, p, v), d.addGuestsTo(ctx, p, v)); err != nil {
			return err
		}
		if len(f.Problems) == 0 {
			f.Values["title"], f.Values["description"] = row.Title, row.Description
			f.Values["tags"] = strings.Join(row.Tags, ", ")
			f.Values["visibility"] = "public"
			switch {
			case p.Photos[0].Unlisted:
				f.Values["visibility"] = "unlisted"
			case row.Private:
				f.Values["visibility"] = "private"
			}
			if row.TakenAt != nil {
				f.Values["taken"] = row.TakenAt.UTC().Format("2006-01-02")
			}
			form(f.Values).showRights(row.Rights)
			for _, name := range ownFields() {
				f.Values[wasPrefix+name] = f.Values[name]
			}
		}
	case page.PrivatePhotos:
		return d.addArchiveTo(ctx, p, v, notice)
	case page.PrivateBin:
		return d.addBinTo(ctx, p, v)
	}
	if p.Kind == page.PrivatePhoto {
		p.Tags, err = fromRows(ctx, d, func(ctx context.Context) ([]string, error) {
			return d.store.OwnTags(ctx, v.user)
		})
	}
	return err
}

// addBinTo adds a page of the bin.
func (d *actionRun) addBinTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	before, _ := parsePosition(p.Form.Values["before"]) // what is none is the first page
	bin, err := fromRows(ctx, d, func(ctx context.Context) (store.BinListing, error) {
		return d.store.OwnBin(ctx, v.user, before)
	})
	if err != nil {
		return err
	}
	p.Photos = d.maker.ownCards(bin.Photos, p.Form.Values["photos"])
	p.Bin = templates.Bin{Count: bin.Count, More: bin.Count == store.BinMost, Paged: !before.IsZero(),
		Older: formatPosition(bin.Older)}
	if !bin.Newest.IsZero() {
		p.Bin.Seen = strconv.FormatInt(bin.Newest.UnixMicro(), 10)
	}
	return d.addReceiptsTo(ctx, p, v)
}

// addLinksTo adds which of the photos on a page are unlisted, and the link of one that is there alone.
func (d *actionRun) addLinksTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	var private []int64
	for _, c := range p.Photos {
		if c.Private {
			private = append(private, c.ID)
		}
	}
	nonces, err := fromRows(ctx, d, func(ctx context.Context) (map[int64][]byte, error) {
		return d.store.Unlisted(ctx, v.user, private)
	})
	for i := range p.Photos {
		c := &p.Photos[i]
		if nonce, ok := nonces[c.ID]; ok {
			c.Unlisted, p.Link = true, d.address(nonce, v.origin)
		}
	}
	return err
}

// ownCards are photos of a list, of which some are chosen.
func (p *Pages) ownCards(rows []store.OwnPhoto, chosen string) []templates.OwnCard {
	ids, _ := form{"photos": chosen}.photos("photos")
	cards := make([]templates.OwnCard, len(rows))
	for i, row := range rows {
		cards[i] = p.ownCard(row)
		_, cards[i].Chosen = slices.BinarySearch(ids, row.ID)
	}
	return cards
}

// ownWidest is the width, in pixels, of the picture that a photo in the bin leads to.
const ownWidest = 1280

// ownCard is a photo as its owner sees it. Whatever everybody may see has the picture of everybody, which caches keep.
func (p *Pages) ownCard(row store.OwnPhoto) templates.OwnCard {
	c := templates.OwnCard{Card: p.card(row.Card), ID: row.ID, Private: row.Private, Dated: row.Dated}
	c.To = page.OwnPhoto(row.ID)
	if row.Private || !row.Binned.IsZero() {
		c.Image.Own = row.ID
	}
	if !row.Binned.IsZero() {
		c.To = page.OwnPicture(row.ID, page.StoredWidth(ownWidest, int(row.Width)))
	}
	return c
}
