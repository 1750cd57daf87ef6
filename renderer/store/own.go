package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// OwnEdit is a change of a user's own photo. A nil field stays as it is.
type OwnEdit struct {
	Title       *string   `json:",omitempty"` // at most 200 characters
	Description *string   `json:",omitempty"` // at most 5,000
	Tags        *[]string `json:",omitempty"` // all that it has then: at most 100, each in the form of page.CleanTag
	Taken       *Day      `json:",omitempty"`
	Private     *bool     `json:",omitempty"`
	Unlisted    *bool     `json:",omitempty"` // of a private photo: whoever has its link sees it

	Rights RightsEdit `json:",omitzero"`

	Link ShareSecret `json:"-"` // the link that it gets if it is unlisted and has none
}

// Day is a day such as 2026-11-30; "" is none.
type Day string

// EditOwnPhoto changes a photo of a user's own, and returns the scope of its owner, and that of the photo if it became
// public or private. Errors: [ErrNotFound] for a photo that is none of theirs or in the bin, [ErrConflict].
func (s *Store) EditOwnPhoto(ctx context.Context, key string, user, id int64, edit OwnEdit) ([]Change, error) {
	var day *string
	if edit.Taken != nil && *edit.Taken != "" {
		day = (*string)(edit.Taken)
	}
	return s.idempotent(ctx, key, "own.photo", []any{user, id, edit}, `
		SELECT e.outcome, e.scopes, e.versions, e.gone
		FROM rights_of_edit($1, $2, $3, $4, $14, $15) AS own CROSS JOIN LATERAL
			edit_own_photo(own, $2, $3, $4, $5, $6, $7, $8, $9::text::date, $10) AS e CROSS JOIN LATERAL
			set_unlisted(CASE WHEN e.outcome = 'done' AND $11::boolean IS NOT NULL THEN $1 END, $3, ARRAY[$4::bigint],
				$11, ARRAY[$12::bytea], ARRAY[$13::bytea])`,
		user, id, edit.Title, edit.Description, edit.Tags, edit.Taken != nil, day, edit.Private, edit.Unlisted,
		edit.Link.Nonce, edit.Link.Hash, edit.Rights.Licence, edit.Rights.Downloadable)
}

// OwnChange is what is done to several photos of a user's own.
type OwnChange string

// The changes of [Store.ChangeOwnPhotos].
const (
	OwnTag     OwnChange = "tag"   // with a tag, all but those that have 100
	OwnUntag   OwnChange = "untag" // with a tag
	OwnPublic  OwnChange = "public"
	OwnPrivate OwnChange = "private" // and not unlisted

	// OwnUnshow takes OwnPublic back: photos that had been unlisted are so again, with the same link. See
	// [Store.UnshowOwnPhotos].
	OwnUnshow OwnChange = "unshow"
)

// ChangeOwnPhotos changes those of some photos that are a user's own and not in the bin, at most 200. tag is in the
// form of page.CleanTag. It returns the scope of the user, and those of the photos that became public or private.
// Errors: [ErrNotFound] if none is theirs, [ErrConflict].
func (s *Store) ChangeOwnPhotos(
	ctx context.Context, key string, user int64, ids []int64, change OwnChange, tag string,
) ([]Change, error) {
	var unlist *bool
	if change == OwnPrivate {
		unlist = new(bool)
	}
	return s.changeOwnPhotos(ctx, key, user, ids, []any{user, ids, change, tag}, change, tag, unlist, nil)
}

// UnlistOwnPhotos makes those of some photos that are a user's own private, and gives each that has no link the one of
// links at its place. It returns what [Store.ChangeOwnPhotos] does.
func (s *Store) UnlistOwnPhotos(
	ctx context.Context, key string, user int64, ids []int64, links []ShareSecret,
) ([]Change, error) {
	unlist := true
	return s.changeOwnPhotos(ctx, key, user, ids, []any{user, ids, "unlisted"}, OwnPrivate, "", &unlist, links)
}

