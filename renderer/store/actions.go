package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Edit is what is to be different about a photo; what is nil stays as it is, and is left out of the fingerprint.
type Edit struct {
	Title       *string `json:",omitempty"` // at most 200 characters
	Description *string `json:",omitempty"` // at most 5,000
}

// EditPhoto changes what is written about a photo and returns the scope that changed, its owner's. Like the other actions it is done once
// for each key, answers [ErrConflict] to a key that was used for something else and [ErrNotFound] where there is no photo, and does not ask
// whose it is. An edit of a private photo, or one that changes nothing, leaves the version as it is and returns that.
func (s *Store) EditPhoto(ctx context.Context, key string, id int64, edit Edit) ([]Change, error) {
	return s.once(ctx, key, "photo.edit", []any{id, edit}, func(ctx context.Context, tx pgx.Tx) ([]Change, error) {
		var owner int64
		err := tx.QueryRow(ctx, `
			UPDATE photos SET title = coalesce($2, title), description = coalesce($3, description) WHERE id = $1 RETURNING user_id`,
			id, edit.Title, edit.Description).Scan(&owner)
		if err != nil {
			return nil, known(err)
		}
		user, _, err := scopes(ctx, tx, owner, id)
		return []Change{user}, err
	})
}

// DeletePhoto deletes a photo, with its tags and its places in albums, and returns the scopes of its owner and of the photo. The picture's
// file stays. (One statement: what falls with the photo is locked after it and before its owner, as the order of locks wants it.)
func (s *Store) DeletePhoto(ctx context.Context, key string, id int64) ([]Change, error) {
	return s.once(ctx, key, "photo.delete", []any{id}, func(ctx context.Context, tx pgx.Tx) ([]Change, error) {
		var owner int64
		var private bool
		err := tx.QueryRow(ctx, `DELETE FROM photos WHERE id = $1 RETURNING user_id, private`, id).Scan(&owner, &private)
		if err != nil {
			return nil, known(err)
		}
		user, photo, err := scopes(ctx, tx, owner, id)
		user.Gone, photo.Gone = !private, true
		return []Change{user, photo}, err
	})
}

// SetPhotoPrivate hides a photo from everybody or shows it to everybody, and returns the scopes of its owner and of the photo.
func (s *Store) SetPhotoPrivate(ctx context.Context, key string, id int64, private bool) ([]Change, error) {
	return s.once(ctx, key, "photo.privacy", []any{id, private}, func(ctx context.Context, tx pgx.Tx) ([]Change, error) {
		var owner int64
		var before bool
		err := tx.QueryRow(ctx, `SELECT user_id, private FROM photos WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&owner, &before)
		if err != nil {
			return nil, known(err)
		}
		if private != before {
			if _, err := tx.Exec(ctx, `UPDATE photos SET private = $2 WHERE id = $1`, id, private); err != nil {
				return nil, err
			}
		}
		user, photo, err := scopes(ctx, tx, owner, id)
		if photo.Gone = private; !private {
			photo.Version = user.Version // what became public has its owner's version, and no "not found" of before is as new as that
		}
		user.Gone = private && !before
		return []Change{user, photo}, err
	})
}

// scopes reads the versions of a photo that tx has changed: its owner's, and the one that its absence has on a page that says "not found".
// The triggers have run and hold the owner's row, so that the version is exactly that of this change; if nothing was raised, it is the one
// there is.
func scopes(ctx context.Context, tx pgx.Tx, owner, id int64) (user, photo Change, err error) {
	photo.Scope = "photo." + strconv.FormatInt(id, 10)
	err = tx.QueryRow(ctx, `
		SELECT 'user.' || u.name, u.version, greatest(e.version, t.version)
		FROM epoch e CROSS JOIN users u LEFT JOIN tombstones t ON t.scope = $2 WHERE u.id = $1`,
		owner, photo.Scope).Scan(&user.Scope, &user.Version, &photo.Version)
	if err != nil {
		return user, photo, fmt.Errorf("read the versions: %w", err)
	}
	return user, photo, nil
}
