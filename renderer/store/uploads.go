package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// UploadID names an upload: the user, and the id that the sender made, 26 characters of a-z and 2-7.
type UploadID struct {
	User int64
	ID   string
}

// UploadFile is what is known of an uploaded file before its bytes.
type UploadFile struct {
	Name     string
	Bytes    int64 // 0: not known yet
	Private  bool
	Unlisted bool   // and whoever has its link sees it; of a private one alone
	Album    string // the label of the album that the photo goes into, see [Store.AddToOwnAlbum]; "": into none
}

// Quota bounds what a person may store; 0: no limit.
type Quota struct {
	Bytes  int64 // of originals
	Photos int64
}

// Errors of uploads that would be too many.
var (
	ErrTooManyBytes   = errors.New("more bytes than the person may store")
	ErrTooManyPhotos  = errors.New("more photos than the person may have")
	ErrTooManyUploads = errors.New("nothing has become of too many uploads of the person")
)

// ErrOtherBytes: since the file of an upload was read, another file was reserved for it.
var ErrOtherBytes = errors.New("other bytes have arrived for the upload")

// ErrBeingRemoved: an original cannot be stored now, because its removal has begun, or may still be done.
var ErrBeingRemoved = errors.New("the original is being removed: store it later")

// Outcome is what has become of an upload. It has ended if Photo or Problem is set.
type Outcome struct {
	Bytes     int64  // of the file, as announced; 0: not known
	Photo     int64  // what it has become
	Version   int64  // of the owner then, in the scope Scope
	Scope     string // of the owner
	Name      string // of the file
	Image     string // the original that it is, or is about to be
	Private   bool
	Duplicate bool   // the owner had that photo before
	Made      bool   // no derivatives of its picture wait to be made
	Problem   string // why it has become nothing
}

// Ended reports whether it has.
func (o *Outcome) Ended() bool { return o.Photo != 0 || o.Problem != "" }

// Changes are the scopes that the upload has changed, or, if it changed nothing that anybody sees, its owner's.
func (o *Outcome) Changes() []Change {
	changes := []Change{{Scope: o.Scope, Version: o.Version}}
	if !o.Private && !o.Duplicate {
		changes = append(changes, Change{Scope: fmt.Sprintf("photo.%d", o.Photo), Version: o.Version})
	}
	return changes
}

// CreateUpload begins an upload and says what is known of it. One that is there stays, and gets its length if that was
// not known. longest is how many bytes one of unknown length may have. Errors: [ErrTooManyBytes], [ErrTooManyPhotos],
// [ErrTooManyUploads]; [ErrNotFound] if the user has no account.
func (s *Store) CreateUpload(ctx context.Context, u UploadID, file UploadFile, longest int64, quota Quota) (
	*Outcome, error,
) {
	out, err := s.upload(ctx, "create an upload", "create_upload($1, $2, $3, $4, $5, $6, $7, $8)",
		u.User, u.ID, file.Name, file.Bytes, file.Private, longest, quota.Bytes, quota.Photos)
	if err != nil || file.Album == "" && !file.Unlisted || out.Ended() {
		return out, err
	}
	const op = "note where an upload goes"
	_, err = withRetry(ctx, s, actionLimit, op, isRetryable, func(ctx context.Context) (struct{}, error) {
		_, err := s.pool.Exec(ctx, `UPDATE uploads SET album = $3, unlisted = $4
			WHERE user_id = $1 AND id = $2 AND album IS NULL AND NOT unlisted AND ended_at IS NULL`,
			u.User, u.ID, orNull(file.Album), file.Unlisted)
		return struct{}{}, err
	})
	return out, err
}

// AlbumRefuses says why a file cannot be uploaded into the album with a label, for a person; "" if it can.
func (s *Store) AlbumRefuses(ctx context.Context, user int64, label string) (problem string, err error) {
	return read(ctx, s, "ask whether an album takes photos", func(rows pgx.Rows) (string, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	}, "SELECT coalesce(album_refuses($1, $2), '')", user, label)
}

// UploadOf says what has become of an upload, or [ErrNotFound].
func (s *Store) UploadOf(ctx context.Context, u UploadID) (*Outcome, error) {
	return s.upload(ctx, "look for an upload", "claim_upload($1, $2)", u.User, u.ID)
}

// EndUpload ends an upload without a photo, unless it has ended. problem says why, for a person.
func (s *Store) EndUpload(ctx context.Context, u UploadID, problem string) (*Outcome, error) {
	return s.upload(ctx, "end an upload", "end_upload($1, $2, $3)", u.User, u.ID, problem)
}

// ReserveUpload says which original the file of an upload is about to be stored as, and its length in bytes. Once it
// returns, nobody removes that original before the upload has ended. The upload has ended by then if its owner has a
// photo of that original, or if it had ended before. Errors: [ErrBeingRemoved], for 45 s at most; no further removal
// begins, so it may be reserved again then.
func (s *Store) ReserveUpload(ctx context.Context, u UploadID, image string, length int64) (*Outcome, error) {
	return s.reserve(ctx, image, func() (*Outcome, error) {
		return s.upload(ctx, "reserve an original", "reserve_upload($1, $2, $3, $4)", u.User, u.ID, image, length)
	})
}

