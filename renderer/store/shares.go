package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// NewShare is a link that is to be made, to a photo or to an album. The zero value of a field means that it has none.
type NewShare struct {
	Photo, Album int64  `json:",omitempty"` // one of the two is 0
	Name         string `json:",omitempty"` // at most 60 characters
	Password     string `json:",omitempty"` // a PHC string
	Days         int    `json:",omitempty"` // how long it lasts; 0: until it is revoked
	Adds         bool   `json:",omitempty"` // whoever has it may add photos to the album
}

// MakeShare makes a link to a photo or an album of a user's own. Of those that make nothing unlisted a user may have
// most. A repeated call makes none, whatever its secret. It returns the current version of the user.
// Errors: [ErrNotFound] for what is none of theirs, [ErrTooMany], [ErrConflict].
func (s *Store) MakeShare(
	ctx context.Context, key string, user int64, share NewShare, secret ShareSecret, most int,
) ([]Change, error) {
	return s.idempotent(ctx, key, "own.share", []any{user, share}, `
		SELECT outcome, scopes, versions, gone
		FROM make_share($1, $2, $3, nullif($4::bigint, 0), nullif($5::bigint, 0), $6, nullif($7::text, ''),
			nullif($8::integer, 0), $9, $10, $11, $12)`,
		user, share.Photo, share.Album, share.Name, share.Password, share.Days, secret.Nonce, secret.Hash, most,
		share.Adds)
}

// EndShare revokes a link of a user's own: what reads it afterwards finds none. It returns the current version of the
// user. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) EndShare(ctx context.Context, key string, user, id int64) ([]Change, error) {
	return s.idempotent(ctx, key, "own.unshare", []any{user, id},
		"SELECT outcome, scopes, versions, gone FROM end_share($1, $2, $3, $4)", user, id)
}

// RestoreShare brings back a link of a user's own that was revoked less than age ago, as it was. Of those that make
// nothing unlisted a user may have most. It returns the current version of the user. Errors: [ErrNotFound], also if
// it has expired, or what it leads to is gone, in the bin, unlisted by another link, or, of a link that made it
// unlisted, hidden or shown since; [ErrTooMany], [ErrConflict].
func (s *Store) RestoreShare(
	ctx context.Context, key string, user, id int64, age time.Duration, most int,
) ([]Change, error) {
	return s.idempotent(ctx, key, "own.reshare", []any{user, id},
		"SELECT outcome, scopes, versions, gone FROM restore_share($1, $2, $3, $4, $5, $6)", user, id, age, most)
}

// EndedShare says whether a link of a user's own was revoked less than age ago and is not back.
func (s *Store) EndedShare(ctx context.Context, user, id int64, age time.Duration) (bool, error) {
	return read(ctx, s, "look for a revoked link", func(rows pgx.Rows) (bool, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	}, `
		SELECT EXISTS (SELECT FROM ended_shares e
			WHERE e.id = $2 AND e.user_id = $1 AND e.ended_at > clock_timestamp() - $3::interval)`, user, id, age)
}

// ForgetShares deletes what is known of links that were revoked longer than age ago.
func (s *Store) ForgetShares(ctx context.Context, age time.Duration) error {
	return s.exec(ctx, "forget revoked links", "DELETE FROM ended_shares WHERE ended_at < now() - $1::interval", age)
}

// ShareSecret is what is stored of a new link, besides what it shows: see package sharelink.
type ShareSecret struct{ Nonce, Hash []byte }

// Unlisted reads which of some photos of a user's own are unlisted, and the nonces of their links.
func (s *Store) Unlisted(ctx context.Context, user int64, photos []int64) (map[int64][]byte, error) {
	if len(photos) == 0 {
		return nil, nil
	}
	return read(ctx, s, "read unlisted photos", func(rows pgx.Rows) (map[int64][]byte, error) {
		nonces := map[int64][]byte{}
		var photo int64
		var nonce []byte
		_, err := pgx.ForEachRow(rows, []any{&photo, &nonce}, func() error {
			nonces[photo] = nonce
			return nil
		})
		return nonces, err
	}, `
		SELECT s.photo_id, s.nonce FROM shares s JOIN photos p ON p.id = s.photo_id AND p.private
		WHERE s.photo_id = ANY ($2) AND s.user_id = $1 AND s.unlisted`, user, photos)
}

// OwnShare is a link as its owner sees it.
type OwnShare struct {
	ID           int64
	Nonce        []byte
	Name         string
	CreatedAt    time.Time
	ExpiresAt    *time.Time // nil: never
	Expired      bool
	SeenAt       *time.Time // when it was used last, to the hour; nil: never
	Password     bool       // it has one
	Unlisted     bool       // it makes what it shows unlisted; revoked, that is private
	Adds         bool       // whoever has it may add photos to the album
	Added        bool       // some have
	Photo, Album int64      // what it shows; one of the two is 0
	Title        string     // of that
}

// SharesSize is how many links a page of one's own has at most.
const SharesSize = 20

