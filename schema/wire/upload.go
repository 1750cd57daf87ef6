package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Uploads. A file travels from an edge to renderers in chunks, each a request in the queue group of renderers. Any
// renderer may take any chunk: it stores the chunk as a file of its own in the staging area of the picture store, which
// all renderers share. So there is no holder of an upload, no lease, and nothing to hand over when a renderer ends; an
// edge asks again, and may ask another one. Every request may be repeated, and a chunk that comes twice is stored once.
//
// The subject of a request is "upload.<verb>.<user>.<id>". The edge takes the user from the session, and makes the id,
// which is also the idempotency key of the whole upload. A request with HeaderShare is of a guest: the user is the
// owner of the link, as a [ShareRequest] says, and renderers check that the link lets people add photos, its password
// (HeaderGrant), and that the upload began by it. Its photo is private, and goes into the album of the link. Replies
// with an error are as everywhere, see [ErrorMsg].
//
// What happens to an upload is told by events, "upload.event.<user>.<id>", which may get lost. The truth is in the
// reply to finish, and in that to state.
const (
	// UploadCreate begins an upload. Data: an [UploadFile]. Reply: nothing. It refuses, with an [InputError], what
	// cannot become a photo whatever its bytes are, and what exceeds the person's quota. Repeated with a length, it
	// gives one to an upload that has none.
	UploadCreate = "create"
	// UploadChunk stores a part of the file. HeaderOffset says where in the file it begins: a multiple of MaxChunk.
	// Data: MaxChunk bytes, fewer only at the end of the file. Reply: nothing. ErrNotFound: there is no such upload,
	// or it has ended.
	UploadChunk = "chunk"
	// UploadState asks how much is stored. No data. Reply: an [UploadStatus].
	UploadState = "state"
	// UploadFinish makes the photo of what is stored. Data: the whole length in bytes, as digits. Reply: as to an
	// action, with HeaderPhoto. If that photo existed before, with the same file and owner, the reply has
	// HeaderDuplicate. A file that is no picture, or damaged, is an [InputError] of the field "file", and its upload
	// has ended. ErrConflict: less is stored than the length says; ask for the state, and send the rest.
	UploadFinish = "finish"
	// UploadCancel removes what is stored. No data. Reply: an [UploadStatus], which names the photo if the upload had
	// become one before: cancelling does nothing to an upload that has ended.
	UploadCancel = "cancel"
)

// Headers of uploads.
const (
	HeaderOffset    = "Killr-Offset"    // chunk: where it begins, in bytes
	HeaderPhoto     = "Killr-Photo"     // reply to finish: the id of the photo
	HeaderDuplicate = "Killr-Duplicate" // reply to finish: "1", the person has had this photo already
)

// Bounds of uploads in bytes.
const (
	MaxChunk  = 512 << 10
	MaxUpload = 50 << 20 // of one file
)

const (
	prefixUpload = "upload."
	uploadEvent  = "event"
	// SubjectUploadEvents is the subject of the events of all uploads of everybody.
	SubjectUploadEvents = prefixUpload + uploadEvent + ".>"
)

// UploadRequests are the subjects that renderers listen to in their queue group.
func UploadRequests() (all []string) {
	for _, verb := range []string{UploadCreate, UploadChunk, UploadState, UploadFinish, UploadCancel} {
		all = append(all, UploadPattern(verb))
	}
	return all
}

// UploadPattern is the subject of all requests of one kind, for a subscription.
func UploadPattern(verb string) string { return prefixUpload + verb + ".*.*" }

// UploadFile is what is known of a file before its bytes.
type UploadFile struct {
	Name    string `json:"name,omitempty"`  // as on the person's disk, without folders; at most 255 bytes
	Bytes   int64  `json:"bytes,omitempty"` // the length; 0: not known yet
	Type    string `json:"type,omitempty"`  // the media type that the browser guesses; a hint
	Private bool   `json:"private,omitempty"`
	// Unlisted: whoever has the link of the photo, which is private then, sees it.
	Unlisted bool   `json:"unlisted,omitempty"`
	Album    string `json:"album,omitempty"` // that the photo goes into, as in ActionOwnAlbums; "": into none
	// Of a guest: what they are called, at most MaxGuest characters. Their files are private, and go into one album.
	Guest string `json:"guest,omitempty"`
}

