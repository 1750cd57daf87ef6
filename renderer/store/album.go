package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Album is a series of photos in the order their owner gave them.
type Album struct {
	ID          int64
	Title       string
	Description string
	PhotoCount  int32 // public photos
	CreatedAt   time.Time
	Owner
}

// AlbumPage is one page of an album.
type AlbumPage struct {
	Snapshot
	Album  *Album     // nil: there is no such album
	Parent *AlbumName // that it is in; nil: it is in none
	Inside []Cover    // first page only: the albums in it that have a public photo, oldest first, 100 at most
	Cover  Card       // the photo that stands for it, without its owner; zero if no public one does
	Photos []Card     // in the album's order, at most PageSize
	// Positions of the neighbouring pages: Ref.Before(Previous) and Ref.After(Next); 0 where there is none. They are
	// places in the album, not photo ids.
	Previous, Next int64
}

// Album reads the first page of an album, or the one after or before a position in it; at most one of the two is not 0.
func (s *Store) Album(ctx context.Context, id, after, before int64) (AlbumPage, error) {
	collect := func(rows pgx.Rows) (AlbumPage, error) { return collectAlbum(rows, id, before > 0) }
	return read(ctx, s, "read album", collect, `
		SELECT 0, 0, 0::bigint, version, `+readAt+`, '', '', 0, 0, 0, '', '' FROM epoch
		UNION ALL
		SELECT 1, 0, 0, version, now(), '', '', 0, 0, 0, '', '' FROM tombstones WHERE scope = 'album.' || $1::bigint
		UNION ALL
		SELECT 9, 0, a.id, u.version, a.created_at, a.title, a.description, coalesce(c.photo_count, 0), CASE
				WHEN $3::bigint > 0 THEN EXISTS (
					SELECT FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
						WHERE m.album_id = $1 AND m.position >= $3)
				WHEN $2::bigint > 0 THEN EXISTS (
					SELECT FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
						WHERE m.album_id = $1 AND m.position <= $2)
				ELSE false END::integer,
			0, u.name, u.display_name
		FROM shown_albums a JOIN shown_users u ON u.id = a.user_id LEFT JOIN album_counts c ON c.album_id = a.id
		WHERE a.id = $1
		UNION ALL
		SELECT 17, 0, p.id, 0, now(), p.title, '', 0, 0, 0, '', '' FROM shown_albums a JOIN shown_albums p ON p.id = a.parent
		WHERE a.id = $1
		UNION ALL
		SELECT 18, 0, c.id, 0, c.posted_at, c.title, c.id || '.' || c.picture, c.width, c.height, c.color, '', ''
		FROM shown_albums a, LATERAL album_cover(a.id, a.cover_photo) AS c WHERE a.id = $1
		UNION ALL
		(SELECT 4, 0, k.id, n.photo_count, k.created_at, k.title, c.id || '.' || c.picture, c.width, c.height, c.color,
			'', ''
			FROM shown_albums k JOIN album_counts n ON n.album_id = k.id AND n.photo_count > 0,
				LATERAL album_cover(k.id, k.cover_photo) AS c
			WHERE $2 = 0 AND $3 = 0 AND k.parent = $1 ORDER BY k.id LIMIT 100)
		UNION ALL
		(SELECT 3, m.position, p.id, 0, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, '', ''
			FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
			WHERE $3 = 0 AND m.album_id = $1 AND m.position > $2 ORDER BY m.position LIMIT 49)
		UNION ALL
		(SELECT 3, m.position, p.id, 0, p.posted_at, p.title, p.id || '.' || p.picture, p.width, p.height, p.color, '', ''
			FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
			WHERE $3 > 0 AND m.album_id = $1 AND m.position < $3 ORDER BY m.position DESC LIMIT 49)`,
		id, after, before)
}

func collectAlbum(rows pgx.Rows, id int64, backwards bool) (AlbumPage, error) {
	page := AlbumPage{Photos: make([]Card, 0, PageSize+1)}
	positions := make([]int32, 0, PageSize+1)
	var tombstone int64
	var behind bool
	err := eachRow(rows, page.begin, func(r *row) {
		switch r.kind {
		case kindTombstone:
			tombstone = r.tombstone().version
		case kindAlbum:
			a := r.album()
			page.Album, behind = a.album, a.behind
			page.on(a.album.Name, a.version)
		case kindParent:
			name := r.albumName()
			page.Parent = &name
		case kindAlbumCover:
			page.Cover = r.card()
		case kindCover:
			page.Inside = append(page.Inside, r.cover().cover)
		case kindPhoto:
			if page.Album == nil { // its owner is gone, and its rows are not yet
				return
			}
			p := r.photo()
			p.card.Owner = page.Album.Owner
			page.Photos = append(page.Photos, p.card)
			positions = append(positions, p.place)
		}
	})
	if err != nil {
		return page, err
	}
	if page.Album == nil {
		page.absent("album."+strconv.FormatInt(id, 10), tombstone)
		return page, nil
	}
	page.Photos, page.Previous, page.Next = placed(page.Photos, positions, backwards, behind)
	return page, nil
}

// placed makes a page of an album from up to PageSize+1 rows with their positions, read from a position backwards or
// forwards. behind says whether there are photos on the other side of it. It returns the positions of the neighbouring
// pages, see [AlbumPage].
func placed[T any](rows []T, positions []int32, backwards, behind bool) (page []T, previous, next int64) {
	more := len(rows) > PageSize
	if more {
		rows, positions = rows[:PageSize], positions[:PageSize]
	}
	hasPrevious, hasNext := behind, more
	if backwards {
		slices.Reverse(rows)
		slices.Reverse(positions)
		hasPrevious, hasNext = more, behind
	}
	if len(positions) == 0 {
		return rows, 0, 0
	}
	if hasPrevious {
		previous = int64(positions[0])
	}
	if hasNext {
		next = int64(positions[len(positions)-1])
	}
	return rows, previous, next
}