// OwnShares are links of a user's own, newest first.
type OwnShares struct {
	Shares []OwnShare // at most SharesSize
	Older  int64      // position of the next page; 0: there is none
}

// OwnShares reads a page of a user's links: the first, or the one after the id of a link. With a photo or an album it
// reads those that lead there.
func (s *Store) OwnShares(ctx context.Context, user, photo, album, before int64) (OwnShares, error) {
	where, of := "s.user_id = $1", user
	switch {
	case photo != 0:
		where, of = "s.photo_id = $3 AND s.user_id = $1", photo
	case album != 0:
		where, of = "s.album_id = $3 AND s.user_id = $1", album
	}
	before, _ = from(before, 0)
	return read(ctx, s, "list own shares", func(rows pgx.Rows) (OwnShares, error) {
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OwnShare])
		l := OwnShares{Shares: all}
		if len(all) > SharesSize {
			l.Shares, l.Older = all[:SharesSize], all[SharesSize-1].ID
		}
		return l, err
	}, `
		SELECT s.id, s.nonce, s.name, s.created_at, s.expires_at, coalesce(s.expires_at <= now(), false), s.seen_at,
			s.password IS NOT NULL, s.unlisted, s.adds,
			EXISTS (SELECT FROM guest_photos g WHERE g.share_id = s.id),
			coalesce(s.photo_id, 0), coalesce(s.album_id, 0), coalesce(p.title, a.title)
		FROM shares s LEFT JOIN photos p ON p.id = s.photo_id LEFT JOIN albums a ON a.id = s.album_id
		WHERE $3::bigint IS NOT NULL AND s.id < $2 AND `+where+" ORDER BY s.id DESC LIMIT 21", user, before, of)
}

// OwnAlbumTitle reads the title of an album of a user's own. It returns [ErrNotFound] for any other.
func (s *Store) OwnAlbumTitle(ctx context.Context, user, id int64) (string, error) {
	return read(ctx, s, "read an own album", func(rows pgx.Rows) (string, error) {
		title, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		return title, orNotFound(err)
	}, "SELECT a.title FROM albums a WHERE a.id = $2 AND a.user_id = $1", user, id)
}

// Share is a link that shows something. Its zero fields are of the other kind of link.
type Share struct {
	ID           int64
	Nonce        []byte
	Password     string // a PHC string; "": it has none
	Photo, Album int64  // one of the two is 0
	Title        string // of the album
	Description  string // likewise
	Unseen       bool   // it was not used in the last hour
	User         int64  // whose it is
	Adds         bool   // whoever has it may add photos to the album
	Owner
}

// Share reads a link by the hash of its token. It returns [ErrNotFound] for one that does not exist, was revoked, has
// expired, or whose owner is gone.
func (s *Store) Share(ctx context.Context, hash []byte) (*Share, error) {
	return read(ctx, s, "read a share", func(rows pgx.Rows) (*Share, error) {
		share, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (x Share, err error) {
			return x, r.Scan(&x.ID, &x.Nonce, &x.Password, &x.Photo, &x.Album, &x.Title, &x.Description, &x.Unseen,
				&x.User, &x.Adds, &x.Name, &x.DisplayName)
		})
		return &share, orNotFound(err)
	}, `
		SELECT s.id, s.nonce, coalesce(s.password, ''), coalesce(s.photo_id, 0), coalesce(s.album_id, 0),
			coalesce(a.title, ''), coalesce(a.description, ''), coalesce(s.seen_at < now() - interval '1 hour', true),
			s.user_id, s.adds, s.owner, s.owner_display
		FROM open_shares s LEFT JOIN albums a ON a.id = s.album_id WHERE s.hash = $1`, hash)
}

// ShareSeen notes that a link is used, at most once an hour.
func (s *Store) ShareSeen(ctx context.Context, id int64) error {
	_, err := withRetry(ctx, s, actionLimit, "note the use of a share", isRetryable,
		func(ctx context.Context) (struct{}, error) {
			_, err := s.pool.Exec(ctx, `
				UPDATE shares s SET seen_at = clock_timestamp()
				WHERE s.id = $1 AND (s.seen_at IS NULL OR s.seen_at < clock_timestamp() - interval '1 hour')`, id)
			return struct{}{}, err
		})
	return err
}

// SharedPhoto is a photo that a link shows, also a private one. Its neighbours are those in the album, 0 for none.
type SharedPhoto struct {
	Card
	Private        bool
	Description    string
	TakenAt        *time.Time // nil: unknown
	Camera         Camera
	Previous, Next int64
}

