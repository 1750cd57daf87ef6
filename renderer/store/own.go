package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// The changes. The last three are of photos in the bin.
const (
	OwnTag     OwnChange = "tag"   // with a tag, all but those that have 100
	OwnUntag   OwnChange = "untag" // with a tag
	OwnPublic  OwnChange = "public"
	OwnPrivate OwnChange = "private" // and not unlisted
	OwnBin     OwnChange = "bin"
	OwnRestore OwnChange = "restore"
	OwnRemove  OwnChange = "remove" // deletes them for good
	OwnEmpty   OwnChange = "empty"  // likewise the 200 photos that are in the bin longest, whichever ids are given
)

// ChangeOwnPhotos changes those of some photos that are a user's own, at most 200. tag is in the form of page.CleanTag.
// It returns the scope of the user, and those of the photos that became public or private. Errors: [ErrNotFound] if
// none is theirs, [ErrConflict].
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

// OwnFilter says which of a user's photos are listed.
type OwnFilter string

// The filters.
const (
	OwnAll      OwnFilter = ""
	OwnUntagged OwnFilter = "untagged"
	OwnHidden   OwnFilter = "private"
)

// OwnListing is one page of a user's own photos, newest first.
type OwnListing struct {
	Photos []OwnPhoto // at most PageSize
	Older  int64      // position of the next page; 0: there is none
}

// selectOwn begins a listing. Public and private photos are read apart, as the index has them.
const selectOwn = `
	SELECT p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private, p.tagged FROM (`

// ownListings are the statements of a listing, by filter. That of photos without a tag reads at most 1,000 public and
// 1,000 private ones, tagged or not, so that a page takes no longer for who has tagged 100,000; the next page goes on.
var ownListings = map[OwnFilter]string{
	OwnAll: selectOwn + `
		(SELECT o.*, false AS tagged FROM photos o
			WHERE o.user_id = $1 AND NOT o.private AND o.id < $2 ORDER BY o.id DESC LIMIT 49)
		UNION ALL
		(SELECT o.*, false FROM photos o
			WHERE o.user_id = $1 AND o.private AND o.binned_at IS NULL AND o.id < $2 ORDER BY o.id DESC LIMIT 49)
	) AS p`,
	OwnHidden: selectOwn + `
		(SELECT o.*, false AS tagged FROM photos o
			WHERE o.user_id = $1 AND o.private AND o.binned_at IS NULL AND o.id < $2 ORDER BY o.id DESC LIMIT 49)
	) AS p`,
	OwnUntagged: selectOwn + `
		(SELECT o.*, EXISTS (SELECT FROM photo_tags t WHERE t.photo_id = o.id) AS tagged FROM photos o
			WHERE o.user_id = $1 AND NOT o.private AND o.id < $2 ORDER BY o.id DESC LIMIT 1000)
		UNION ALL
		(SELECT o.*, EXISTS (SELECT FROM photo_tags t WHERE t.photo_id = o.id) FROM photos o
			WHERE o.user_id = $1 AND o.private AND o.binned_at IS NULL AND o.id < $2 ORDER BY o.id DESC LIMIT 1000)
	) AS p`,
}

// OwnPhotos reads a page of a user's own photos that are not in the bin: the first, or the one after a photo id. It
// takes a filter that it does not know for [OwnAll].
func (s *Store) OwnPhotos(ctx context.Context, user int64, filter OwnFilter, before int64) (OwnListing, error) {
	sql, most := ownListings[filter], PageSize+1
	switch {
	case sql == "":
		sql = ownListings[OwnAll]
	case filter == OwnUntagged:
		most = 1000
	}
	before, _ = from(before, 0)
	return read(ctx, s, "list own photos", func(rows pgx.Rows) (OwnListing, error) {
		type listed struct {
			OwnPhoto
			tagged bool
		}
		all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p listed, err error) {
			return p, r.Scan(&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width, &p.Height, &p.Color,
				&p.Private, &p.tagged)
		})
		if err != nil {
			return OwnListing{}, err
		}
		slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(b.ID, a.ID) })
		var l OwnListing
		read := map[bool]int{} // of public and private photos
		for i, p := range all {
			if len(l.Photos) == PageSize {
				l.Older = all[i-1].ID
				break
			}
			if !p.tagged {
				l.Photos = append(l.Photos, p.OwnPhoto)
			}
			if read[p.Private]++; read[p.Private] == most { // further ones may follow, which were not read
				l.Older = p.ID
				break
			}
		}
		return l, nil
	}, sql, user, before)
}

// OwnBin reads the photos in a user's bin, at most 200, the one put there last first.
func (s *Store) OwnBin(ctx context.Context, user int64) ([]OwnPhoto, error) {
	return read(ctx, s, "list a bin", func(rows pgx.Rows) ([]OwnPhoto, error) {
		return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p OwnPhoto, err error) {
			return p, r.Scan(&p.ID, &p.PhotoID, &p.Title, &p.PostedAt, &p.Generation, &p.Width, &p.Height, &p.Color,
				&p.Private, &p.Binned)
		})
	}, `
		SELECT p.id, p.id, p.title, p.posted_at, p.picture, p.width, p.height, p.color, p.private_before, p.binned_at
		FROM photos p WHERE p.user_id = $1 AND p.binned_at IS NOT NULL
		ORDER BY p.binned_at DESC, p.id DESC LIMIT 200`, user)
}

// OwnTags reads the tags that a user has used most, at most 50, in alphabetical order. Of public and of private photos
// the newest 200 count.
func (s *Store) OwnTags(ctx context.Context, user int64) ([]string, error) {
	return read(ctx, s, "list own tags", func(rows pgx.Rows) ([]string, error) {
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}, `
		SELECT g.name FROM (
			SELECT t.tag_id FROM (
				(SELECT o.id FROM photos o WHERE o.user_id = $1 AND NOT o.private ORDER BY o.id DESC LIMIT 200)
				UNION ALL
				(SELECT o.id FROM photos o WHERE o.user_id = $1 AND o.private ORDER BY o.id DESC LIMIT 200)
			) AS p JOIN photo_tags t ON t.photo_id = p.id GROUP BY t.tag_id ORDER BY count(*) DESC, t.tag_id LIMIT 50
		) AS m JOIN tags g ON g.id = m.tag_id ORDER BY g.name`, user)
}
