package renderer

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Bounds of a search among one's own photos.
const (
	maxOwnQuery = 200 // bytes
	maxOwnWords = 8
)

// ownQuery is what an address asks for of one's own photos.
type ownQuery struct {
	filters url.Values // as it was understood; what cannot be is left out
	search  store.OwnSearch

	place string // the field that says where the page begins; "": at the newest photo
	from  store.OwnPosition
	newer bool
}

// parseOwnQuery reads an address. Only somebody who writes addresses by hand makes mistakes in it, so what is none is
// left out: the page shows which filters are set.
func parseOwnQuery(values url.Values) ownQuery {
	q := ownQuery{filters: url.Values{}}
	for _, name := range page.OwnFilters() {
		text := clipped(norm.NFC.String(strings.Join(strings.Fields(values.Get(name)), " ")), maxOwnQuery)
		if text != "" && q.filter(name, text) {
			q.filters.Set(name, text)
		}
	}
	for _, name := range page.OwnPlaces() {
		text := values.Get(name)
		at, ok := parsePosition(text)
		if name == "taken" {
			at, ok = endOf(text)
		}
		if ok {
			q.place, q.from, q.newer = name, at, name == "after"
		}
	}
	return q
}

// filter sets a filter. It is false for a value that is none.
func (q *ownQuery) filter(name, text string) bool {
	s := &q.search
	day, dayErr := time.Parse(time.DateOnly, text)
	switch name {
	case "q":
		s.Words = strings.Fields(text)
		s.Words = s.Words[:min(len(s.Words), maxOwnWords)]
	case "camera":
		s.Camera = text
	case "lens":
		s.Lens = text
	case "tagged":
		s.Tag = page.CleanTag(text)
		return s.Tag != ""
	case "in", "link":
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id <= 0 {
			return false
		}
		if name == "link" {
			s.Link = id
		} else {
			s.Album = id
		}
	case "guests":
		s.Guests = true
	case "from":
		s.From = day
		return dayErr == nil
	case "to":
		if dayErr == nil {
			s.Until = day.AddDate(0, 0, 1)
		}
		return dayErr == nil
	case "untagged":
		s.Untagged = true
	case "loose":
		s.Loose = true
	case "visibility":
		private := text == "private"
		s.Private = &private
		return private || text == "public"
	}
	return true
}

// clipped cuts a text to at most so many bytes of whole characters, without what is not UTF-8.
func clipped(text string, most int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// endOf is the position behind the last photo of a month or a year, such as 2024-07 or 2024.
func endOf(text string) (store.OwnPosition, bool) {
	if at, err := time.Parse("2006-01", text); err == nil {
		return store.OwnPosition{At: at.AddDate(0, 1, 0)}, true
	}
	at, err := time.Parse("2006", text)
	return store.OwnPosition{At: at.AddDate(1, 0, 0)}, err == nil
}

// formatPosition writes a position for an address: microseconds since 1970, a point, the id of a photo; "" for none.
func formatPosition(p store.OwnPosition) string {
	if p.IsZero() {
		return ""
	}
	return strconv.FormatInt(p.At.UnixMicro(), 10) + "." + strconv.FormatInt(p.ID, 10)
}

// parsePosition is the inverse of formatPosition. A time that PostgreSQL cannot have is no position.
func parsePosition(text string) (store.OwnPosition, bool) {
	micros, id, ok := strings.Cut(text, ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	nr, err2 := strconv.ParseInt(id, 10, 64)
	p := store.OwnPosition{At: time.UnixMicro(at).UTC(), ID: nr}
	if year := p.At.Year(); !ok || err != nil || err2 != nil || nr < 0 || year < -4000 || year > 200_000 {
		return store.OwnPosition{}, false
	}
	return p, true
}

// addArchiveTo adds a page of one's own photos. A part of it, see wire.PartList, is the photos alone.
func (d *actionRun) addArchiveTo(ctx context.Context, p *templates.PrivatePage, v visit, notice string) error {
	values := url.Values{}
	for name, value := range p.Form.Values {
		values.Set(name, value)
	}
	if query, ok := p.Form.Values["list"]; ok { // a form that something is wrong with
		values, _ = url.ParseQuery(query)
	}
	q := parseOwnQuery(values)
	listing, err := fromRows(ctx, d, func(ctx context.Context) (store.OwnListing, error) {
		return d.store.OwnPhotos(ctx, v.user, q.search, q.from, q.newer)
	})
	if err != nil {
		return err
	}
	p.Photos = d.maker.ownCards(listing.Photos, p.Form.Values["photos"])
	p.List = templates.OwnList{Filters: q.filters, Place: q.place, At: values.Get(q.place),
		Older: formatPosition(listing.Older), Newer: formatPosition(listing.Newer),
		Part: values.Get(wire.FieldPart) == wire.PartList}
	err = errors.Join(d.addLinksTo(ctx, p, v), d.addGuestsTo(ctx, p, v))
	if err != nil || p.List.Part {
		return err
	}
	if undo, problem := form(p.Form.Values).photos("undo"); problem == nil {
		p.Undo, p.UndoBy, p.UndoTag = undo, map[string]string{wire.NoticeBinned: "restore", wire.NoticeHidden: "public",
			wire.NoticeShown: string(store.OwnUnshow), wire.NoticeTagged: string(store.OwnUntag),
			wire.NoticeUntagged: string(store.OwnTag)}[notice], p.Form.Values["undo-tag"]
	}
	return d.addDatesTo(ctx, p, v, q.search.Album)
}

// addDatesTo adds the months that have photos, and what photos can be searched by.
func (d *actionRun) addDatesTo(ctx context.Context, p *templates.PrivatePage, v visit, album int64) error {
	months, err := fromRows(ctx, d, func(ctx context.Context) ([]store.OwnMonth, error) {
		return d.store.OwnMonths(ctx, v.user)
	})
	if err != nil {
		return err
	}
	for _, m := range months {
		p.List.Months = append(p.List.Months, templates.Month(m))
	}
	choices, err := fromRows(ctx, d, func(ctx context.Context) (store.OwnChoices, error) {
		return d.store.OwnChoices(ctx, v.user, album)
	})
	if err != nil {
		return err
	}
	p.List.Cameras, p.List.Lenses = choices.Cameras, choices.Lenses
	for _, a := range choices.Albums {
		p.List.Albums = append(p.List.Albums, templates.AlbumChoice(a))
	}
	p.Tags, err = fromRows(ctx, d, func(ctx context.Context) ([]string, error) {
		return d.store.OwnTags(ctx, v.user)
	})
	return err
}