// MaxGuest is the length of what a guest is called, in characters.
const MaxGuest = 60

// UploadStatus says how far an upload is.
type UploadStatus struct {
	Bytes   int64  `json:"bytes,omitempty"`   // the length of the file; 0: not known yet
	Offset  int64  `json:"offset"`            // so many bytes from the beginning are stored
	Photo   int64  `json:"photo,omitempty"`   // it has ended, and this is the photo
	Problem string `json:"problem,omitempty"` // it has ended, and this is why there is no photo
	// Duplicate: the person had the photo before.
	Duplicate bool `json:"duplicate,omitempty"`
}

// UploadEvent is one stage of an upload.
type UploadEvent struct {
	Stage   string `json:"stage"`
	Offset  int64  `json:"offset,omitempty"`  // UploadReceived: so many bytes have arrived
	Photo   int64  `json:"photo,omitempty"`   // from UploadLive on
	Version int64  `json:"version,omitempty"` // UploadLive: of the owner's scope
	Problem string `json:"problem,omitempty"` // UploadRefused: why, for a person
}

// UploadLine is what became of one file of a form.
type UploadLine struct {
	Name      string `json:"name"`
	Photo     int64  `json:"photo,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"` // the person has had this photo already
	Problem   string `json:"problem,omitempty"`   // why there is no photo, in whole sentences
}

// Stages of an upload, in their order.
const (
	UploadReceived   = "received"   // a chunk; many times
	UploadChecked    = "checked"    // it is a picture, and not too large
	UploadStored     = "stored"     // the original is on disk
	UploadLive       = "live"       // pages show the photo
	UploadThumbnails = "thumbnails" // the small derivatives are made
	UploadRefused    = "refused"    // there will be no photo, also if it was live already
)

// UploadSubject is the subject of a request about an upload. The id is one of those of [ValidUpload].
func UploadSubject(verb string, user int64, id string) string {
	return prefixUpload + verb + "." + strconv.FormatInt(user, 10) + "." + id
}

// ParseUpload is the inverse of [UploadSubject].
func ParseUpload(subject string) (verb string, user int64, id string, err error) {
	rest, ok := strings.CutPrefix(subject, prefixUpload)
	parts := strings.Split(rest, ".")
	if ok = ok && len(parts) == 3 && ValidUpload(parts[2]); ok {
		user, err = strconv.ParseInt(parts[1], 10, 64)
		ok = err == nil && user > 0 && strconv.FormatInt(user, 10) == parts[1]
	}
	if !ok {
		return "", 0, "", fmt.Errorf("%w: %q is no upload", ErrBadRequest, subject)
	}
	return parts[0], user, parts[2], nil
}

// ValidUpload reports whether id is that of an upload: 26 characters of a-z and 2-7, as crypto/rand.Text makes them in
// upper case. Whoever knows one can do nothing with it without the user's session.
func ValidUpload(id string) bool {
	return len(id) == 26 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// UploadEventSubject is the subject of the events of one upload.
func UploadEventSubject(user int64, id string) string { return UploadSubject(uploadEvent, user, id) }

// UploadEventsOf is the subject of the events of all uploads of a user, for a subscription.
func UploadEventsOf(user int64) string {
	return prefixUpload + uploadEvent + "." + strconv.FormatInt(user, 10) + ".*"
}

// Encode returns the JSON of what is sent about an upload.
func (f UploadFile) Encode() ([]byte, error)   { return json.Marshal(f) }
func (s UploadStatus) Encode() ([]byte, error) { return json.Marshal(s) }
func (e UploadEvent) Encode() ([]byte, error)  { return json.Marshal(e) }

// DecodeUpload reads an UploadFile, UploadStatus or UploadEvent. Errors wrap ErrBadRequest.
func DecodeUpload[T UploadFile | UploadStatus | UploadEvent](data []byte) (v T, err error) {
	if err = json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return v, nil
}
