package templates

import (
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"flickrkillr/schema/page"
)

// ShareCard is a link in the list of its owner's own.
type ShareCard struct {
	ID            int64
	Link          string // its address
	Name          string // "" when its owner gave none
	Title         string // of what it shows
	Photo, Album  int64  // what it shows; one of the two is 0
	Password      bool   // it has one
	Unlisted      bool   // it makes what it shows unlisted
	Adds          bool   // whoever has it may add photos to the album
	Added         bool   // some have
	Made          time.Time
	Expires, Seen time.Time // zero: never
	Expired       bool
}

// heading is what its owner calls the link, or what it shows.
func (c ShareCard) heading() string {
	if name := clean(c.Name); name != "" {
		return name
	}
	return titleOr(c.Title)
}

// what says what kind of thing the link shows.
func (c ShareCard) what() string {
	if c.Album != 0 {
		return "The album"
	}
	return "The photo"
}

// sharesPath is where one's own links are: all, or those to what the page is about; from a position on.
func (p PrivatePage) sharesPath(before int64) string {
	query := url.Values{}
	for _, name := range [...]string{"photo", "album"} {
		if id := p.Form.Values[name]; id != "" {
			query.Set(name, id)
		}
	}
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	if len(query) == 0 {
		return page.PrivateShares.Path()
	}
	return page.PrivateShares.Path() + "?" + query.Encode()
}

// OwnShares is the path of the links to a photo or an album of one's own; one of the two is 0.
func OwnShares(photo, album int64) string {
	if photo != 0 {
		return page.PrivateShares.Path() + "?photo=" + strconv.FormatInt(photo, 10)
	}
	return page.PrivateShares.Path() + "?album=" + strconv.FormatInt(album, 10)
}

// SharedPhotoPage shows a photo to whoever has a link.
type SharedPhotoPage struct {
	PhotoPage      // without tags, albums and neighbours
	Share          page.Share
	IsAlbum        bool   // the link shows an album, of which this is a photo
	Album          string // its title
	Previous, Next int64  // photos of the album; 0: there is none
}

// SharedAlbumPage shows an album to whoever has a link.
type SharedAlbumPage struct {
	Site           Site
	Share          page.Share
	Title          string
	Description    string
	Owner          Person
	Photos         []Card
	Earlier, Later int64 // positions of the neighbouring pages; 0: there is none
	Adds           bool  // the visitor may add photos
}

// SharedAddPage takes photos of whoever has a link that lets them add some to an album.
type SharedAddPage struct {
	Site    Site
	Share   page.Share
	Title   string // of the album
	Owner   Person
	Form    Form         // its value "guest" is what the visitor is called
	Uploads []UploadLine // what became of the files that were sent
	HEIC    bool         // HEIC pictures are taken
}

func (p SharedAddPage) frame() frame {
	f := sharedFrame(p.Site, "text", "Add photos", "An album that takes photos by a link.")
	f.script, f.style = "upload.js", "upload.css"
	return f
}

// SharePasswordPage asks for the password of a link. It says nothing of what the link shows.
type SharePasswordPage struct {
	Site  Site
	Share page.Share
	Form  Form
}

// sharedFrame is that of a page that whoever has a link sees. It has no address and no picture for previews, as those
// would give the link away.
func sharedFrame(site Site, kind, title, description string) frame {
	return frame{site: site, kind: kind, title: title, description: description, noIndex: true}
}

func (p SharedPhotoPage) frame() frame {
	return sharedFrame(p.Site, "photo", shorten(titleOr(p.Title), 2*maxCardTitle),
		"A photo that "+shorten(p.Author.Label(), maxCardTitle)+" shares with you.")
}

func (p SharedAlbumPage) frame() frame {
	return sharedFrame(p.Site, "listing", shorten(titleOr(p.Title), 2*maxCardTitle),
		"An album that "+shorten(p.Owner.Label(), maxCardTitle)+" shares with you.")
}

// neighbour gives the attributes of a link to another photo of the album, as [neighbour] does.
func (p SharedPhotoPage) neighbour(photo int64, rel string) templ.Attributes {
	if photo == 0 {
		return templ.Attributes{"hidden": true}
	}
	return templ.Attributes{"rel": rel, "href": page.Share{Token: p.Share.Token, Photo: photo}.Path()}
}
