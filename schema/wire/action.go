package wire

import "time"

// Actions are requests that change something. The subject of an action is "action." and its name, its data a form
// (application/x-www-form-urlencoded, at most MaxForm). The data of the reply are the scopes that changed with their
// new versions, in the form of [EncodeChanges]; after a change that no page shows, the current versions.
//
// HeaderKey is required. After no answer, or an error of HTTP status 500 and above, the requester does not know whether
// the action was done. It repeats the request with the same key and form, and gets the first attempt's reply if that
// was done. A key with another form is an [ErrConflict].
//
//	nats req action.photo.edit 'id=7&title=At the lake' -H 'Killr-Key:4f1c2a'
const (
	ActionPhotoEdit    = "photo.edit"    // id, and what of title and description is given
	ActionPhotoDelete  = "photo.delete"  // id
	ActionPhotoPrivacy = "photo.privacy" // id, private: true or false
)

// ActionDeadline is how long an action may take. KeyAge is how long a key is remembered, and so how long after its
// first attempt an action may be repeated.
const (
	ActionDeadline = 15 * time.Second
	KeyAge         = time.Hour
)

// Bounds in bytes. In MaxForm fit the longest title and description with 100 of the longest tags, in any script with
// every byte escaped.
const (
	MaxForm = 128 << 10
	MaxKey  = 64
)

// ValidKey reports whether a key is 1 to MaxKey printable ASCII characters without a space.
func ValidKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return key != "" && len(key) <= MaxKey
}

// ActionSubject is the subject of the action with this name.
func ActionSubject(name string) string { return prefixAction + name }

// InputError says what is wrong with one field of a form, for the person who filled it in. It is an [ErrBadRequest],
// and [ErrorOf] returns it unchanged.
type InputError struct {
	// printable ASCII without a space; "form" where the form as a whole is meant, HeaderKey where that header is
	Field   string
	Problem string // such as "has 201 characters: shorten it to 200", printable ASCII too
}

func (e *InputError) Error() string { return e.Field + " " + e.Problem }

// Unwrap makes errors.Is(err, ErrBadRequest) true.
func (e *InputError) Unwrap() error { return ErrBadRequest }
