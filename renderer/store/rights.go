package store

import (
	"context"

	"flickrkillr/schema/page"
)

// Rights is what others may do with a photo.
type Rights struct {
	Licence      page.Licence
	Downloadable bool // others may download the original
}

// RightsEdit is a change of [Rights]. A nil field stays as it is.
type RightsEdit struct {
	Licence      *page.Licence `json:",omitempty"`
	Downloadable *bool         `json:",omitempty"`
}

// ChangeOwnRights sets what others may do with those of some photos that are a user's own, at most 200, and returns the
// scope of the user. Errors: [ErrNotFound] if none is theirs, or all are in the bin; [ErrConflict].
func (s *Store) ChangeOwnRights(ctx context.Context, key string, user int64, ids []int64, edit RightsEdit) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.rights", []any{user, ids, edit},
		`SELECT outcome, scopes, versions, gone FROM change_own_rights($1, $2, $3, $4, $5, $6)`,
		user, ids, edit.Licence, edit.Downloadable)
}
