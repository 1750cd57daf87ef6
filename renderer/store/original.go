package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Original is what is known of the original of a photo.
type Original struct {
	Image string // its id
	Title string // of the photo
}

// Original reads which file is the original of a photo: of a user's own, in the bin or not, or for user 0 of one whose
// original everybody may download. It returns [ErrNotFound] for any other.
func (s *Store) Original(ctx context.Context, user, photo int64) (Original, error) {
	sql, arguments := `
		SELECT p.image_id, p.title FROM photos p JOIN shown_users u ON u.id = p.user_id
		WHERE p.id = $1 AND p.downloadable AND NOT p.private`, []any{photo}
	if user != 0 {
		sql, arguments = `
		SELECT p.image_id, p.title FROM photos p JOIN shown_users u ON u.id = p.user_id
		WHERE p.id = $1 AND p.user_id = $2`, []any{photo, user}
	}
	return read(ctx, s, "read which original a photo shows", func(rows pgx.Rows) (Original, error) {
		o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Original])
		return o, orNotFound(err)
	}, sql, arguments...)
}
