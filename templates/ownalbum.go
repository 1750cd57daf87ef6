package templates

import (
	"strconv"

	"flickrkillr/schema/page"
)

// OwnAlbumCard is an album in the list of its owner's own.
type OwnAlbumCard struct {
	ID     int64
	Title  string
	Count  int            // its public photos
	Cover  Image          // the zero Image if it has no public photo
	Inside []OwnAlbumCard // the albums in it, without covers

	Private bool // not everybody sees it
}

func (c OwnAlbumCard) path() string { return page.OwnAlbum(c.ID).Path() }

// holds says what is in the album.
func (c OwnAlbumCard) holds() string {
	if c.Private {
		return c.has() + ", not listed"
	}
	return c.has()
}

func (c OwnAlbumCard) has() string {
	if c.Count == 0 && len(c.Inside) > 0 {
		return counted(len(c.Inside), "album")
	}
	return counted(c.Count, "public photo")
}

// coverHeight is that of the picture of the cover, at 320 px of width.
func (c OwnAlbumCard) coverHeight() string {
	_, h := c.Cover.scaled(320)
	return strconv.Itoa(h)
}

// OwnAlbum is an album as its owner sees it.
type OwnAlbum struct {
	ID             int64
	Title, Parent  string // Parent is the title of the album that it is in; "": it is in none
	Total          int    // photos, private ones, too
	Place          int    // the number of the first photo of the page, from 1
	Previous, Next int64  // positions of the neighbouring pages; 0 where there is none
	Link           string // by which whoever has it sees the album, if it is unlisted; "": it is not
	HasCover       bool   // its owner has chosen one
	Inside         []OwnAlbumCard
}

func (p PrivatePage) albumsFrame() frame {
	f := p.listFrame("Your albums")
	f.style += " albums.css"
	return f
}

func (p PrivatePage) albumFrame() frame {
	f := p.listFrame(shorten(titleOr(p.Album.Title), maxCardTitle) + " · Your albums")
	f.style += " albums.css"
	f.script += " albums.js"
	return f
}

// albumsPath is where the list of one's own albums is, from a position on.
func albumsPath(before int64) string {
	if before == 0 {
		return page.PrivateAlbums.Path()
	}
	return page.PrivateAlbums.Path() + "?before=" + strconv.FormatInt(before, 10)
}

// places says which photos of the album the page shows, such as "49 to 96 of 212 photos".
func (p PrivatePage) places() string {
	n := len(p.Photos)
	if n == 0 || n == p.Album.Total {
		return counted(p.Album.Total, "photo")
	}
	return count(p.Album.Place) + " to " + count(p.Album.Place+n-1) + " of " + counted(p.Album.Total, "photo")
}

// saving reports whether the form that was sent is that of what is written about the album.
func (p PrivatePage) saving() bool { return p.Form.Values["do"] == "save" }

// problemsOf is what is wrong with the form of what is written about an album, or with that of its photos.
func (p PrivatePage) problemsOf(texts bool) map[string]string {
	if p.saving() != texts {
		return nil
	}
	return p.Form.Problems
}
