package wire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Pages and pictures that whoever has a link sees, see [page.Share]. Each is requested for one visitor, so that a link
// that is revoked shows nothing from that moment on. Subjects name no link, because people may read them.
const (
	SubjectSharePage    = "share.page"    // data: ShareRequest; the reply is a page, with HeaderStatus
	SubjectSharePicture = "share.picture" // data: ShareRequest; the reply is a JPEG
	// password: checks it; add: "1" if the visitor wants to add photos, "" otherwise. The reply has HeaderGrant.
	ActionShareOpen = "share.open"
)

// Headers of requests for shares.
const (
	HeaderShare = "Killr-Share" // request: the link's page.Share.ID
	// Request and reply: proves that the visitor has given the password of the link. A request may have several values,
	// of which one counts.
	HeaderGrant = "Killr-Grant"
)

// Actions with one's own links, which are actions of people, see [ActionSignUp].
const (
	// photo or album: what it shows; name: what its owner calls it, or ""; password: or ""; days: how long it lasts, or
	// "" for ever; adds: "1" if whoever has the link may add photos to the album
	ActionShare    = "own.share"
	ActionUnshare  = "own.unshare"    // end: the id of a link, which is revoked
	ActionReshare  = "own.reshare"    // back: the id of a link that was revoked within the last hour
	ActionShareAdd = "own.share-adds" // let or stop: the id of a link by which people may add photos, or not any more
)

// MaxShares is how many links a person may have.
const MaxShares = 10_000

// Notices about links.
const (
	NoticeShared   = "shared"   // a link is made
	NoticeUnshared = "unshared" // one is revoked
	NoticeReshared = "reshared" // that is taken back
	NoticeLetAdd   = "let-add"  // people may add photos by one
	NoticeStopAdd  = "stop-add" // they may not any more
)

// ShareRequest says which page or picture of a share is wanted.
type ShareRequest struct {
	Photo  int64         `json:"photo,omitempty"`  // 0: the page that the link leads to
	Width  int           `json:"width,omitempty"`  // of a picture
	After  int64         `json:"after,omitempty"`  // position in an album, as in [page.Ref.After]
	Before int64         `json:"before,omitempty"` // likewise; at most one of the two is not 0
	Key    string        `json:"key,omitempty"`    // for the hidden field of the form that asks for the password
	Wait   time.Duration `json:"wait,omitempty"`   // after too many guesses: when the next one is allowed
	Exists bool          `json:"exists,omitempty"` // only whether there is such a link: the reply to that is empty
	// The page where photos are added. With Exists only whether the visitor may add some: the reply to that has
	// HeaderUser, the owner, to whom the uploads belong.
	Add      bool              `json:"add,omitempty"`
	Guest    string            `json:"guest,omitempty"`    // what the visitor has said they are called
	Uploads  []UploadLine      `json:"uploads,omitempty"`  // what became of the files that the form had
	Problems map[string]string `json:"problems,omitempty"` // what is wrong with the form, by field
}

// Encode returns the request's JSON.
func (r ShareRequest) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodeShareRequest is the inverse of [ShareRequest.Encode].
func DecodeShareRequest(data []byte) (r ShareRequest, err error) {
	if err = json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return r, nil
}
