package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// FlatImage is an image whose row has a colour, 0xRRGGBB, where a blur belongs (migration 026).
type FlatImage struct {
	ID    string
	Color int32
}

// NextFlatImage returns the first such image behind an id; the zero FlatImage if there is none.
func (s *Store) NextFlatImage(ctx context.Context, after string) (FlatImage, error) {
	return read(ctx, s, "read an image without a blur", func(rows pgx.Rows) (FlatImage, error) {
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[FlatImage])
		if err != nil || len(all) == 0 {
			return FlatImage{}, err
		}
		return all[0], nil
	}, "SELECT id, color FROM images WHERE color < 1073741824 AND id > $1 ORDER BY id LIMIT 1", after)
}

// SetBlur replaces the colour of an image, if it still has that, by a blur. The photos that show it follow.
func (s *Store) SetBlur(ctx context.Context, image FlatImage, blur uint32) error {
	return s.exec(ctx, "set a blur", "UPDATE images SET color = $3 WHERE id = $1 AND color = $2", image.ID, image.Color,
		blur)
}
