package templates

import "flickrkillr/schema/page"

// UploadLine is what became of one file of a form.
type UploadLine struct {
	Name      string // as on the person's disk
	Photo     int64  // 0: there is none
	Duplicate bool   // the person has had this photo already
	Problem   string // why there is no photo, in whole sentences

	Share page.Share // where a guest sees the photo; zero: it is at its usual address
}

// fileName is how a line calls its file.
func (l UploadLine) fileName() string {
	if name := clean(l.Name); name != "" {
		return name
	}
	return "A file without a name"
}

// photoPath is the address of the photo.
func (l UploadLine) photoPath() string {
	if l.Share != (page.Share{}) {
		return l.Share.Path()
	}
	return page.Photo(l.Photo).Path()
}

// uploadFrame is the frame of the page with the uploader, which has a script and a stylesheet of its own.
func (p PrivatePage) uploadFrame() frame {
	f := p.frame("Upload photos")
	f.script, f.style = "upload.js", "upload.css"
	return f
}

// uploadTypes are the kinds of files that may be chosen. Phones send a JPEG of a picture that is of no such kind.
func (p PrivatePage) uploadTypes() string {
	if p.HEIC {
		return "image/jpeg,image/png,image/gif,image/webp,image/heic"
	}
	return "image/jpeg,image/png,image/gif,image/webp"
}

// uploadKinds names the last of them.
func (p PrivatePage) uploadKinds() string {
	if p.HEIC {
		return ", WebP or HEIC"
	}
	return " or WebP"
}
