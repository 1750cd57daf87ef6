package page

import (
	"strconv"
	"strings"
)

// Originals are downloads: no page, and nothing that a cache takes.

const suffixOriginal = "/original"

// OriginalPath is where others download the original of a photo, if its owner allows it.
func OriginalPath(photo int64) string { return Photo(photo).Path() + suffixOriginal }

// OwnOriginalPath is where its owner downloads the original of a photo.
func OwnOriginalPath(photo int64) string { return OwnPhoto(photo).Path() + suffixOriginal }

// TakeoutPath is where its owner downloads a zip file.
func TakeoutPath(id string) string { return privates[PrivateTakeout].path + "/" + id + ".zip" }

// ParseTakeout reads such a path. The id may be that of no zip file.
func ParseTakeout(path string) (id string, ok bool) {
	if path, ok = strings.CutPrefix(path, privates[PrivateTakeout].path+"/"); !ok {
		return "", false
	}
	return strings.CutSuffix(path, ".zip")
}

// ParseOriginal reads such a path. own: it is that of the owner.
func ParseOriginal(path string) (photo int64, own, ok bool) {
	path, ok = strings.CutSuffix(path, suffixOriginal)
	if !ok {
		return 0, false, false
	}
	digits, own := strings.CutPrefix(path, privates[PrivatePhoto].path)
	if !own {
		digits, ok = strings.CutPrefix(path, "/photo/")
	}
	photo, valid := parseID(digits)
	return photo, own, ok && valid && strconv.FormatInt(photo, 10) == digits
}
