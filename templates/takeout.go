package templates

import "time"

// TakeoutCard is a zip file of a person's photos.
type TakeoutCard struct {
	ID          string
	Album       bool   // it is of an album
	Title       string // of the album
	Made, Until time.Time
	Ready       bool
	Photos      int
	Size        string // such as "1.2 GB"
	Missing     int    // photos without their originals
	Failed      bool   // it cannot be made
}

func (c TakeoutCard) label() string {
	if c.Album {
		return titleOr(c.Title)
	}
	return "All your photos"
}

// TakeoutAlbum is an album of which a zip file can be made.
type TakeoutAlbum struct {
	ID    int64
	Title string
}
