package wire

import (
	"strings"
	"time"
)

// Actions are requests that change something. An action's subject is "action." and its name, its data a form
// (application/x-www-form-urlencoded), its reply's data the scopes that changed with their new versions, in the form of
// [EncodeChanges]. The header HeaderKey is required: who gets no answer asks again with the same key, and what was done once is not
// done twice.
//
//	nats req action.photo.edit 'id=7&title=At the lake' -H 'Killr-Key:4f1c2a'
const (
	ActionPhotoEdit    = "photo.edit"    // id, and what of title and description is given
	ActionPhotoDelete  = "photo.delete"  // id
	ActionPhotoPrivacy = "photo.privacy" // id, private: true or false
)

// ActionDeadline is how long an action's answer is worth waiting for; KeyAge how long a key is remembered, and so how long after its
// first attempt an action may be repeated.
const (
	ActionDeadline = 15 * time.Second
	KeyAge         = time.Hour
)

const actionPrefix = "action."

// ActionSubject is what the action of this name is requested on.
func ActionSubject(name string) string { return actionPrefix + name }

// ParseAction is the inverse of [ActionSubject]; false for another subject.
func ParseAction(subject string) (name string, ok bool) {
	return strings.CutPrefix(subject, actionPrefix)
}

// InputError says what is wrong with one field of a form, in words for the person who filled it in. It is an [ErrBadRequest].
type InputError struct {
	Field   string
	Problem string // such as "is longer than 200 characters"
}

func (e *InputError) Error() string { return e.Field + " " + e.Problem }

// Unwrap makes errors.Is(err, ErrBadRequest) true.
func (e *InputError) Unwrap() error { return ErrBadRequest }
