package page

import (
	"strconv"
	"strings"
)

// Private names a page of one person: a form, or what only that person may see. It is not a [Ref], so nothing that
// shares, keeps or fills pages can be given one.
type Private uint8

// Private pages. Those before PrivateMe need no session.
const (
	PrivateSignIn Private = iota
	PrivateSignUp
	PrivateReceipt  // of an account that was deleted, for who knows its address
	PrivateRecover  // a recovery code sets a new password
	PrivateMailLink // mails a link that does
	PrivateReset    // is such a link
	PrivateMe
	PrivatePassword
	PrivateSessions
	PrivateProfile
	PrivateDelete
	PrivateTokens // API tokens
	PrivateCodes  // new recovery codes
	PrivatePasskeys
	PrivateNewPasskey
	PrivateEmail
	PrivateConfirm // is a link that confirms an address
	PrivateUpload
	PrivatePhotos       // one's own photos, public and private
	PrivatePhoto        // the form that changes one of them
	PrivateBin          // photos that one has deleted, for 30 days
	PrivatePicture      // the picture of one's own photo, a JPEG
	PrivateAlbums       // one's own albums
	PrivateAlbum        // the forms that change one of them
	PrivateShares       // links to one's own photos and albums
	PrivateTakeout      // makes zip files of one's own photos, and lists them
	PrivatePhotoReceipt // of photos that one has deleted for good

	privateCount = int(iota)
)

// Paths without a page.
const (
	PathSignOut      = "/signout"       // takes a POST that ends the session
	PathUploadFiles  = "/upload/files"  // takes files by tus; an upload is at PathUploadFiles + "/" + its id
	PathUploadEvents = "/upload/events" // tells what happens to a person's uploads (Server-Sent Events)
)

var privates = [privateCount]struct{ name, path string }{
	{"signin", "/signin"}, {"signup", "/signup"}, {"receipt", "/receipt"}, {"recover", "/recover"},
	{"mail-link", "/recover/link"}, {"reset", "/reset"}, {"me", "/me"}, {"password", "/me/password"},
	{"sessions", "/me/sessions"}, {"profile", "/me/profile"}, {"delete", "/me/delete"}, {"tokens", "/me/tokens"},
	{"codes", "/me/codes"}, {"passkeys", "/me/passkeys"}, {"new-passkey", "/me/passkeys/new"},
	{"email", "/me/email"}, {"confirm", "/confirm"}, {"upload", "/upload"}, {"photos", "/me/photos"},
	{"photo", "/me/photos/"}, {"bin", "/me/bin"}, {"picture", "/me/pictures/"},
	{"albums", "/me/albums"}, {"album", "/me/albums/"}, {"shares", "/me/shares"}, {"takeout", "/me/takeout"},
	{"photo-receipt", "/me/receipt"},
}

// PrivateRef identifies one private page. PrivateRefs are comparable with ==.
type PrivateRef struct {
	Private
	Photo int64 // which it is about; 0: it is about none
	Album int64 // which it is about; 0: it is about none
	Width int   // of a picture in pixels, one of [Widths]
}

// OwnPhoto is the form that changes one's own photo.
func OwnPhoto(id int64) PrivateRef { return PrivateRef{Private: PrivatePhoto, Photo: id} }

// OwnPicture is the picture of one's own photo, in one of the [Widths].
func OwnPicture(id int64, width int) PrivateRef {
	return PrivateRef{Private: PrivatePicture, Photo: id, Width: width}
}

// OwnAlbum is the page that changes one's own album.
func OwnAlbum(id int64) PrivateRef { return PrivateRef{Private: PrivateAlbum, Album: id} }

// Path is where browsers find the page.
func (r PrivateRef) Path() string { return string(r.AppendPath(nil)) }

// AppendPath appends the path to b.
func (r PrivateRef) AppendPath(b []byte) []byte {
	b = append(b, privates[r.Private].path...)
	switch {
	case r.AboutPhoto():
		b = strconv.AppendInt(b, r.Photo, 10)
	case r.AboutAlbum():
		b = strconv.AppendInt(b, r.Album, 10)
	}
	if r.Private == PrivatePicture {
		b = append(strconv.AppendInt(append(b, '/'), int64(r.Width), 10), ".jpg"...)
	}
	return b
}

// Privates lists all private pages.
func Privates() []Private {
	all := make([]Private, privateCount)
	for i := range all {
		all[i] = Private(i)
	}
	return all
}

// ParsePrivate returns the private page at a path, which has no other spelling.
func ParsePrivate(path string) (PrivateRef, bool) {
	for i := range privates {
		kind := Private(i)
		if !kind.AboutPhoto() && !kind.AboutAlbum() && privates[i].path == path {
			return PrivateRef{Private: kind}, true
		}
	}
	if id, ok := strings.CutPrefix(path, privates[PrivatePhoto].path); ok {
		photo, ok := parseID(id)
		return OwnPhoto(photo), ok
	}
	if id, ok := strings.CutPrefix(path, privates[PrivateAlbum].path); ok {
		album, ok := parseID(id)
		return OwnAlbum(album), ok
	}
	rest, ok := strings.CutPrefix(path, privates[PrivatePicture].path)
	if !ok {
		return PrivateRef{}, false
	}
	id, file, _ := strings.Cut(rest, "/")
	digits, isJPEG := strings.CutSuffix(file, ".jpg")
	photo, ok := parseID(id)
	width, ok2 := parseID(digits)
	return OwnPicture(photo, int(width)), ok && ok2 && isJPEG && validWidth(width)
}

// String is the name of the page in subjects and logs, such as "signin".
func (p Private) String() string { return privates[p].name }

// Path is where browsers find the page. The paths of pages about photos and albums begin with it, see
// [PrivateRef.Path].
func (p Private) Path() string { return privates[p].path }

// Subject is where renderers are asked for the page: "private.signin".
func (p Private) Subject() string { return "private." + privates[p].name }

// NeedsSession reports whether only a person who is signed in has the page.
func (p Private) NeedsSession() bool { return p >= PrivateMe }

// AboutPhoto reports whether there is such a page for each photo.
func (p Private) AboutPhoto() bool { return p == PrivatePhoto || p == PrivatePicture }

// AboutAlbum reports whether there is such a page for each album.
func (p Private) AboutAlbum() bool { return p == PrivateAlbum }