// UnshowOwnPhotos makes those of some photos that are a user's own as they were before they were made public: unlisted,
// with the link of before, or private. It returns what [Store.ChangeOwnPhotos] does.
func (s *Store) UnshowOwnPhotos(ctx context.Context, key string, user int64, ids []int64) ([]Change, error) {
	return s.idempotent(ctx, key, "own.photos", []any{user, ids, OwnUnshow},
		"SELECT outcome, scopes, versions, gone FROM unshow_own_photos($1, $2, $3, $4)", user, ids)
}

func (s *Store) changeOwnPhotos(ctx context.Context, key string, user int64, ids []int64, request []any,
	change OwnChange, tag string, unlist *bool, links []ShareSecret) ([]Change, error) {
	nonces, hashes := make([][]byte, len(links)), make([][]byte, len(links))
	for i, link := range links {
		nonces[i], hashes[i] = link.Nonce, link.Hash
	}
	return s.idempotent(ctx, key, "own.photos", request, `
		SELECT c.outcome, c.scopes, c.versions, c.gone
		FROM change_own_photos($1, $2, $3, $4, $5, $6, $7) AS c CROSS JOIN LATERAL
			set_unlisted(CASE WHEN c.outcome = 'done' AND $8::boolean IS NOT NULL THEN $1 END, $3, $4, $8, $9, $10)`,
		user, ids, string(change), tag, deleteAtOnce, unlist, nonces, hashes)
}

// The changes of [Store.ChangeBin], and those of [Store.RemovePhotos].
const (
	OwnBin     OwnChange = "bin" // puts photos there
	OwnRestore OwnChange = "restore"

	OwnRemove OwnChange = "remove" // deletes them for good
	OwnEmpty  OwnChange = "empty"  // likewise all that were there at a time
)

// ChangeBin puts those of some photos that are a user's own into their bin, or takes them out, at most 200. It returns
// the scope of the user, and those of the photos that were put there or taken back. Errors: [ErrNotFound] if none is
// theirs, [ErrConflict].
func (s *Store) ChangeBin(ctx context.Context, key string, user int64, ids []int64, change OwnChange) (
	[]Change, error,
) {
	return s.idempotent(ctx, key, "own.photos", []any{user, ids, change, ""},
		`SELECT outcome, scopes, versions, gone FROM change_bin($1, $2, $3, $4, $5, NULL, 0)`,
		user, ids, string(change))
}

// EmptyBins deletes photos that are in a bin for longer than age, a step of at most 200, and returns how many.
func (s *Store) EmptyBins(ctx context.Context, age time.Duration) (n int, err error) {
	if err = s.pool.QueryRow(ctx, "SELECT empty_bins($1, $2)", age, deleteAtOnce).Scan(&n); err != nil {
		return 0, fmt.Errorf("empty bins: %w", err)
	}
	return n, nil
}

// OwnPhoto is a photo as its owner sees it. Its Owner is left out.
type OwnPhoto struct {
	Card
	Private bool
	Binned  time.Time // zero: it is not in the bin. Private says then what it was before
	Dated   time.Time // when it was taken, or posted where that is unknown. Read by [Store.OwnPhotos] alone

	// Read by [Store.OwnPhoto] alone.
	Description string
	TakenAt     *time.Time // nil: unknown
	Rights      Rights
	Tags        []string // in alphabetical order
}

// OwnPhoto reads a photo of a user's own that is not in the bin. It returns [ErrNotFound] for any other.
func (s *Store) OwnPhoto(ctx context.Context, user, id int64) (*OwnPhoto, error) {
	return read(ctx, s, "read an own photo", func(rows pgx.Rows) (*OwnPhoto, error) {
		p, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (p OwnPhoto, err error) {
			return p, r.Scan(&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width, &p.Height, &p.Color,
				&p.Private, &p.Description, &p.TakenAt, &p.Rights.Licence, &p.Rights.Downloadable, &p.Tags)
		})
		return &p, orNotFound(err)
	}, `
		SELECT p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private, p.description,
			p.taken_at, p.licence, p.downloadable, (SELECT array_agg(g.name ORDER BY g.name) FROM photo_tags t JOIN tags g ON g.id = t.tag_id
				WHERE t.photo_id = p.id)
		FROM photos p WHERE p.id = $2 AND p.user_id = $1 AND p.binned_at IS NULL`, user, id)
}

