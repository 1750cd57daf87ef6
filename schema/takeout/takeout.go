// Package takeout is the form of photos.json, which says in a zip file of somebody's photos what the files are: one
// object with the members of [Head], "albums", a list of [Album], and "photos", a list of [Photo]. The file has one
// album or photo a line, so that it can be written and read without all of it in memory.
//
// Input and output: JSON. Must not touch: files.
package takeout

import "time"

// Names in a zip file.
const (
	FileName = "photos.json"
	Folder   = "photos/" // has the originals
	Format   = "flickrkillr-takeout-1"
)

// Head says what the zip file is of.
type Head struct {
	Format      string    `json:"format"` // Format
	Name        string    `json:"name"`   // of the user
	DisplayName string    `json:"display_name"`
	Made        time.Time `json:"made"`
}

// Album is an album. Photos may have been left out of the zip file.
type Album struct {
	ID          string    `json:"id"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created"`
	Parent      string    `json:"parent,omitempty"` // id of the album that it is in
	Cover       string    `json:"cover,omitempty"`  // id of the photo that was chosen for it
	Visibility  string    `json:"visibility"`       // public, unlisted or private
	Photos      []string  `json:"photos"`           // ids, in their order
}

// Photo is a photo. The texts are as their owner wrote them.
type Photo struct {
	ID          string     `json:"id"`
	File        string     `json:"file,omitempty"` // in the zip file; "": the original was lost
	SHA256      string     `json:"sha256,omitempty"`
	Bytes       int64      `json:"bytes,omitempty"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Tags        []string   `json:"tags,omitempty"`
	Taken       *time.Time `json:"taken,omitempty"`
	Posted      time.Time  `json:"posted"`
	Visibility  string     `json:"visibility"` // public, unlisted or private
	Licence     string     `json:"licence"`    // one of page.Licences
	Download    bool       `json:"download"`   // others may download the original
	Camera      *Camera    `json:"camera,omitempty"`
}

// Camera is what the file says of how the photo was taken. An importer reads it from the file itself.
type Camera struct {
	Model    string  `json:"model,omitempty"`
	Lens     string  `json:"lens,omitempty"`
	Exposure string  `json:"exposure,omitempty"` // seconds, as in "1/250"
	Aperture float32 `json:"aperture,omitempty"` // f-number
	FocalMM  float32 `json:"focal_mm,omitempty"`
	ISO      int32   `json:"iso,omitempty"`
}

// Archive is a whole photos.json.
type Archive struct {
	Head
	Albums []Album `json:"albums"`
	Photos []Photo `json:"photos"`
}
