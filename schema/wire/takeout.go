package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"flickrkillr/schema/zipfile"
)

// ActionTakeout begins a zip file of one's own photos: of an album, or of everything without one. It is an action of
// people, see [ActionSignUp]. A renderer prepares it then, see [TakeoutHead].
const ActionTakeout = "own.takeout"

// Zip files of one's own photos. An edge makes one while it sends it, from a plan that renderers hold, and from the
// originals, see [OriginalChunk]. The subject of a request is "takeout.<verb>.<user>.<id>".
const (
	// TakeoutHead asks how long a zip file is. No data. Reply: a [TakeoutFile]. ErrNotFound: there is none that is
	// ready.
	TakeoutHead = "head"
	// TakeoutPlan asks for the files in it. HeaderOffset is the number of the part. Reply: [PlannedFiles].
	TakeoutPlan = "plan"
	// TakeoutJSON asks for a part of its photos.json, whose bytes are no photo's. HeaderOffset is the number of the
	// part. Reply: MaxChunk bytes, fewer only at the end.
	TakeoutJSON = "json"
)

// Bounds of zip files.
const (
	TakeoutDays = 7   // for which one can be downloaded
	MaxTakeouts = 5   // of a user; a further one replaces the oldest
	PlanPart    = 500 // files in one part of a plan
)

const prefixTakeout = "takeout."

// TakeoutRequests are the subjects that renderers listen to in their queue group.
func TakeoutRequests() (all []string) {
	for _, verb := range []string{TakeoutHead, TakeoutPlan, TakeoutJSON} {
		all = append(all, TakeoutPattern(verb))
	}
	return all
}

// TakeoutPattern is the subject of all requests of one kind, for a subscription.
func TakeoutPattern(verb string) string { return prefixTakeout + verb + ".*.*" }

// TakeoutSubject is the subject of a request about a zip file. The id is one of those of [ValidUpload].
func TakeoutSubject(verb string, user int64, id string) string {
	return prefixTakeout + verb + "." + strconv.FormatInt(user, 10) + "." + id
}

// ParseTakeout is the inverse of [TakeoutSubject]. Errors wrap ErrBadRequest.
func ParseTakeout(subject string) (verb string, user int64, id string, err error) {
	parts := strings.Split(strings.TrimPrefix(subject, prefixTakeout), ".")
	if len(parts) == 3 {
		user, err = strconv.ParseInt(parts[1], 10, 64)
	}
	if len(parts) != 3 || err != nil || user <= 0 || !ValidUpload(parts[2]) ||
		TakeoutSubject(parts[0], user, parts[2]) != subject {
		return "", 0, "", fmt.Errorf("%w: %q is no zip file", ErrBadRequest, subject)
	}
	return parts[0], user, parts[2], nil
}

// TakeoutFile is a zip file that is ready.
type TakeoutFile struct {
	Name  string         `json:"name"`  // on the person's disk
	Bytes int64          `json:"bytes"` // length
	Parts []zipfile.Mark `json:"parts"` // before the first file of each part of the plan
	End   zipfile.Mark   `json:"end"`   // behind the last file
}

// PlannedFiles is a part of the plan of a zip file.
type PlannedFiles struct {
	Files []PlannedFile `json:"files"`
}

// PlannedFile is a file in a zip file.
type PlannedFile struct {
	Photo    int64  `json:"photo,omitempty"` // whose original it is; 0: photos.json, or Text
	Text     string `json:"text,omitempty"`  // the whole of it
	File     string `json:"file,omitempty"`  // see OriginalFile
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
	CRC32    uint32 `json:"crc32"`
	Modified int64  `json:"modified"` // Unix time
}

// Entry is what the zip file says of the file.
func (f *PlannedFile) Entry() zipfile.Entry {
	return zipfile.Entry{Name: f.Name, Size: f.Bytes, CRC32: f.CRC32, Modified: time.Unix(f.Modified, 0)}
}

// Encode returns the JSON of what is sent about a zip file.
func (f TakeoutFile) Encode() ([]byte, error)  { return json.Marshal(f) }
func (p PlannedFiles) Encode() ([]byte, error) { return json.Marshal(p) }

// DecodeTakeout reads a TakeoutFile or PlannedFiles. Errors wrap ErrBadRequest.
func DecodeTakeout[T TakeoutFile | PlannedFiles](data []byte) (v T, err error) {
	if err = json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return v, nil
}

// NoticeTakeout: a zip file is being prepared.
const NoticeTakeout = "takeout"