// OwnVisibility reads who sees a photo of a user's own: "public", "unlisted" or "private". It returns [ErrNotFound] for
// a photo that is none of theirs or in the bin.
func (s *Store) OwnVisibility(ctx context.Context, user, id int64) (seen string, err error) {
	return read(ctx, s, "read who sees an own photo", func(rows pgx.Rows) (string, error) {
		seen, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		return seen, orNotFound(err)
	}, `
		SELECT CASE WHEN NOT p.private THEN 'public'
			WHEN EXISTS (SELECT FROM shares s WHERE s.photo_id = p.id AND s.unlisted) THEN 'unlisted' ELSE 'private' END
		FROM photos p WHERE p.id = $2 AND p.user_id = $1 AND p.binned_at IS NULL`, user, id)
}

// OwnPicture reads which file shows a user's own photo, in the bin or not: the id of an original. It returns
// [ErrNotFound] if there is no such photo.
func (s *Store) OwnPicture(ctx context.Context, user, id int64) (file string, err error) {
	return read(ctx, s, "read an own picture", func(rows pgx.Rows) (string, error) {
		file, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		return file, orNotFound(err)
	}, `
		SELECT p.image_id FROM photos p JOIN shown_users u ON u.id = p.user_id
		WHERE p.id = $2 AND p.user_id = $1`, user, id)
}

func orNotFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// BinListing is one page of a user's bin, the photo that was put there last first.
type BinListing struct {
	Photos []OwnPhoto  // at most PageSize
	Older  OwnPosition // with which [Store.OwnBin] goes on, by the time of Binned; zero: there are none
	Newest time.Time   // when the photo was put there that was put there last; zero: the bin is empty
	Count  int         // photos in the bin, at most BinMost
}

// BinMost is how many photos of a bin are counted.
const BinMost = 10_000

// OwnBin reads a page of the photos in a user's bin: those after a position, or with the zero position
// the newest.
func (s *Store) OwnBin(ctx context.Context, user int64, before OwnPosition) (BinListing, error) {
	if before.IsZero() {
		before = latest
	}
	return read(ctx, s, "list a bin", func(rows pgx.Rows) (BinListing, error) {
		var l BinListing
		var p OwnPhoto
		_, err := pgx.ForEachRow(rows, []any{&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width,
			&p.Height, &p.Color, &p.Private, &p.Binned, &l.Newest, &l.Count}, func() error {
			if len(l.Photos) == PageSize {
				last := l.Photos[PageSize-1]
				l.Older = OwnPosition{At: last.Binned, ID: last.ID}
				return nil
			}
			l.Photos = append(l.Photos, p)
			return nil
		})
		return l, err
	}, `
		SELECT p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private_before, p.binned_at,
			(SELECT max(n.binned_at) FROM photos n WHERE n.user_id = $1 AND n.binned_at IS NOT NULL),
			(SELECT count(*) FROM (SELECT FROM photos c WHERE c.user_id = $1 AND c.binned_at IS NOT NULL LIMIT 10000) AS c)
		FROM photos p WHERE p.user_id = $1 AND p.binned_at IS NOT NULL
			AND (p.binned_at, p.id) < ($2::timestamptz, $3::bigint)
		ORDER BY p.binned_at DESC, p.id DESC LIMIT 49`, user, before.At, before.ID)
}

// OwnTags reads the tags that a user has used most among the 400 newest photos, at most 30, in alphabetical order.
func (s *Store) OwnTags(ctx context.Context, user int64) ([]string, error) {
	return read(ctx, s, "list own tags", func(rows pgx.Rows) ([]string, error) {
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}, `
		SELECT g.name FROM (
			SELECT t.tag_id FROM (
				SELECT o.id FROM photos o WHERE o.user_id = $1 AND o.binned_at IS NULL
				ORDER BY coalesce(o.taken_at, o.posted_at) DESC, o.id DESC LIMIT 400
			) AS p JOIN photo_tags t ON t.photo_id = p.id GROUP BY t.tag_id ORDER BY count(*) DESC, t.tag_id LIMIT 30
		) AS m JOIN tags g ON g.id = m.tag_id ORDER BY g.name`, user)
}