// SharedPhoto reads a photo that the link with this hash shows. It returns [ErrNotFound] for any other, and if there is
// no such link any more.
func (s *Store) SharedPhoto(ctx context.Context, hash []byte, id int64) (*SharedPhoto, error) {
	return read(ctx, s, "read a shared photo", func(rows pgx.Rows) (*SharedPhoto, error) {
		photo, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (p SharedPhoto, err error) {
			return p, r.Scan(&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width, &p.Height, &p.Color,
				&p.Private, &p.Description, &p.TakenAt, &p.Camera.Model, &p.Camera.Lens, &p.Camera.Exposure,
				&p.Camera.Aperture, &p.Camera.FocalMM, &p.Camera.ISO, &p.Name, &p.DisplayName, &p.Previous, &p.Next)
		})
		return &photo, orNotFound(err)
	}, `
		SELECT p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private, p.description,
			p.taken_at, coalesce(p.camera, ''), coalesce(p.lens, ''), coalesce(p.exposure, ''),
			coalesce(p.aperture, 0), coalesce(p.focal_mm, 0), coalesce(p.iso, 0), s.owner, s.owner_display,
			coalesce((SELECT b.photo_id FROM album_photos b JOIN photos x ON x.id = b.photo_id AND x.binned_at IS NULL
				WHERE b.album_id = s.album_id AND b.position < m.position ORDER BY b.position DESC LIMIT 1), 0),
			coalesce((SELECT b.photo_id FROM album_photos b JOIN photos x ON x.id = b.photo_id AND x.binned_at IS NULL
				WHERE b.album_id = s.album_id AND b.position > m.position ORDER BY b.position LIMIT 1), 0)
		FROM open_shares s JOIN photos p ON p.id = $2 AND p.user_id = s.user_id AND p.binned_at IS NULL
			LEFT JOIN album_photos m ON m.album_id = s.album_id AND m.photo_id = p.id
		WHERE s.hash = $1 AND (s.photo_id = p.id OR m.photo_id IS NOT NULL)`, hash, id)
}

// SharedPicture is the picture of a photo that a link shows.
type SharedPicture struct {
	ImageID  string // in the picture store
	Password string // of the link, a PHC string; "": it has none
}

// SharedPicture reads which file shows a photo that the link with this hash shows. It returns [ErrNotFound] as
// SharedPhoto does.
func (s *Store) SharedPicture(ctx context.Context, hash []byte, id int64) (*SharedPicture, error) {
	return read(ctx, s, "read a shared picture", func(rows pgx.Rows) (*SharedPicture, error) {
		picture, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[SharedPicture])
		return picture, orNotFound(err)
	}, `
		SELECT p.image_id, coalesce(s.password, '')
		FROM open_shares s JOIN photos p ON p.id = $2 AND p.user_id = s.user_id AND p.binned_at IS NULL
		WHERE s.hash = $1 AND (s.photo_id = p.id
			OR EXISTS (SELECT FROM album_photos m WHERE m.album_id = s.album_id AND m.photo_id = p.id))`, hash, id)
}

// SharedAlbum is one page of the photos of an album that a link shows, private ones included, in the album's order.
type SharedAlbum struct {
	Photos         []OwnPhoto // at most PageSize
	Previous, Next int64      // positions of the neighbouring pages, as in [AlbumPage]
}

// SharedAlbum reads the first page of the album that the link with this hash shows, or the one after or before a
// position in it; at most one of the two is not 0. It returns [ErrNotFound] if there is no such link any more.
func (s *Store) SharedAlbum(ctx context.Context, hash []byte, after, before int64) (SharedAlbum, error) {
	return read(ctx, s, "read a shared album", func(rows pgx.Rows) (l SharedAlbum, err error) {
		var (
			behind, found bool
			positions     []int32
		)
		_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
			var p OwnPhoto
			var position int32
			err := r.Scan(&position, &behind, &p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width,
				&p.Height, &p.Color, &p.Private)
			if found = true; position > 0 {
				l.Photos, positions = append(l.Photos, p), append(positions, position)
			}
			return struct{}{}, err
		})
		if err == nil && !found {
			err = ErrNotFound
		}
		l.Photos, l.Previous, l.Next = placed(l.Photos, positions, before > 0, behind)
		return l, err
	}, `
		WITH s AS MATERIALIZED (
			SELECT o.album_id, CASE
				WHEN $3::bigint > 0 THEN EXISTS (
					SELECT FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
						WHERE m.album_id = o.album_id AND m.position >= $3)
				WHEN $2::bigint > 0 THEN EXISTS (
					SELECT FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
						WHERE m.album_id = o.album_id AND m.position <= $2)
				ELSE false END AS behind
			FROM open_shares o WHERE o.hash = $1 AND o.album_id IS NOT NULL)
		SELECT 0, s.behind, 0::bigint, 0::bigint, '', now(), 0, 0, 0, 0, false FROM s
		UNION ALL
		(SELECT m.position, (SELECT behind FROM s), p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height,
				p.color, p.private
			FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
			WHERE m.album_id = (SELECT album_id FROM s) AND $3 = 0 AND m.position > $2 ORDER BY m.position LIMIT 49)
		UNION ALL
		(SELECT m.position, (SELECT behind FROM s), p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height,
				p.color, p.private
			FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
			WHERE m.album_id = (SELECT album_id FROM s) AND $3 > 0 AND m.position < $3 ORDER BY m.position DESC LIMIT 49)`, hash, after, before)
}
