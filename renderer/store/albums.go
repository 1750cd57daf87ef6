package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// AlbumsPage is one page of a user's albums, newest first.
type AlbumsPage struct {
	Snapshot
	User   *User   // nil: nobody has this name
	Covers []Cover // at most PageSize; albums without a public photo are left out
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
		SELECT 0, 0, 0::bigint, version, now(), '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '' FROM tombstones WHERE scope = 'user.' || $1
		UNION ALL
		SELECT 2, 0, 0, f.version, f.created_at, '', f.bio, f.photo_count, CASE
				WHEN $3::bigint > 0 THEN EXISTS (
					SELECT FROM albums a JOIN album_counts c ON c.album_id = a.id AND c.photo_count > 0
						WHERE a.user_id = f.id AND a.id <= $3)
				WHEN $2::bigint < $4::bigint THEN EXISTS (
					SELECT FROM albums a JOIN album_counts c ON c.album_id = a.id AND c.photo_count > 0
						WHERE a.user_id = f.id AND a.id >= $2)
				ELSE false END::integer,
			0, f.name, f.display_name FROM found f
		UNION ALL
		SELECT 4, 0, a.id, a.photo_count, a.created_at, a.title, cover.picture, cover.width, cover.height, cover.color,
			'', ''
		FROM found f, LATERAL (
			(SELECT o.*, c.photo_count FROM albums o JOIN album_counts c ON c.album_id = o.id AND c.photo_count > 0
				WHERE $3 = 0 AND o.user_id = f.id AND o.id < $2 ORDER BY o.id DESC LIMIT 49)
			UNION ALL
			(SELECT n.*, c.photo_count FROM albums n JOIN album_counts c ON c.album_id = n.id AND c.photo_count > 0
				WHERE $3 > 0 AND n.user_id = f.id AND n.id > $3 ORDER BY n.id LIMIT 49)
		) AS a, LATERAL (
			SELECT p.id || '.' || p.picture AS picture, p.width, p.height, p.color
			FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
			WHERE m.album_id = a.id ORDER BY m.position LIMIT 1
		) AS cover`,
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
