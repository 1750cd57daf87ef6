package wire

import "time"

// Actions are requests that change something. An action's subject is "action." and its name, its data a form
// (application/x-www-form-urlencoded, at most MaxForm), its reply's data the scopes that changed with their new
// versions, in the form of [EncodeChanges]. What changed nothing that anybody sees is answered with the versions there
// are.
//
// The header HeaderKey is required. Who gets no answer, or an error of HTTP status 500 and above, does not know whether
// it was done: they ask again with the same key and the same form, and get the first attempt's reply if it was. A key
// that comes with another form is an [ErrConflict].
//
//	nats req action.photo.edit 'id=7&title=At the lake' -H 'Killr-Key:4f1c2a'
const (
	ActionPhotoEdit    = "photo.edit"    // id, and what of title and description is given
	ActionPhotoDelete  = "photo.delete"  // id
	ActionPhotoPrivacy = "photo.privacy" // id, private: true or false
)

// ActionDeadline is how long an action's answer is worth waiting for; KeyAge how long a key is remembered, and so how
// long after its first attempt an action may be repeated.
const (
	ActionDeadline = 15 * time.Second
	KeyAge         = time.Hour
)

// MaxForm is how long a form may be, in bytes: a title and a description of the greatest length, in any script, fit in
// with every byte of them escaped. MaxKey is how long a key may be.
const (
	MaxForm = 64 << 10
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

// ActionSubject is what the action of this name is requested on.
func ActionSubject(name string) string { return prefixAction + name }

// InputError says what is wrong with one field of a form, in words for the person who filled it in. It is an
// [ErrBadRequest], and [ErrorOf] gives it back as it was.
type InputError struct {
	// printable ASCII without a space; "form" where the form as a whole is meant, HeaderKey where that header is
	Field   string
	Problem string // such as "has 201 characters: shorten it to 200", printable ASCII too
}

func (e *InputError) Error() string { return e.Field + " " + e.Problem }

// Unwrap makes errors.Is(err, ErrBadRequest) true.
func (e *InputError) Unwrap() error { return ErrBadRequest }
