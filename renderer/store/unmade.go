package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// TakePicture takes a picture whose derivatives are to be made. It is the caller's for a minute: what is not made by
// then is taken by another one. image is one that nobody has taken before, or "" for any that is due. It returns "" if
// there is none, and how often the picture was taken, this time included.
func (s *Store) TakePicture(ctx context.Context, image string) (taken string, times int, err error) {
	var id *string
	var n *int
	err = s.pool.QueryRow(ctx, "SELECT image, times FROM take_picture($1)", orNull(image)).Scan(&id, &n)
	if err != nil {
		return "", 0, fmt.Errorf("take a picture to make: %w", err)
	}
	fill(&taken, id)
	fill(&times, n)
	return taken, times, nil
}

// PictureMade notes that the derivatives of a picture are made, and its size and blur as decoded. The
// photos that show it follow.
func (s *Store) PictureMade(ctx context.Context, image string, width, height int, color uint32) error {
	return s.exec(ctx, "note that a picture is made", "SELECT picture_made($1, $2, $3, $4)", image, width, height,
		color)
}

// PicturePostponed notes that nothing was wrong with a picture whose derivatives could not be made: the disk may be
// full. It is taken again later.
func (s *Store) PicturePostponed(ctx context.Context, image string, times int) error {
	return s.exec(ctx, "postpone a picture",
		"UPDATE unmade_pictures SET tries = 1 WHERE image_id = $1 AND tries = $2", image, times)
}

// PictureGone forgets a picture whose original was not there when it was taken. One that has been uploaded again since
// was not taken so often.
func (s *Store) PictureGone(ctx context.Context, image string, times int) error {
	return s.exec(ctx, "forget a picture", "DELETE FROM unmade_pictures WHERE image_id = $1 AND tries = $2", image,
		times)
}

// PictureGivenUp notes that a picture is not to be decoded, because processes end that do. It is taken again a day
// later, when its original may be gone.
func (s *Store) PictureGivenUp(ctx context.Context, image string, times int) error {
	return s.exec(ctx, "give a picture up", `
		UPDATE unmade_pictures SET due_at = clock_timestamp() + interval '1 day'
		WHERE image_id = $1 AND tries = $2`, image, times)
}

// TimesTaken says how often a picture was taken that waits to be made; 0: it does not wait, or was not taken.
func (s *Store) TimesTaken(ctx context.Context, image string) (int, error) {
	return read(ctx, s, "look how often a picture was taken", func(rows pgx.Rows) (int, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	}, "SELECT coalesce((SELECT tries FROM unmade_pictures WHERE image_id = $1), 0)", image)
}

// exec runs a statement that may be repeated.
func (s *Store) exec(ctx context.Context, op, sql string, args ...any) error {
	_, err := withRetry(ctx, s, actionLimit, op, isRetryable, func(ctx context.Context) (struct{}, error) {
		_, err := s.pool.Exec(ctx, sql, args...)
		return struct{}{}, err
	})
	return err
}

// RemovedPhoto is a photo that was removed because its picture cannot be decoded.
type RemovedPhoto struct {
	Upload  UploadID // its ID is "" if it is not known any more
	Photo   int64
	Private bool
	Scope   string // of the owner, who may be gone: ""
	Version int64
}

// Changes are the scopes that the removal has changed for anybody.
func (r *RemovedPhoto) Changes() []Change {
	if r.Private || r.Scope == "" {
		return nil
	}
	return []Change{
		{Scope: r.Scope, Version: r.Version, Gone: true},
		{Scope: fmt.Sprintf("photo.%d", r.Photo), Version: r.Version, Gone: true},
	}
}

// RefusePicture removes the photos of a picture that cannot be decoded. problem says why, for their uploads.
func (s *Store) RefusePicture(ctx context.Context, image, problem string) ([]RemovedPhoto, error) {
	const op = "remove a picture that cannot be decoded"
	return withRetry(ctx, s, actionLimit, op, isRetryable, func(ctx context.Context) ([]RemovedPhoto, error) {
		rows, err := s.pool.Query(ctx,
			"SELECT owner, upload, photo, hidden, scope, version FROM picture_refused($1, $2)", image, problem)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RemovedPhoto, err error) {
			var upload, scope *string
			var version *int64
			err = row.Scan(&r.Upload.User, &upload, &r.Photo, &r.Private, &scope, &version)
			fill(&r.Upload.ID, upload)
			fill(&r.Scope, scope)
			fill(&r.Version, version)
			return r, err
		})
	})
}
