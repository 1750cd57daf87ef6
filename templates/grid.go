package templates

import (
	"context"
	"io"

	"github.com/a-h/templ"
)

// eager is how many pictures at the head of a page are fetched at once; those of urgent, a phone's first row, before
// everything else. The rest wait until they are near the window.
const (
	eager  = 6
	urgent = 2
)

// cardRoom makes the memory in which the cards of a page are written, one after the other.
func cardRoom() []byte { return make([]byte, 0, 1024) }

// grid is a justified grid of photos. Before is how many pictures the page has already shown; byline puts the author
// under each title; room is a [cardRoom], which the grids of one page may share.
//
// It and covers are the views written by hand. A listing is 48 of these cards: as templ's generated code they took
// twice the time and the allocations that they took written by hand, and written by way of strings twice again, 80 us
// and 1,479 allocations for a user's page that now takes 33 us and 156. Whatever is not a number or a constant goes
// through templ's escaping, here as there.
func grid(cards []Card, before int, byline bool, room []byte) templ.Component {
	return gridOf(len(cards), room, inList(cards, inGrid(), before, byline))
}

// strip is a grid of one row of larger photos at the head of a page, with bylines.
func strip(cards []Card) templ.Component {
	return gridOf(len(cards), cardRoom(), inList(cards, inStrip(), 0, true))
}

// inList gives the item of a [gridOf] that is nothing but a photo.
func inList(cards []Card, in slot, before int, byline bool) func(b []byte, i int) []byte {
	return func(b []byte, i int) []byte {
		b = append(cards[i].Image.appendShape(append(b, `<li class="`...)), `">`...)
		return cards[i].append(b, in, before+i, byline)
	}
}

// monthly is a justified grid of a user's photos, newest first. The months flow on in one grid, so that a month of one
// photo leaves no hole: the first photo of each carries the month as a heading.
func monthly(cards []Card) templ.Component {
	in := inGrid()
	return gridOf(len(cards), cardRoom(), func(b []byte, i int) []byte {
		b = append(cards[i].Image.appendShape(append(b, `<li class="`...)), `">`...)
		return cards[i].append(appendMonth(b, cards, i), in, i, false)
	})
}

// gridOf is a justified grid of n items; item appends the i-th to b.
func gridOf(n int, room []byte, item func(b []byte, i int) []byte) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		b := append(room[:0], `<ul class="grid">`...)
		for i := range n {
			b = item(b, i)
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		_, err := io.WriteString(w, "</ul>")
		return err
	})
}

// append writes the link of one photo of a grid, and the end of its item. The link is named by its caption, so the
// picture itself has nothing to add.
func (c *Card) append(b []byte, in slot, at int, byline bool) []byte {
	b = append(b, `<a href="`...)
	b = escaped(c.Photo.AppendPath(b), len(b))
	b = append(b, `">`...)
	b = c.Image.append(b, in, at)
	b = append(b, `<span class="cap"><bdi>`...)
	b = escaped(append(b, titleOr(shorten(c.Title, maxCardTitle))...), len(b))
	b = append(b, `</bdi>`...)
	if byline {
		b = append(b, ` <small>by <bdi>`...)
		b = escaped(append(b, shorten(c.Author.Label(), maxCardTitle/2)...), len(b))
		b = append(b, `</bdi></small>`...)
	}
	return append(b, `</span></a></li>`...)
}

// append writes the picture that is the at-th of its page.
func (im Image) append(b []byte, in slot, at int) []byte {
	w, h := im.scaled(640)
	b = append(b, `<img src="`...)
	b = escaped(im.appendSrc(b, 640), len(b))
	b = append(b, `" srcset="`...)
	b = escaped(im.appendSrcset(b, widestInGrid), len(b))
	b = im.appendSizes(append(b, `" sizes="`...), in)
	b = appendInt(append(b, `" width="`...), w)
	b = appendInt(append(b, `" height="`...), h)
	b = append(b, `" alt="" decoding="async"`...)
	switch {
	case at < urgent:
		b = append(b, ` fetchpriority="high"`...)
	case at >= eager:
		b = append(b, ` loading="lazy"`...)
	}
	return append(b, '>')
}

// escaped escapes what b holds from an index on, as templ does. Hardly anything in a grid needs it, which is seen
// without a copy.
func escaped(b []byte, from int) []byte {
	for _, c := range b[from:] {
		switch c {
		case '&', '<', '>', '"', '\'':
			return append(b[:from], templ.EscapeString(string(b[from:]))...)
		}
	}
	return b
}

// covers is a list of albums, each by its cover.
func covers(albums []AlbumCard) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		b := append(cardRoom(), "<ul>"...)
		for i := range albums {
			b = albums[i].append(b)
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		_, err := io.WriteString(w, "</ul>")
		return err
	})
}

// append writes one album of a list.
func (a *AlbumCard) append(b []byte) []byte {
	b = append(b, `<li><a href="`...)
	b = escaped(a.Album.AppendPath(b), len(b))
	b = a.Cover.appendShape(append(b, `"><span class="cover `...))
	b = append(b, `">`...)
	if a.Cover.ID != "" {
		_, h := a.Cover.scaled(320)
		b = append(b, `<img src="`...)
		b = escaped(a.Cover.appendSrc(b, 320), len(b))
		b = appendInt(append(b, `" width="320" height="`...), h)
		b = append(b, `" alt="" loading="lazy" decoding="async">`...)
	}
	b = append(b, `</span> <bdi>`...)
	b = escaped(append(b, titleOr(shorten(a.Title, maxCardTitle))...), len(b))
	b = append(b, `</bdi> <small>`...)
	b = append(b, counted(a.Count, "photo")...)
	return append(b, `</small></a></li>`...)
}
