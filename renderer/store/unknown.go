package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5/pgxpool"
)

const unknownAtOnce = 1000 // originals that one question names

// RemoveUnknown has the site remove, 30 s later, files of those originals that nothing in its database names: neither
// an image, nor an open upload, nor an entry that is to be removed. It returns how many. [Store.RemoveUnused] looks
// once more before it removes any, so it does no harm to name an original that somebody uploads now. A database without
// any image names none: most likely it has not been restored yet, so nothing is removed.
func RemoveUnknown(ctx context.Context, db *pgxpool.Pool, originals iter.Seq2[string, error]) (n int64, err error) {
	ids := make([]string, 0, unknownAtOnce)
	ask := func() error {
		tag, err := db.Exec(ctx, `
			SELECT original_unused(0, a.id) FROM unnest($1::text[]) AS a (id)
			WHERE EXISTS (SELECT FROM images)
				AND NOT EXISTS (SELECT FROM images i WHERE i.id = a.id)
				AND NOT EXISTS (SELECT FROM uploads u WHERE u.image_id = a.id AND u.ended_at IS NULL)
				AND NOT EXISTS (SELECT FROM unused_images u WHERE u.image_id = a.id)`, ids)
		if err != nil {
			return fmt.Errorf("look for unknown originals: %w", err)
		}
		n, ids = n+tag.RowsAffected(), ids[:0]
		return nil
	}
	for id, err := range originals {
		if err != nil {
			return n, err
		}
		if ids = append(ids, id); len(ids) == unknownAtOnce {
			if err := ask(); err != nil {
				return n, err
			}
		}
	}
	return n, ask()
}
