package store

import "context"

// Edit is what is to be different about a photo; what is nil stays as it is, and is left out of the fingerprint.
type Edit struct {
	Title       *string `json:",omitempty"` // at most 200 characters
	Description *string `json:",omitempty"` // at most 5,000
}

// EditPhoto changes what is written about a photo and returns the scope that changed, its owner's. Like the other
// actions it is done once for each key, answers [ErrConflict] to a key that was used for something else and
// [ErrNotFound] where there is no photo, and does not ask whose it is. An edit of a private photo, or one that changes
// nothing, leaves the version as it is and returns that.
func (s *Store) EditPhoto(ctx context.Context, key string, id int64, edit Edit) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.edit", []any{id, edit},
		`SELECT outcome, scopes, versions, gone FROM edit_photo($1, $2, $3, $4, $5)`,
		id, edit.Title, edit.Description)
}

// DeletePhoto deletes a photo, with its tags and its places in albums, and returns the scopes of its owner and of the
// photo. The picture's file stays.
func (s *Store) DeletePhoto(ctx context.Context, key string, id int64) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.delete", []any{id},
		`SELECT outcome, scopes, versions, gone FROM delete_photo($1, $2, $3)`, id)
}

// SetPhotoPrivate hides a photo from everybody or shows it to everybody, and returns the scopes of its owner and of the
// photo.
func (s *Store) SetPhotoPrivate(ctx context.Context, key string, id int64, private bool) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.privacy", []any{id, private},
		`SELECT outcome, scopes, versions, gone FROM set_photo_private($1, $2, $3, $4)`,
		id, private)
}
