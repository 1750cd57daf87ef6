package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// MaxAlbums is how many albums a user may make.
const MaxAlbums = 1000

// MaxAlbumPhotos is how many photos an album may have, as album_overfull (032) says.
const MaxAlbumPhotos = 10000

// Errors of changes of a user's own albums.
var (
	ErrNoParent = errors.New("the user calls no album so")
	ErrTooDeep  = errors.New("an album that has albums, or is in one, goes into no other")
	ErrHidden   = errors.New("not everybody may see the photo")
	ErrFull     = errors.New("an album has 10,000 photos at most")
	// ErrLongTitle: no album has the label, which is too long for the title of a new one.
	ErrLongTitle = errors.New("the title of an album has 200 characters at most")
)

// AlbumEdit is a change of a user's own album. A nil field stays as it is.
type AlbumEdit struct {
	Title       *string `json:",omitempty"` // 1 to 200 characters
	Description *string `json:",omitempty"` // at most 5,000
	Parent      *string `json:",omitempty"` // the label of the album that it goes into; "" for none
}

// MakeOwnAlbum makes an album, in another one if parent is its label. It returns the scopes of the user and, second,
// the album. Errors: [ErrTaken] if an album at the same place has the title, [ErrTooMany], [ErrNoParent], [ErrTooDeep],
// [ErrNotFound] for a user who is gone, [ErrConflict].
func (s *Store) MakeOwnAlbum(ctx context.Context, key string, user int64, title, description, parent string) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.albums.make", []any{user, title, description, parent},
		"SELECT outcome, scopes, versions, gone FROM make_own_album($1, $2, $3, $4, $5, $6, $7)",
		user, title, description, parent, MaxAlbums)
}

// MakePrivateAlbum is MakeOwnAlbum of an album that nobody else ever sees until its owner shows it.
func (s *Store) MakePrivateAlbum(ctx context.Context, key string, user int64, title, description, parent string) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.albums.make-private", []any{user, title, description, parent},
		"SELECT outcome, scopes, versions, gone FROM make_private_album($1, $2, $3, $4, $5, $6, $7)",
		user, title, description, parent, MaxAlbums)
}

// EditOwnAlbum changes a user's own album, and returns the scope of the user. Errors: [ErrNotFound] for an album that
// is none of theirs, and those of [Store.MakeOwnAlbum] but for ErrTooMany.
func (s *Store) EditOwnAlbum(ctx context.Context, key string, user, album int64, edit AlbumEdit) ([]Change, error) {
	return s.idempotent(ctx, key, "own.album.edit", []any{user, album, edit},
		"SELECT outcome, scopes, versions, gone FROM edit_own_album($1, $2, $3, $4, $5, $6, $7)",
		user, album, edit.Title, edit.Description, edit.Parent)
}

// DeleteOwnAlbum deletes a user's own album and none of its photos; albums in it are in none then. It returns the
// scopes of the user and of the album. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) DeleteOwnAlbum(ctx context.Context, key string, user, album int64) ([]Change, error) {
	return s.idempotent(ctx, key, "own.album.delete", []any{user, album},
		"SELECT outcome, scopes, versions, gone FROM delete_own_album($1, $2, $3, $4)", user, album)
}

// CoverOwnAlbum chooses the photo that stands for a user's own album; 0 is the first one. It returns the scope of the
// user. Errors: [ErrNotFound] if there is no such album, or the photo is not in it, [ErrHidden], [ErrConflict].
func (s *Store) CoverOwnAlbum(ctx context.Context, key string, user, album, photo int64) ([]Change, error) {
	return s.idempotent(ctx, key, "own.album.cover", []any{user, album, photo},
		"SELECT outcome, scopes, versions, gone FROM cover_own_album($1, $2, $3, $4, $5)", user, album, orNull(photo))
}

// AddToOwnAlbum puts those of some photos that are a user's, at most 200, at the end of the album with the label, in
// the given order. It makes the album if there is none, and leaves photos that are in it where they are. It returns the
// scope of the user, and that of an album that it has made. Errors: [ErrNotFound] if none of the photos is theirs,
// [ErrTooMany] if they have as many albums as they may, [ErrFull], [ErrLongTitle], [ErrConflict].
func (s *Store) AddToOwnAlbum(ctx context.Context, key string, user int64, label string, photos []int64) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.album.add", []any{user, label, photos},
		"SELECT outcome, scopes, versions, gone FROM add_to_own_album($1, $2, $3, $4, $5, $6)",
		user, label, photos, MaxAlbums)
}

// TakeFromOwnAlbum takes photos out of a user's own album: that with the id, or, if that is 0, that with the label. It
// returns the scope of the user. Errors: [ErrNotFound] if there is no such album, [ErrConflict].
func (s *Store) TakeFromOwnAlbum(ctx context.Context, key string, user, album int64, label string, photos []int64) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.album.take", []any{user, album, label, photos},
		"SELECT outcome, scopes, versions, gone FROM take_from_own_album($1, $2, $3, $4, $5, $6)",
		user, orNull(album), label, photos)
}

