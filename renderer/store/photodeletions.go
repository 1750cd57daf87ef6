package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// RemovePhotos deletes for good those of some photos that are a user's own and in the bin, at most 200. With the change
// [OwnEmpty] it empties the bin instead: it deletes the last 200 of the photos that were put there until seen,
// [Store.DeleteRows] deletes the others, and ids count for nothing. receipt is a SHA-256 that follows from the key. It
// returns the scope of the user and the id of the deletion; 0: the bin was empty. Errors: [ErrNotFound] if none of the
// photos is theirs, [ErrConflict].
func (s *Store) RemovePhotos(ctx context.Context, key string, user int64, ids []int64, change OwnChange, seen time.Time,
	receipt []byte) (changes []Change, deletion int64, err error) {
	arguments := []any{user, ids, change, ""}
	var until *time.Time
	if change == OwnEmpty {
		arguments = append(arguments, seen.UnixMicro())
		until = &seen
	}
	changes, err = s.idempotent(ctx, key, "own.photos", arguments,
		`SELECT outcome, scopes, versions, gone FROM remove_own_photos($1, $2, $3, $4, $5, $6, $7)`,
		user, ids, until, deleteAtOnce, receipt)
	if err != nil {
		return nil, 0, err
	}
	deletion, err = read(ctx, s, "find a receipt", func(rows pgx.Rows) (id int64, err error) {
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error { return nil })
		return id, err
	}, "SELECT d.id FROM deletions d WHERE d.receipt = $1", receipt)
	return changes, deletion, err
}

// PhotoDeletion reads a deletion of a user's photos, see [Store.RemovePhotos]. It returns [ErrNotFound] for any other.
func (s *Store) PhotoDeletion(ctx context.Context, user, id int64) (*Deletion, error) {
	return s.deletion(ctx, "d.id = $2 AND d.user_id = $1 AND NOT d.account", user, id)
}

// DeletionLine is a deletion of photos in a list.
type DeletionLine struct {
	ID          int64
	At          time.Time
	Photos      int       // deleted so far
	FilesGoneAt time.Time // when the last file was removed; zero: not yet
}

// PhotoDeletions lists the deletions of a user's photos whose receipts can be read, newest first, at most ten.
func (s *Store) PhotoDeletions(ctx context.Context, user int64) ([]DeletionLine, error) {
	return read(ctx, s, "list receipts", func(rows pgx.Rows) ([]DeletionLine, error) {
		return pgx.CollectRows(rows, func(r pgx.CollectableRow) (line DeletionLine, err error) {
			var gone *time.Time
			if err = r.Scan(&line.ID, &line.At, &line.Photos, &gone); gone != nil {
				line.FilesGoneAt = *gone
			}
			return line, err
		})
	}, `
		SELECT d.id, d.deleted_at, d.photos, d.files_gone_at FROM deletions d
		WHERE d.user_id = $1 AND NOT d.account ORDER BY d.id DESC LIMIT 10`, user)
}
