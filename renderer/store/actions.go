package store

import "context"

// Edit is a change of a photo. A nil field stays as it is and is left out of the fingerprint.
type Edit struct {
	Title       *string `json:",omitempty"` // at most 200 characters
	Description *string `json:",omitempty"` // at most 5,000
}

// EditPhoto changes title and description of a photo and returns the changed scope, which is its owner's. Like all
// actions it happens once for each key. Errors: [ErrConflict] for a key that was used for another request,
// [ErrNotFound] for a photo that does not exist. It does not check who owns the photo. For a private photo, or an
// edit that changes nothing, it returns the current version.
func (s *Store) EditPhoto(ctx context.Context, key string, id int64, edit Edit) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.edit", []any{id, edit},
		`SELECT outcome, scopes, versions, gone FROM edit_photo($1, $2, $3, $4, $5)`,
		id, edit.Title, edit.Description)
}

// DeletePhoto deletes a photo, its tags and its places in albums, and returns the scopes of its owner and of the
// photo. The picture file stays.
func (s *Store) DeletePhoto(ctx context.Context, key string, id int64) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.delete", []any{id},
		`SELECT outcome, scopes, versions, gone FROM delete_photo($1, $2, $3)`, id)
}

// SetPhotoPrivate hides a photo from everybody or shows it to everybody, and returns the scopes of its owner and of
// the photo.
func (s *Store) SetPhotoPrivate(ctx context.Context, key string, id int64, private bool) ([]Change, error) {
	return s.idempotent(ctx, key, "photo.privacy", []any{id, private},
		`SELECT outcome, scopes, versions, gone FROM set_photo_private($1, $2, $3, $4)`,
		id, private)
}
