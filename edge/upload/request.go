package upload

import (
	"context"
	"net/http"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Request is a request of a user who is signed in, or of a guest, whose photos go to a user.
type Request struct {
	*http.Request
	User     int64
	Allowed  func() bool           // whether the user may still upload: a body may take hours; nil: always
	Deadline func(time.Time) error // moves the deadline for reading the body; the zero Time: none
	Guest    *Guest                // who sends it; nil: the user does
}

// stillAllowed returns errEnded if the session of the request does not count any more.
func (r *Request) stillAllowed() error {
	if r.Allowed != nil && !r.Allowed() {
		return errEnded
	}
	return nil
}

// Guest is a visitor who has a link by which photos are added. What a guest sends comes out of no share of the user's.
type Guest struct {
	Link page.Share
	// Sender tells guests apart for whom bounds hold that hold for a user otherwise: at one link those with one address
	// are one. It is negative, so it is no user's.
	Sender int64
	// Begin is called before each new file. An error refuses it.
	Begin func(context.Context) error
}

// files is the path of the files of whoever sends the request.
func (r *Request) files() string {
	if r.Guest != nil {
		return r.Guest.Link.FilesPath()
	}
	return pathFiles
}

// sender is for whom bounds hold.
func (r *Request) sender() int64 {
	if r.Guest != nil {
		return r.Guest.Sender
	}
	return r.User
}

// upload is the one with an id.
func (r *Request) upload(id string) upload { return upload{r.User, id} }

// keyed is the upload whose id follows from some parts. Those of guests of one link are apart from all others.
func (r *Request) keyed(parts ...string) upload {
	if r.Guest != nil {
		parts = append(parts, r.Guest.Link.ID())
	}
	return r.upload(newID(parts...))
}

// begin reports whether a new file may be taken.
func (r *Request) begin(ctx context.Context) error {
	if r.Guest == nil {
		return nil
	}
	return r.Guest.Begin(ctx)
}

// announced is what a renderer is told of a file. A guest does not say who sees it and where it goes. A renderer of
// before does not know guests, and would heed what they say.
func (r *Request) announced(file wire.UploadFile) wire.UploadFile {
	if r.Guest != nil {
		file.Private, file.Unlisted, file.Album = true, false, ""
	}
	return file
}

// photoPath is where whoever sends the request sees a photo.
func (r *Request) photoPath(photo int64) string {
	if r.Guest != nil {
		return page.Share{Token: r.Guest.Link.Token, Photo: photo}.Path()
	}
	return page.Photo(photo).Path()
}
