package templates

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"flickrkillr/schema/page"
)

// OwnCard is a photo in a list of its owner's own.
type OwnCard struct {
	Card
	ID       int64
	Private  bool
	Unlisted bool      // private, and whoever has its link sees it
	Chosen   bool      // for what the buttons do
	Dated    time.Time // its month, in UTC, is the heading it stands under; zero: it has none
	Cover    bool      // it stands for the album that the page shows
	Guest    *Guest    // who has added it; nil: its owner
}

// Guest is somebody who has added a photo by a link.
type Guest struct {
	Name string // as they call themselves; may be empty
	Link int64  // the id of the link
}

// label says who has added a photo.
func (g *Guest) label() string {
	if name := clean(g.Name); name != "" {
		return "From " + name
	}
	return "From a guest"
}

// others is where what has come by the same link is listed.
func (g *Guest) others() string { return addedBy(g.Link) }

// addedBy is where the photos are listed that guests have added by a link.
func addedBy(link int64) string { return shortcut("link", strconv.FormatInt(link, 10)) }

func (p PrivatePage) ownFrame(title string) frame {
	f := p.frame(title)
	f.style, f.script = "organise.css", "organise.js"
	return f
}

// listFrame is that of a list of photos.
func (p PrivatePage) listFrame(title string) frame {
	f := p.ownFrame(title)
	f.kind = "listing"
	return f
}

// ownGrid is a justified grid of one's own photos, each with a box to choose it. The first one of each month has the
// month as a heading.
func ownGrid(cards []OwnCard) templ.Component {
	in := inGrid()
	return gridOf(len(cards), cardRoom(), func(b []byte, i int) []byte {
		c := &cards[i]
		b = append(c.Image.appendShape(append(b, `<li class="`...)), `">`...)
		if !c.Dated.IsZero() && (i == 0 || !sameMonth(cards[i-1].Dated, c.Dated)) {
			b = appendMonthOf(b, c.Dated)
		}
		b = strconv.AppendInt(append(b, `<input class="pick" type="checkbox" name="photos" value="`...), c.ID, 10)
		b = append(b, `" aria-label="Choose `...)
		b = escaped(append(b, titleOr(shorten(c.Title, maxCardTitle))...), len(b))
		if b = append(b, '"'); c.Chosen {
			b = append(b, " checked"...)
		}
		switch b = append(b, '>'); {
		case c.Unlisted:
			b = append(b, `<span class="badge">Unlisted</span>`...)
		case c.Private:
			b = append(b, `<span class="badge">Private</span>`...)
		case c.Cover:
			b = append(b, `<span class="badge">Cover</span>`...)
		}
		if c.Guest != nil {
			b = append(b, `<span class="badge"><bdi>`...)
			b = escaped(append(b, shorten(c.Guest.label(), maxGuestBadge)...), len(b))
			b = append(b, `</bdi></span>`...)
		}
		return c.append(b, in, i, false)
	})
}

// maxGuestBadge is how many characters of a guest's name are on a photo in a list.
const maxGuestBadge = 24

// idList writes ids with commas between them.
func idList(ids []int64) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(parts, ",")
}

// wasFields are the hidden fields with what the form of a photo has shown.
var wasFields = [...]string{"was-title", "was-description", "was-tags", "was-taken", "was-visibility", "was-licence",
	"was-download"}

// wasAlbumFields are those of the form of an album.
var wasAlbumFields = [...]string{"was-title", "was-description", "was-parent"}

// undoPath is where what was done to several photos is taken back.
func (p PrivatePage) undoPath() string {
	if p.UndoBy == "restore" {
		return page.PrivateBin.Path()
	}
	return page.PrivatePhotos.Path()
}

// before is the position of a list of albums or links.
func (p PrivatePage) before() int64 {
	before, _ := strconv.ParseInt(p.Form.Values["before"], 10, 64) // what is none is the first page
	return max(before, 0)
}

// other is the form's state for another form on its page, which has a key of its own.
func (f Form) other(suffix string) Form { return Form{Key: f.Key + suffix} }

// photo is what the form of a photo is about.
func (p PrivatePage) photo() OwnCard {
	for _, c := range p.Photos {
		return c
	}
	return OwnCard{}
}
