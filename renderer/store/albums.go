package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// AlbumsPage is one page of a user's albums that are in no other one that everybody sees, newest first.
type AlbumsPage struct {
	Snapshot
	User   *User   // nil: nobody has this name
	Covers []Cover // at most PageSize; albums without a public photo, their own or of one inside, are left out
	// Positions of the neighbouring pages: Ref.After(Newer) and Ref.Before(Older), album ids; 0 where there is none.
	Newer, Older int64
}

// Albums reads the first page of a user's albums, or the one before or after an album id; at most one of the two is not
// 0.
func (s *Store) Albums(ctx context.Context, name string, before, after int64) (AlbumsPage, error) {
	lower, upper := from(before, after)
	collect := func(rows pgx.Rows) (AlbumsPage, error) { return collectAlbums(rows, name, before, after) }
	return read(ctx, s, "read albums", collect, `
		WITH found AS MATERIALIZED (SELECT * FROM shown_users WHERE name = $1)
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '' FROM tombstones WHERE scope = 'user.' || $1
		UNION ALL
		SELECT 2, 0, 0, f.version, f.created_at, '', f.bio, f.photo_count, CASE
				WHEN $3::bigint > 0 THEN EXISTS (
					SELECT FROM outermost_albums a, LATERAL album_size(a.id) AS size (n)
						WHERE a.user_id = f.id AND size.n > 0 AND a.id <= $3)
				WHEN $2::bigint < $4::bigint THEN EXISTS (
					SELECT FROM outermost_albums a, LATERAL album_size(a.id) AS size (n)
						WHERE a.user_id = f.id AND size.n > 0 AND a.id >= $2)
				ELSE false END::integer,
			0, f.name, f.display_name FROM found f
		UNION ALL
		SELECT 4, 0, a.id, a.photo_count, a.created_at, a.title, c.id || '.' || c.picture, c.width, c.height, c.color,
			'', ''
		FROM found f, LATERAL (
			(SELECT o.*, size.photo_count FROM outermost_albums o, LATERAL album_size(o.id) AS size (photo_count)
				WHERE $3 = 0 AND o.user_id = f.id AND size.photo_count > 0 AND o.id < $2
				ORDER BY o.id DESC LIMIT 49)
			UNION ALL
			(SELECT n.*, size.photo_count FROM outermost_albums n, LATERAL album_size(n.id) AS size (photo_count)
				WHERE $3 > 0 AND n.user_id = f.id AND size.photo_count > 0 AND n.id > $3
				ORDER BY n.id LIMIT 49)
		) AS a, LATERAL album_cover(a.id, a.cover_photo) AS c`,
		name, lower, upper, newest)
}

func collectAlbums(rows pgx.Rows, name string, before, after int64) (AlbumsPage, error) {
	var page AlbumsPage
	var tombstone int64
	var behind bool
	err := eachRow(rows, page.begin, func(r *row) {
		switch r.kind {
		case kindTombstone:
			tombstone = r.tombstone().version
		case kindUser:
			u := r.user()
			page.User, behind = u.user, u.behind
			page.on(u.user.Name, u.version)
		case kindCover:
			page.Covers = append(page.Covers, r.cover().cover)
		}
	})
	if err == nil && page.User == nil {
		page.absent("user."+name, tombstone)
	}
	page.Covers, page.Newer, page.Older = around(page.Covers, func(c *Cover) int64 { return c.ID }, before, after,
		behind)
	return page, err
}
