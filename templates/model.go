package templates

import (
	"time"

	"flickrkillr/schema/page"
)

// Name is what the site is called.
const Name = "Flickr Killr"

// Site is what every page must know about the site.
type Site struct {
	Assets *Assets // the static files that the page links to
	// where the site is reached, such as "https://photos.example", without a slash at its end; "" when not known
	Base string
}

// url is the absolute address of r, "" if the site does not know its own.
func (s Site) url(r page.Ref) string {
	path := r.Path()
	if s.Base == "" || path == "" {
		return ""
	}
	return s.Base + path
}

// absolute is url, or the path if the site does not know its own address.
func (s Site) absolute(r page.Ref) string { return s.Base + r.Path() }

// Person is a user with photos.
type Person struct {
	Name    string // as in the address of their page, see [page.ValidUser]
	Display string // as they want to be called, in any script; "" is their Name
}

// Label is the name that pages show.
func (p Person) Label() string {
	if display := clean(p.Display); display != "" {
		return display
	}
	return p.Name
}

// Image is a picture in the widths of [page.Widths].
type Image struct {
	ID            string // the key in its address; "" is no picture
	Width, Height int    // of the original, in pixels
	Blur          uint32 // six colours of blur.css, 5 bits each, which fill its place until it arrives
	Own           int64  // the photo, if only some, who see the page, may see the picture; 0: everybody may
	Share         string // the token of the link by which they see Own; "": they are its owner
}

// Card is a photo in a grid.
type Card struct {
	Photo  page.Ref
	Title  string // "" when its owner gave none
	Author Person // left out of the page of the author themselves
	Image  Image
	Posted time.Time // its month, in UTC, is the heading it stands under on its owner's page

	To    page.PrivateRef // on its owner's private pages: where it leads to instead of Photo; zero: to Photo
	Share page.Share      // likewise on pages that whoever has a link sees
}

// AlbumCard is an album in a list of albums.
type AlbumCard struct {
	Album page.Ref
	Title string
	Count int
	Cover Image // the zero Image when the album is empty
}

// HomePage shows everybody's newest photos and, on its first page, the ones most liked.
type HomePage struct {
	Site         Site
	Self         page.Ref
	Popular      []Card // the first ten of them are shown
	Recent       []Card
	Newer, Older page.Ref // the zero Ref where there is no such page; so in all listings
}

// UserPage shows one person's photos, newest first, month by month.
type UserPage struct {
	Site         Site
	Self         page.Ref
	User         Person
	Bio          string
	Joined       time.Time
	PhotoCount   int
	Albums       []AlbumCard // on the first page only
	Photos       []Card
	Newer, Older page.Ref
}

// PhotoPage shows one photo. Previous and Next follow the order of its owner's page: the previous photo is the next
// newer one.
type PhotoPage struct {
	Site           Site
	Photo          page.Ref
	Title          string
	Description    string // plain text; line breaks are kept and http(s) addresses become links
	Author         Person
	Image          Image
	Posted         time.Time
	Taken          time.Time // zero when not known; in the camera's own time, shown as it is
	Faves          int
	Tags           []string
	Camera         Camera
	Albums         []AlbumCard // that it is in; only Album and Title are shown
	Licence        page.Licence
	Original       bool // others may download the original
	Previous, Next page.Ref
}

// Camera is what the camera recorded about a photo; unknown fields are zero.
type Camera struct {
	Model    string
	Lens     string
	Aperture float64 // the f-number, such as 2.8
	Exposure string  // in seconds, as the camera gave it, such as "1/250"
	ISO      int
	Focal    float64 // focal length in millimetres
}

// TagPage shows the photos that carry a tag, newest first. The tag is Self's name.
type TagPage struct {
	Site         Site
	Self         page.Ref
	Related      []string // tags that its photos carry besides
	Photos       []Card
	Newer, Older page.Ref
}

// SearchPage shows the search form and the result of the query, which is Self's name.
type SearchPage struct {
	Site     Site
	Self     page.Ref
	Problem  string   // a sentence about a query that cannot be answered, shown beside its field; "" when it can
	Note     string   // a sentence about the answer, "" when there is nothing to say
	Meant    string   // what was searched for instead; "" when it was the query
	Verbatim page.Ref // the search for exactly the query, where something else was meant
	Total    Number
	Active   []Choice      // the filters in the query, each with the search without it
	Filters  []FilterGroup // those that can be added
	Orders   []Choice
	People   []PersonCount
	Tags     []TagCount
	Photos   []Card
	Newer    page.Ref
	Older    page.Ref
}

// Number is a count that may be approximate.
type Number struct {
	N       int
	AtLeast bool
	About   bool
}

// Choice is one of several ways on.
type Choice struct {
	Label   string
	Ref     page.Ref
	Count   Number // of photos behind it; 0 when nobody counted
	Current bool   // it is the one that is shown
}

// FilterGroup is filters of one kind.
type FilterGroup struct {
	Name    string
	Choices []Choice
}

// PersonCount is a user who was found, with the number of their photos.
type PersonCount struct {
	Person  Person
	Photos  int
	Picture Image // the zero Image if they have none
}

// TagCount is a tag that was found, with the number of its photos; 0: not counted.
type TagCount struct {
	Tag    string
	Photos int
}

// AlbumPage shows an album's photos in the order its owner gave them. Earlier and Later are its neighbouring pages in
// that order.
type AlbumPage struct {
	Site           Site
	Self           page.Ref
	Title          string
	Description    string
	Owner          Person
	Count          int
	Parent         AlbumCard   // that it is in; only Album and Title are shown; zero: it is in none
	Inside         []AlbumCard // the albums in it, on the first page
	Cover          Card        // the photo that stands for it; zero: none does
	Photos         []Card
	Earlier, Later page.Ref
}

// AboutPage says what this is and how it works.
type AboutPage struct {
	Site Site
}

// ErrorPage is shown instead of a page. It knows its HTTP status and nothing of the request, so it cannot echo
// anything.
type ErrorPage struct {
	Site   Site
	Status int
}
