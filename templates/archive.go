package templates

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"flickrkillr/schema/page"
)

// OwnList is what a page of one's own photos is: which photos, and from where on.
type OwnList struct {
	Filters url.Values // those that are set, see page.OwnFilters
	Place   string     // the field that says where the page begins, see page.OwnPlaces; "": at the newest photo
	At      string     // its value

	Older, Newer string // positions at which it goes on; "": there are none
	Part         bool   // the photos alone, which a script adds to a page

	Months          []Month // all that have photos, the newest first
	Cameras, Lenses []string
	Albums          []AlbumChoice
}

// Month is how many photos there are of a month.
type Month struct {
	First  time.Time // its first day, in UTC
	Photos int
}

// AlbumChoice is an album by which photos can be searched.
type AlbumChoice struct {
	ID    int64
	Title string
}

// with is the query of the list from another place on.
func (l OwnList) with(place, at string) string {
	query := url.Values{}
	maps.Copy(query, l.Filters)
	if place != "" {
		query.Set(place, at)
	}
	return query.Encode()
}

// here is the query of the page.
func (l OwnList) here() string { return l.with(l.Place, l.At) }

// path is where the list is from a place on.
func (l OwnList) path(place, at string) string { return archivePath(l.with(place, at)) }

// without is where the list is without a filter.
func (l OwnList) without(filter string) string {
	l.Filters = maps.Clone(l.Filters)
	l.Filters.Del(filter)
	return l.path(l.Place, l.At)
}

func archivePath(query string) string {
	if query == "" {
		return page.PrivatePhotos.Path()
	}
	return page.PrivatePhotos.Path() + "?" + query
}

// archiveFrame is that of the list of all photos.
func (p PrivatePage) archiveFrame() frame {
	f := p.listFrame("Your photos")
	f.style += " archive.css"
	f.script += " archive.js"
	return f
}

// shortcuts are the lists that have links of their own: each is one filter.
var shortcuts = [...]struct{ filter, value, label string }{
	{"", "", "All"}, {"untagged", "1", "Untagged"}, {"loose", "1", "In no album"}, {"visibility", "private", "Private"},
	{"guests", "1", "From guests"},
}

// is reports whether the list has one filter and no other; "" is none.
func (l OwnList) is(filter, value string) bool {
	if filter == "" {
		return len(l.Filters) == 0
	}
	return len(l.Filters) == 1 && l.Filters.Get(filter) == value
}

// shortcut is where such a list is.
func shortcut(filter, value string) string {
	if filter == "" {
		return page.PrivatePhotos.Path()
	}
	return page.PrivatePhotos.Path() + "?" + url.Values{filter: {value}}.Encode()
}

// setFilter is a filter that a page has, and where the list is without it.
type setFilter struct{ label, without string }

// set lists the filters that are set.
func (l OwnList) set() []setFilter {
	var all []setFilter
	for _, name := range page.OwnFilters() {
		if value := l.Filters.Get(name); value != "" {
			all = append(all, setFilter{l.label(name, value), l.without(name)})
		}
	}
	return all
}

func (l OwnList) label(name, value string) string {
	switch name {
	case "q":
		return "“" + value + "”"
	case "untagged":
		return "Untagged"
	case "loose":
		return "In no album"
	case "guests":
		return "From guests"
	case "link":
		return "Added by a link"
	case "visibility":
		return strings.ToUpper(value[:1]) + value[1:]
	case "in":
		for _, a := range l.Albums {
			if strconv.FormatInt(a.ID, 10) == value {
				return "Album: " + a.Title
			}
		}
	case "tagged":
		return "Tag: " + value
	}
	return strings.ToUpper(name[:1]) + name[1:] + ": " + value
}

// datesYear is a year beside the list.
type datesYear struct {
	year   int
	photos int
	months []Month // of the year in which the page begins
}

// years lists the years that have photos, the newest first.
func (l OwnList) years(first time.Time) []datesYear {
	var all []datesYear
	for _, m := range l.Months {
		n := len(all)
		if n == 0 || all[n-1].year != m.First.Year() {
			all, n = append(all, datesYear{year: m.First.Year()}), n+1
		}
		y := &all[n-1]
		y.photos += m.Photos
		if m.First.Year() == first.UTC().Year() {
			y.months = append(y.months, m)
		}
	}
	return all
}

// begins is when the first photo of the page was taken.
func (p PrivatePage) begins() time.Time {
	for _, c := range p.Photos {
		return c.Dated
	}
	for _, m := range p.List.Months {
		return m.First
	}
	return time.Time{}
}

// monthsData has all months for the script: each year with its photos from January to December, such as
// "2024,0,3,0,0,0,0,12;2023,1".
func (l OwnList) monthsData() string {
	b := make([]byte, 0, 16*len(l.Months))
	for i := len(l.Months) - 1; i >= 0; i-- { // the oldest first
		m := l.Months[i]
		from := 1
		if older := i + 1; older < len(l.Months) && l.Months[older].First.Year() == m.First.Year() {
			from = int(l.Months[older].First.Month()) + 1
		} else {
			if len(b) > 0 {
				b = append(b, ';')
			}
			b = append(b, yearText(m.First.Year())...)
		}
		for range int(m.First.Month()) - from {
			b = append(b, ",0"...)
		}
		b = appendInt(append(b, ','), m.Photos)
	}
	return string(b)
}

// yearText is a year as addresses have it.
func yearText(year int) string { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006") }

// chosenAlbum reports whether the list is of an album.
func (l OwnList) chosenAlbum(id int64) bool {
	return l.Filters.Get("in") == strconv.FormatInt(id, 10)
}

// nothing says why a page has no photos.
func (l OwnList) nothing() string {
	switch {
	case l.Place == "after":
		return "There are no newer photos."
	case l.Older != "":
		return "There are none among these photos. Look at older ones."
	case len(l.Filters) > 0:
		return "No photo of yours is like that."
	}
	return "There are no photos here."
}

// Bin is what a page of the bin is.
type Bin struct {
	Count int    // photos in the bin
	More  bool   // there are more than Count
	Paged bool   // it is not the first page
	Older string // the position of the next page; "": there is none
	Seen  string // until when what was put there can have been seen, for the form

	Receipts []ReceiptLine // of what was deleted for good, newest first
}

// binMost is how many photos of a bin are counted, see store.BinMost.
const binMost = 10_000

// holds says how much is in the bin.
func (b Bin) holds() string {
	if b.Count == 1 && !b.More {
		return "1 photo is in the bin."
	}
	return atLeast(b.More, b.Count) + " photos are in the bin."
}

// warning says what emptying does.
func (b Bin) warning() string {
	if b.Count == 1 {
		return "This deletes the photo for good. Nobody can bring it back."
	}
	return "This deletes for good all " + atLeast(b.More, b.Count) + " photos in the bin. Nobody can bring them back."
}

// nothing says why there is no photo.
func (b Bin) nothing() string {
	if b.Paged && b.Count > 0 {
		return "There are no photos here any more."
	}
	return "The bin is empty."
}