// AlbumMove says where photos of an album go, which keep their order among each other.
type AlbumMove string

// The moves.
const (
	MoveFirst   AlbumMove = "first"
	MoveLast    AlbumMove = "last"
	MoveEarlier AlbumMove = "earlier" // by one place
	MoveLater   AlbumMove = "later"   // by one place
	MoveBefore  AlbumMove = "before"  // a photo
	MoveAfter   AlbumMove = "after"   // a photo
	MovePlace   AlbumMove = "place"   // the place with a number, from 1
)

// MoveInOwnAlbum moves photos of a user's own album. n is the photo, or the number of the place, that the move needs.
// It returns the scope of the user. Errors: [ErrNotFound] if there is no such album or none of the photos, or not the
// photo n, is in it; [ErrConflict].
func (s *Store) MoveInOwnAlbum(
	ctx context.Context, key string, user, album int64, photos []int64, move AlbumMove, n int64,
) ([]Change, error) {
	return s.idempotent(ctx, key, "own.album.move", []any{user, album, photos, move, n},
		"SELECT outcome, scopes, versions, gone FROM move_in_own_album($1, $2, $3, $4, $5, $6, $7)",
		user, album, photos, string(move), n)
}

// ShowOwnAlbum says who sees a user's own album: everybody, or if private its owner alone, or if unlisted, too, whoever
// has its link; link is what it gets if it has none. It returns the scope of the user, and that of the album if it
// became private or public. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) ShowOwnAlbum(
	ctx context.Context, key string, user, album int64, private, unlisted bool, link ShareSecret,
) ([]Change, error) {
	return s.idempotent(ctx, key, "own.album.show", []any{user, album, private, unlisted},
		"SELECT outcome, scopes, versions, gone FROM show_own_album($1, $2, $3, $4, $5, $6, $7, $8)",
		user, album, private, unlisted, link.Nonce, link.Hash)
}

// OwnAlbum is an album in the list of a user's own.
type OwnAlbum struct {
	Cover          // without a picture if it has no public photo; PhotoCount may be 0
	Inside []Cover // the albums in it, oldest first, without pictures

	Private bool // only its owner sees it, or whoever has a link
}

// OwnAlbums reads a page of a user's own albums that are in no other one, newest first: the first, or the one after an
// album id. older is the position of the next page; 0: there is none.
func (s *Store) OwnAlbums(ctx context.Context, user, before int64) (albums []OwnAlbum, older int64, err error) {
	before, _ = from(before, 0)
	albums, err = read(ctx, s, "list own albums", func(rows pgx.Rows) ([]OwnAlbum, error) {
		var all []OwnAlbum
		inside := map[int64][]Cover{} // by the album that they are in
		var c Cover
		var parent int64
		var private bool
		_, err := pgx.ForEachRow(rows, []any{&c.ID, &parent, &private, &c.Title, &c.PhotoCount, &c.PhotoID,
			&c.Generation, &c.Width, &c.Height, &c.Color}, func() error {
			if parent == 0 {
				all = append(all, OwnAlbum{Cover: c, Private: private})
			} else {
				inside[parent] = append(inside[parent], c)
			}
			return nil
		})
		slices.SortFunc(all, func(a, b OwnAlbum) int { return cmp.Compare(b.ID, a.ID) })
		for i, a := range all {
			slices.SortFunc(inside[a.ID], func(a, b Cover) int { return cmp.Compare(a.ID, b.ID) })
			all[i].Inside = inside[a.ID]
		}
		return all, err
	}, `
		WITH page AS MATERIALIZED (
			SELECT * FROM albums a WHERE a.user_id = $1 AND a.parent IS NULL AND a.id < $2 ORDER BY a.id DESC LIMIT 49
		)
		SELECT a.id, 0, a.private, a.title, coalesce(n.photo_count, 0), coalesce(c.id, 0), coalesce(c.picture, 0),
			coalesce(c.width, 0), coalesce(c.height, 0), coalesce(c.color, 0)
		FROM page a LEFT JOIN album_counts n ON n.album_id = a.id
			LEFT JOIN LATERAL album_cover(a.id, a.cover_photo) AS c ON true
		UNION ALL
		SELECT k.id, k.parent, k.private, k.title, coalesce(n.photo_count, 0), 0, 0, 0, 0, 0
		FROM page a JOIN albums k ON k.parent = a.id LEFT JOIN album_counts n ON n.album_id = k.id`, user, before)
	if len(albums) > PageSize {
		albums = albums[:PageSize]
		older = albums[PageSize-1].ID
	}
	return albums, older, err
}

// OwnAlbumNames reads the labels of a user's newest 50 albums, or of those alone that are in no other one, in
// alphabetical order.
func (s *Store) OwnAlbumNames(ctx context.Context, user int64, outer bool) ([]string, error) {
	return read(ctx, s, "list own albums' names", func(rows pgx.Rows) ([]string, error) {
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		slices.Sort(names)
		return names, err
	}, `
		SELECT coalesce(p.title || ' / ', '') || a.title FROM (
			SELECT * FROM albums o WHERE o.user_id = $1 AND (NOT $2::boolean OR o.parent IS NULL)
			ORDER BY o.id DESC LIMIT 50
		) AS a LEFT JOIN albums p ON p.id = a.parent`, user, outer)
}

