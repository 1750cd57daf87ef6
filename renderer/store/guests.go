package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Uploads by guests, who have a link to an album that lets them add photos.

// GuestLimits bound what is added by one link.
type GuestLimits struct {
	InAlbum int   // photos of the album
	Files   int   // in a day
	Bytes   int64 // likewise
}

// Errors of uploads by a link that would be too many.
var (
	ErrAlbumFull    = errors.New("the album has as many photos as it may")
	ErrGuestFiles   = errors.New("too many files were added by the link in a day")
	ErrGuestBytes   = errors.New("too many bytes were added by the link in a day")
	guestOutcomeErr = map[string]error{"full": ErrAlbumFull, "too many today": ErrGuestFiles,
		"too much today": ErrGuestBytes}
)

// LetAdd says whether people may add photos by a link of a user's own, which leads to an album. It returns the current
// version of the user. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) LetAdd(ctx context.Context, key string, user, id int64, adds bool) ([]Change, error) {
	return s.idempotent(ctx, key, "own.share.adds", []any{user, id, adds},
		"SELECT outcome, scopes, versions, gone FROM set_share_adds($1, $2, $3, $4, $5)", user, id, adds)
}

// GuestUpload is an upload by a link.
type GuestUpload struct {
	Password string // of the link, a PHC string; "": it has none
	Ended    bool   // something has become of the upload
}

// GuestUpload reads an upload by the link with a hash. It returns [ErrNotFound] if it is none of those, or nobody adds
// photos by the link now.
func (s *Store) GuestUpload(ctx context.Context, hash []byte, u UploadID) (GuestUpload, error) {
	return read(ctx, s, "look for a guest's upload", func(rows pgx.Rows) (GuestUpload, error) {
		found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[GuestUpload])
		return found, orNotFound(err)
	}, `
		SELECT coalesce(s.password, ''), u.ended_at IS NOT NULL
		FROM open_shares s JOIN uploads u ON u.user_id = $2 AND u.id = $3 AND u.share_id = s.id
		WHERE s.hash = $1 AND s.adds AND s.user_id = $2
			AND NOT EXISTS (SELECT FROM accounts a WHERE a.user_id = $2 AND a.disabled_at IS NOT NULL)`, hash, u.User, u.ID)
}

// CreateGuestUpload begins an upload by the link with a hash, as [Store.CreateUpload] does by its owner. guest is what
// the guest is called, at most 60 characters, or "". Further errors: [ErrAlbumFull], [ErrGuestFiles], [ErrGuestBytes];
// [ErrNotFound] if no photos are added by such a link, or the upload is none of those.
func (s *Store) CreateGuestUpload(ctx context.Context, hash []byte, guest string, u UploadID, file UploadFile,
	longest int64, quota Quota, limits GuestLimits) (*Outcome, error) {
	return s.upload(ctx, "create a guest's upload",
		"create_guest_upload($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		u.User, u.ID, file.Name, file.Bytes, longest, quota.Bytes, quota.Photos, hash, guest, limits.InAlbum,
		limits.Files, limits.Bytes)
}

// ReserveGuestUpload is [Store.ReserveUpload] for an upload by the link with a hash. It says nothing of what the owner
// has. [ErrNotFound]: no photos are added by such a link, or the upload is none of those.
func (s *Store) ReserveGuestUpload(ctx context.Context, hash []byte, u UploadID, image string, length int64) (
	*Outcome, error,
) {
	return s.reserve(ctx, image, func() (*Outcome, error) {
		return s.upload(ctx, "reserve a guest's original", "reserve_guest_upload($1, $2, $3, $4, $5)", u.User, u.ID,
			image, length, hash)
	})
}

// FinishGuestUpload is [Store.FinishUpload] for an upload by the link with a hash. The photo is private, and in the
// album. [ErrNotFound]: as for ReserveGuestUpload.
func (s *Store) FinishGuestUpload(ctx context.Context, hash []byte, u UploadID, p UploadedPhoto, quota Quota,
	tooManyBytes, tooManyPhotos string) (*Outcome, error) {
	return s.finish(ctx, "finish a guest's upload", "finish_guest_upload", u, p, quota, tooManyBytes, tooManyPhotos,
		", $20)", hash)
}

// Guest says how a photo came that a guest has added.
type Guest struct {
	Name string // what the guest is called; may be empty
	Link int64  // the id of the link, which may have been revoked
}

// Guests reads which of some photos of a user's own guests have added.
func (s *Store) Guests(ctx context.Context, user int64, photos []int64) (map[int64]Guest, error) {
	if len(photos) == 0 {
		return nil, nil
	}
	return read(ctx, s, "read who added photos", func(rows pgx.Rows) (map[int64]Guest, error) {
		guests := map[int64]Guest{}
		var photo int64
		var g Guest
		_, err := pgx.ForEachRow(rows, []any{&photo, &g.Name, &g.Link}, func() error {
			guests[photo] = g
			return nil
		})
		return guests, err
	}, "SELECT g.photo_id, g.name, g.share_id FROM guest_photos g WHERE g.photo_id = ANY ($2) AND g.user_id = $1",
		user, photos)
}
