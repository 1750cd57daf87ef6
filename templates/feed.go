package templates

import (
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"time"

	"flickrkillr/schema/page"
)

// Feed is the newest photos of a listing as an Atom feed (RFC 4287).
type Feed struct {
	Site    Site
	Of      page.Ref // the listing: home, a user, a tag or an album
	Title   string
	Author  Person    // of all entries; the zero Person when each has its own
	Since   time.Time // the feed's date while it has no entries
	Entries []FeedEntry
}

// FeedEntry is a photo in a feed; its Card's Posted is its date of publication.
type FeedEntry struct {
	Card
	Description string
	Licence     page.Licence
	Updated     time.Time // zero is Posted
}

func (e FeedEntry) updated() time.Time {
	if e.Updated.IsZero() {
		return e.Posted
	}
	return e.Updated
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Title   string      `xml:"title"`
	ID      string      `xml:"id"`
	Updated string      `xml:"updated"`
	Author  *atomPerson `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Icon    string      `xml:"icon,omitempty"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	Title     string      `xml:"title"`
	ID        string      `xml:"id"`
	Published string      `xml:"published"`
	Updated   string      `xml:"updated"`
	Author    *atomPerson `xml:"author"`
	Links     []atomLink  `xml:"link"`
	Rights    string      `xml:"rights"`
	Content   atomText    `xml:"content"`
}

type atomPerson struct {
	Name string `xml:"name"`
	URI  string `xml:"uri"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// WriteFeed writes f as XML. Addresses are absolute when the site knows its own and else begin with a slash, which a
// reader resolves against the address it fetched the feed from. Ids are tag URIs (RFC 4151), which stay what they are
// when a photo's address changes.
func WriteFeed(w io.Writer, f Feed) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write the feed of %s: %w", f.Of, err)
	}
	encoder := xml.NewEncoder(w)
	if err := encoder.Encode(f.atom()); err != nil {
		return fmt.Errorf("write the feed of %s: %w", f.Of, err)
	}
	return nil
}

func (f Feed) atom() atomFeed {
	updated := f.Since
	for _, e := range f.Entries {
		if e.updated().After(updated) {
			updated = e.updated()
		}
	}
	feed := atomFeed{
		Title:   clean(f.Title) + " · " + Name,
		ID:      f.Site.tagURI(f.Of),
		Updated: rfc3339(updated),
		Author:  f.Site.atomPerson(f.Author),
		Links: []atomLink{
			{"self", "application/atom+xml", f.Site.absolute(page.Feed(f.Of))},
			{"alternate", "text/html", f.Site.absolute(f.Of)},
		},
		Entries: make([]atomEntry, len(f.Entries)),
	}
	if f.Site.Assets != nil {
		feed.Icon = f.Site.Base + f.Site.Assets.Path("icon.svg")
	}
	for i, e := range f.Entries {
		feed.Entries[i] = atomEntry{
			Title:     titleOr(e.Title),
			ID:        f.Site.tagURI(e.Photo),
			Published: rfc3339(e.Posted),
			Updated:   rfc3339(e.updated()),
			Links:     []atomLink{{"alternate", "text/html", f.Site.absolute(e.Photo)}},
			Rights:    e.Licence.Name(),
			Content:   atomText{"html", f.Site.content(e)},
		}
		if license := e.Licence.URL(); license != "" { // RFC 4946
			feed.Entries[i].Links = append(feed.Entries[i].Links, atomLink{Rel: "license", Href: license})
		}
		if feed.Author == nil {
			feed.Entries[i].Author = f.Site.atomPerson(e.Author)
		}
	}
	return feed
}

// atomPerson is nil for the zero Person.
func (s Site) atomPerson(p Person) *atomPerson {
	if p == (Person{}) {
		return nil
	}
	return &atomPerson{p.Label(), s.absolute(page.User(p.Name))}
}

// content is the entry as HTML: the picture, linked to its page, and the description.
func (s Site) content(e FeedEntry) string {
	var b strings.Builder
	w, h := e.Image.scaled(640)
	fmt.Fprintf(&b, `<p><a href="%s"><img src="%s" width="%d" height="%d" alt="%s"></a></p>`,
		html.EscapeString(s.Base+e.Photo.Path()), html.EscapeString(s.Base+e.Image.src(640)), w, h,
		html.EscapeString(titleOr(e.Title)))
	for _, lines := range paragraphs(e.Description) {
		b.WriteString("<p>")
		for i, line := range lines {
			if i > 0 {
				b.WriteString("<br>")
			}
			for _, part := range line {
				text := html.EscapeString(part.text)
				if part.href != "" {
					text = `<a href="` + html.EscapeString(part.href) + `" rel="nofollow ugc noopener">` + text + "</a>"
				}
				b.WriteString(text)
			}
		}
		b.WriteString("</p>")
	}
	return b.String()
}

// tagURI is a name for r that outlives its address.
func (s Site) tagURI(r page.Ref) string {
	host := "flickrkillr.invalid" // a name nobody can own, for a site that does not know its own
	if u, err := url.Parse(s.Base); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	return "tag:" + host + ",2007:" + r.Path()
}

// rfc3339 is a date as Atom wants it; never the year 1, which some readers refuse.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}