// OwnAlbumPage is one page of an album as its owner sees it: with private photos, without those in the bin.
type OwnAlbumPage struct {
	ID, CoverPhoto     int64 // CoverPhoto is the one that was chosen; 0: none was
	Title, Description string
	Parent             string // the title of the album that it is in; "": it is in none
	Private            bool
	Link               []byte // the nonce of the link that makes it unlisted; nil: it is public or private
	Total              int64  // photos
	Photos             []OwnPhoto
	Place              int64   // the number of the first photo of the page, from 1
	Previous, Next     int64   // positions of the neighbouring pages; 0 where there is none
	Inside             []Cover // the albums in it, oldest first, without pictures
}

// OwnAlbum reads a user's own album: the first page, or the one after or before a position; at most one of the two is
// not 0. It returns [ErrNotFound] for an album that is none of theirs.
func (s *Store) OwnAlbum(ctx context.Context, user, id, after, before int64) (*OwnAlbumPage, error) {
	type placed struct {
		OwnPhoto
		position int64
	}
	photos, err := read(ctx, s, "list an own album", func(rows pgx.Rows) ([]placed, error) {
		return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p placed, err error) {
			return p, r.Scan(&p.position, &p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width, &p.Height,
				&p.Color, &p.Private)
		})
	}, `
		SELECT m.position, p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private FROM (
			(SELECT f.position, f.photo_id FROM album_photos f
					JOIN photos o ON o.id = f.photo_id AND o.binned_at IS NULL
				WHERE $4::bigint = 0 AND f.album_id = $2 AND f.user_id = $1 AND f.position > $3
				ORDER BY f.position LIMIT 48)
			UNION ALL
			(SELECT b.position, b.photo_id FROM album_photos b
					JOIN photos o ON o.id = b.photo_id AND o.binned_at IS NULL
				WHERE $4 > 0 AND b.album_id = $2 AND b.user_id = $1 AND b.position < $4
				ORDER BY b.position DESC LIMIT 48)
		) AS m JOIN photos p ON p.id = m.photo_id`, user, id, after, before)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(photos, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	first := after + 1
	if len(photos) > 0 {
		first = photos[0].position
	}
	page, err := s.ownAlbum(ctx, user, id, first)
	if err != nil {
		return nil, err
	}
	for _, p := range photos {
		page.Photos = append(page.Photos, p.OwnPhoto)
	}
	if n := len(photos); n > 0 && page.Place > 1 {
		page.Previous = first
	}
	if n := len(photos); n > 0 && page.Place-1+int64(n) < page.Total {
		page.Next = photos[n-1].position
	}
	return page, nil
}

// ownAlbum reads what is written about an album, its albums, and the place of the position first.
func (s *Store) ownAlbum(ctx context.Context, user, id, first int64) (*OwnAlbumPage, error) {
	return read(ctx, s, "read an own album", func(rows pgx.Rows) (*OwnAlbumPage, error) {
		p, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (p OwnAlbumPage, err error) {
			var before int64
			var ids, counts []int64
			var titles []string
			err = r.Scan(&p.ID, &p.CoverPhoto, &p.Title, &p.Description, &p.Private, &p.Link, &p.Parent, &p.Total,
				&before, &ids, &titles, &counts)
			for i := range ids {
				p.Inside = append(p.Inside, Cover{ID: ids[i], Title: titles[i], PhotoCount: counts[i]})
			}
			slices.SortFunc(p.Inside, func(a, b Cover) int { return cmp.Compare(a.ID, b.ID) })
			p.Place = before + 1
			return p, err
		})
		return &p, orNotFound(err)
	}, `
		WITH binned AS MATERIALIZED (
			SELECT m.position FROM photos p JOIN album_photos m ON m.photo_id = p.id AND m.album_id = $2
			WHERE p.user_id = $1 AND p.binned_at IS NOT NULL
		)
		SELECT a.id, coalesce(a.cover_photo, 0), a.title, a.description, a.private,
			(SELECT s.nonce FROM shares s WHERE s.album_id = a.id AND s.unlisted AND a.private), coalesce(p.title, ''),
			(SELECT count(*) FROM album_photos m WHERE m.album_id = a.id) - (SELECT count(*) FROM binned),
			(SELECT count(*) FROM album_photos m WHERE m.album_id = a.id AND m.position < $3)
				- (SELECT count(*) FROM binned b WHERE b.position < $3), k.ids, k.titles, k.counts
		FROM albums a JOIN shown_users u ON u.id = a.user_id LEFT JOIN albums p ON p.id = a.parent, LATERAL (
			SELECT array_agg(o.id) AS ids, array_agg(o.title) AS titles,
				array_agg(coalesce(n.photo_count, 0)::bigint) AS counts
			FROM albums o LEFT JOIN album_counts n ON n.album_id = o.id WHERE o.parent = a.id
		) AS k
		WHERE a.id = $2 AND a.user_id = $1`, user, id, first)
}
