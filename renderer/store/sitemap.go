package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// SitemapIndex says which parts of the sitemap hold an address.
type SitemapIndex struct {
	Snapshot
	Photos, Users, Albums []SitemapPartRow // newest part first, at most 15,000 of each: an index may name 50,000
}

// SitemapPartRow is a part: the N-th SitemapSize ids, from 1.
type SitemapPartRow struct {
	N       int64
	Changed time.Time // when the newest of its photos was posted; zero for users and albums
}

// SitemapPart is the photos, users or albums of a part, newest first. It depends on "all" alone although it shows
// rows of many users, more than an answer can depend on, so caches must not keep it.
type SitemapPart struct {
	Snapshot
	Rows []SitemapRow // at most SitemapSize
}

// SitemapRow is one photo, user or album.
type SitemapRow struct {
	ID      int64
	Name    string // users
	Picture        // photos; of its size the width alone
}

// SitemapIndex reads which parts exist: those with at least one public photo, one user with a public photo, or one
// album with one.
func (s *Store) SitemapIndex(ctx context.Context) (SitemapIndex, error) {
	return read(ctx, s, "read sitemap", collectSitemapIndex, `
		WITH tops AS MATERIALIZED (
			SELECT (coalesce((SELECT max(id) FROM photos), 0) + 4999) / 5000 AS photos, (coalesce((SELECT max(id)
				FROM users), 0) + 4999) / 5000 AS users,
				(coalesce((SELECT max(id) FROM albums), 0) + 4999) / 5000 AS albums
		)
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 13, 0, n, 0, x.posted_at, '', '', 0, 0, 0, '', '' FROM tops, generate_series(photos, greatest(1,
			photos - 14999), -1) AS n, LATERAL (
			SELECT p.posted_at FROM photos p WHERE NOT p.private AND p.id > (n - 1) * 5000 AND p.id <= n * 5000
				ORDER BY p.id DESC LIMIT 1) AS x
		UNION ALL
		SELECT 14, 0, n, 0, 'epoch', '', '', 0, 0, 0, '', '' FROM tops, generate_series(users, greatest(1,
			users - 14999), -1) AS n, LATERAL (
			SELECT FROM shown_users u WHERE u.photo_count > 0 AND u.id > (n - 1) * 5000 AND u.id <= n * 5000
				ORDER BY u.id DESC LIMIT 1) AS x
		UNION ALL
		SELECT 15, 0, n, 0, 'epoch', '', '', 0, 0, 0, '', '' FROM tops, generate_series(albums, greatest(1,
			albums - 14999), -1) AS n, LATERAL (
			SELECT FROM shown_albums a JOIN album_counts c ON c.album_id = a.id AND c.photo_count > 0
			WHERE a.id > (n - 1) * 5000 AND a.id <= n * 5000 ORDER BY a.id DESC LIMIT 1) AS x`)
}

func collectSitemapIndex(rows pgx.Rows) (index SitemapIndex, err error) {
	err = eachRow(rows, index.begin, func(r *row) {
		switch r.kind {
		case kindPhotoPart:
			index.Photos = append(index.Photos, r.sitemapPart())
		case kindUserPart:
			index.Users = append(index.Users, SitemapPartRow{N: r.part()})
		case kindAlbumPart:
			index.Albums = append(index.Albums, SitemapPartRow{N: r.part()})
		}
	})
	return index, err
}

// SitemapPhotos reads the public photos of the n-th part.
func (s *Store) SitemapPhotos(ctx context.Context, n int64) (SitemapPart, error) {
	return s.sitemapPart(ctx, n, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		(SELECT 3, 0, p.id, 0, 'epoch', '', p.id || '.' || p.picture, p.width, 0, 0, '', ''
			FROM photos p JOIN shown_users u ON u.id = p.user_id
			WHERE NOT p.private AND p.id > $1::bigint AND p.id <= $1 + 5000 ORDER BY p.id DESC LIMIT 5000)`)
}

// SitemapUsers reads the users of the n-th part who have public photos. It leaves out when each last posted: with
// nothing in memory, those 5,000 scattered reads took 1.1 s.
func (s *Store) SitemapUsers(ctx context.Context, n int64) (SitemapPart, error) {
	return s.sitemapPart(ctx, n, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		(SELECT 16, 0, id, 0, 'epoch', '', name, 0, 0, 0, '', '' FROM shown_users
			WHERE photo_count > 0 AND id > $1::bigint AND id <= $1 + 5000 ORDER BY id DESC LIMIT 5000)`)
}

// SitemapAlbums reads the albums of the n-th part that have public photos.
func (s *Store) SitemapAlbums(ctx context.Context, n int64) (SitemapPart, error) {
	return s.sitemapPart(ctx, n, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		(SELECT 16, 0, a.id, 0, 'epoch', '', '', 0, 0, 0, '', '' FROM shown_albums a JOIN shown_users u ON u.id = a.user_id
			JOIN album_counts c ON c.album_id = a.id AND c.photo_count > 0
			WHERE a.id > $1::bigint AND a.id <= $1 + 5000 ORDER BY a.id DESC LIMIT 5000)`)
}

func (s *Store) sitemapPart(ctx context.Context, n int64, sql string) (SitemapPart, error) {
	if n > newest/SitemapSize {
		n = newest / SitemapSize // there is nothing there either
	}
	return read(ctx, s, "read a part of the sitemap", collectSitemapPart, sql, (n-1)*SitemapSize)
}

func collectSitemapPart(rows pgx.Rows) (part SitemapPart, err error) {
	err = eachRow(rows, part.begin, func(r *row) {
		switch r.kind {
		case kindPhoto:
			part.Rows = append(part.Rows, SitemapRow{ID: r.id, Picture: r.picture()})
		case kindEntry:
			part.Rows = append(part.Rows, r.sitemapEntry())
		}
	})
	return part, err
}