// reserve reserves an original, unless somebody may be removing it.
func (s *Store) reserve(ctx context.Context, image string, reserved func() (*Outcome, error)) (*Outcome, error) {
	out, err := reserved()
	if err != nil || out.Ended() {
		return out, err
	}
	// RemoveUnused holds the locks while it removes files. It began before it could know of this upload.
	const op = "look for an original's removal"
	ask := func(ctx context.Context) (removed bool, err error) {
		err = s.pool.QueryRow(ctx, `
			SELECT coalesce(bool_or(u.tried_at IS NOT NULL AND u.due_at > clock_timestamp()), false)
			FROM (SELECT tried_at, due_at FROM unused_images WHERE image_id = $1
				ORDER BY id FOR KEY SHARE NOWAIT) AS u`,
			image).Scan(&removed)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == lockNotAvailable {
			return true, nil
		}
		return removed, err
	}
	removed, err := withRetry(ctx, s, actionLimit, op, isRetryable, ask)
	if err == nil && removed {
		err = ErrBeingRemoved
	}
	return out, err
}

// lockNotAvailable is the code of an error by which Postgres refuses to wait for a lock.
const lockNotAvailable = "55P03"

// UploadedPhoto is what is known of a photo when it is made of an upload. Zero values are unknown.
type UploadedPhoto struct {
	Image         string // the original's id
	Bytes         int64
	Width, Height int
	Color         uint32
	Title         string
	TakenAt       *time.Time
	Camera, Lens  string
	Aperture      float64
	Exposure      string
	ISO           int
	FocalMM       float64
	Link          ShareSecret // the link that it gets if it is unlisted
}

// FinishUpload makes the photo of an upload whose original is stored, see [Store.ReserveUpload], once: a repetition
// says what has become of it. What exceeds the quota ends the upload, for the reasons given, and so does what its album
// does not take, see [Store.AlbumRefuses]. Errors: [ErrOtherBytes].
func (s *Store) FinishUpload(ctx context.Context, u UploadID, p UploadedPhoto, quota Quota,
	tooManyBytes, tooManyPhotos string) (*Outcome, error) {
	return s.finish(ctx, "finish an upload", "finish_upload", u, p, quota, tooManyBytes, tooManyPhotos,
		") AS f CROSS JOIN LATERAL unlist_uploaded($1, $2, f.photo, $20, $21)", p.Link.Nonce, p.Link.Hash)
}

// finish calls a function of the database that makes the photo of an upload. end is what follows its parameters, and
// more are those that it has besides.
func (s *Store) finish(ctx context.Context, op, function string, u UploadID, p UploadedPhoto, quota Quota,
	tooManyBytes, tooManyPhotos, end string, more ...any) (*Outcome, error) {
	return s.upload(ctx, op, function+
		"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19"+end,
		append([]any{u.User, u.ID, p.Image, p.Bytes, p.Width, p.Height, p.Color, p.Title, p.TakenAt, orNull(p.Camera),
			orNull(p.Lens), orNull(p.Aperture), orNull(p.Exposure), orNull(p.ISO), orNull(p.FocalMM), quota.Bytes,
			quota.Photos, tooManyBytes, tooManyPhotos}, more...)...)
}

// orNull is NULL for a zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// upload calls a function of the database about one upload. Each may be called again.
func (s *Store) upload(ctx context.Context, op, call string, args ...any) (*Outcome, error) {
	return withRetry(ctx, s, actionLimit, op, isRetryable, func(ctx context.Context) (*Outcome, error) {
		var o Outcome
		var outcome string
		var bytes, photo, version *int64
		var private, duplicate, made *bool
		var scope, image, name, problem *string
		err := s.pool.QueryRow(ctx,
			"SELECT outcome, bytes, photo, version, private, duplicate, made, scope, image, name, problem FROM "+
				call, args...,
		).Scan(&outcome, &bytes, &photo, &version, &private, &duplicate, &made, &scope, &image, &name, &problem)
		if err != nil {
			return nil, err
		}
		switch outcome {
		case "not found":
			return nil, ErrNotFound
		case "conflict":
			return nil, ErrOtherBytes
		case "too many bytes":
			return nil, ErrTooManyBytes
		case "too many photos":
			return nil, ErrTooManyPhotos
		case "too many uploads":
			return nil, ErrTooManyUploads
		}
		if err := guestOutcomeErr[outcome]; err != nil {
			return nil, err
		}
		fill(&o.Bytes, bytes)
		fill(&o.Photo, photo)
		fill(&o.Version, version)
		fill(&o.Private, private)
		fill(&o.Duplicate, duplicate)
		fill(&o.Made, made)
		fill(&o.Scope, scope)
		fill(&o.Image, image)
		fill(&o.Name, name)
		fill(&o.Problem, problem)
		return &o, nil
	})
}

// fill sets a value that is not NULL.
func fill[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// EndedUploads returns those of some uploads that have ended, or that are not known.
func (s *Store) EndedUploads(ctx context.Context, all []UploadID) ([]UploadID, error) {
	users, ids := make([]int64, len(all)), make([]string, len(all))
	for i, u := range all {
		users[i], ids[i] = u.User, u.ID
	}
	return read(ctx, s, "look for ended uploads", func(rows pgx.Rows) ([]UploadID, error) {
		return pgx.CollectRows(rows, pgx.RowToStructByPos[UploadID])
	}, `
		SELECT a.user_id, a.id FROM unnest($1::bigint[], $2::text[]) AS a (user_id, id)
		WHERE (SELECT u.ended_at IS NULL FROM uploads u WHERE u.user_id = a.user_id AND u.id = a.id) IS NOT TRUE`,
		users, ids)
}

// ForgetUploads deletes uploads that began longer than age ago, at most 1,000, and returns how many.
func (s *Store) ForgetUploads(ctx context.Context, age time.Duration) (int, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM uploads WHERE ctid = ANY (ARRAY(
			SELECT u.ctid FROM uploads u WHERE u.created_at < now() - $1::interval ORDER BY u.created_at
				LIMIT 1000 FOR UPDATE SKIP LOCKED))`, age)
	if err != nil {
		return 0, fmt.Errorf("forget uploads: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
