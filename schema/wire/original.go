package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Downloads of originals. An original travels from renderers to an edge in chunks, each the reply to a request in the
// queue group of renderers, by the connections that uploads have. The subject is "original.<verb>.<user>.<photo>". The
// edge takes the user from the session; 0 is anybody, who gets what the owner of the photo allows, without what the
// file says besides the picture. Nothing of it is kept in a cache.
//
// Each request reads the photo's row. So a download ends, without the rest, when its photo is deleted, hidden, or shows
// another original.
const (
	// OriginalHead asks what there is. No data. Reply: an [OriginalFile]. ErrNotFound: there is no such photo, or it is
	// not for this user to have.
	OriginalHead = "head"
	// OriginalChunk asks for a part. HeaderOffset says where it begins, HeaderFile repeats OriginalFile.File,
	// HeaderLength says how many bytes are wanted, at most MaxChunk, as without it. Reply: so many bytes, fewer only at
	// the end. ErrConflict: the photo shows another original by now.
	OriginalChunk = "chunk"
)

// HeaderFile names the bytes that are meant, HeaderLength says how many, see [OriginalChunk].
const (
	HeaderFile   = "Killr-File"
	HeaderLength = "Killr-Length"
)

const prefixOriginal = "original."

// OriginalRequests are the subjects that renderers listen to in their queue group.
func OriginalRequests() []string {
	return []string{OriginalPattern(OriginalHead), OriginalPattern(OriginalChunk)}
}

// OriginalPattern is the subject of all requests of one kind, for a subscription.
func OriginalPattern(verb string) string { return prefixOriginal + verb + ".*.*" }

// OriginalSubject is the subject of a request for an original. user is 0 for anybody.
func OriginalSubject(verb string, user, photo int64) string {
	return prefixOriginal + verb + "." + strconv.FormatInt(user, 10) + "." + strconv.FormatInt(photo, 10)
}

// ParseOriginal is the inverse of [OriginalSubject]. Errors wrap ErrBadRequest.
func ParseOriginal(subject string) (verb string, user, photo int64, err error) {
	parts := strings.Split(strings.TrimPrefix(subject, prefixOriginal), ".")
	if len(parts) == 3 {
		user, err = strconv.ParseInt(parts[1], 10, 64)
		if err == nil {
			photo, err = strconv.ParseInt(parts[2], 10, 64)
		}
	}
	if len(parts) != 3 || err != nil || user < 0 || photo <= 0 || OriginalSubject(parts[0], user, photo) != subject {
		return "", 0, 0, fmt.Errorf("%w: %q is no original", ErrBadRequest, subject)
	}
	return parts[0], user, photo, nil
}

// OriginalFile says what there is to download.
type OriginalFile struct {
	File  string `json:"file"`  // names these bytes, and never others: letters, digits, hyphens
	Name  string `json:"name"`  // of the file on the visitor's disk, fit for every system
	Type  string `json:"type"`  // media type
	Bytes int64  `json:"bytes"` // length
}

// Encode returns the JSON of f.
func (f OriginalFile) Encode() ([]byte, error) { return json.Marshal(f) }

// DecodeOriginalFile reads an OriginalFile. Errors wrap ErrBadRequest.
func DecodeOriginalFile(data []byte) (f OriginalFile, err error) {
	if err = json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return f, nil
}
