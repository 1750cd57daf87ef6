package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Takeout is a zip file of a user's photos that was asked for.
type Takeout struct {
	ID     string
	User   int64
	Album  int64  // 0: everything
	Title  string // of the album
	MadeAt time.Time
	Ready  bool
	Photos int32
	Bytes  int64 // of the zip file, once it is ready

	Missing int32 // photos whose originals it does not have
	Failed  bool  // nobody tries any more to prepare it
	Tries   int32 // to prepare it, with this one, since the last that went well
}

const selectTakeouts = `
	SELECT t.id, t.user_id, coalesce(t.album_id, 0), t.title, t.made_at, t.ready_at IS NOT NULL, t.photos, t.bytes,
		t.missing, t.failed_at IS NOT NULL, t.tries
	FROM takeouts t `

// BeginTakeout asks for a zip file of an album of a user's, or of everything (0). Of more than most it removes the
// oldest. The id follows from the key. Errors: [ErrNotFound] if there is no such album, [ErrConflict].
func (s *Store) BeginTakeout(ctx context.Context, key string, user int64, id string, album int64, most int) (
	[]Change, error,
) {
	var of *int64
	if album != 0 {
		of = &album
	}
	return s.idempotent(ctx, key, "own.takeout", []any{user, album},
		"SELECT outcome, scopes, versions, gone FROM begin_takeout($1, $2, $3, $4, $5, $6)", user, id, of, most)
}

// Takeouts lists the zip files of a user, the newest first.
func (s *Store) Takeouts(ctx context.Context, user int64) ([]Takeout, error) {
	return read(ctx, s, "list zip files", func(rows pgx.Rows) ([]Takeout, error) {
		return pgx.CollectRows(rows, pgx.RowToStructByPos[Takeout])
	}, selectTakeouts+"WHERE t.user_id = $1 ORDER BY t.made_at DESC LIMIT 20", user)
}

// TakeoutPart reads a part of a zip file of a user's that is ready. kind is TakeoutPlan or TakeoutJSON. It returns
// [ErrNotFound] for any other.
func (s *Store) TakeoutPart(ctx context.Context, user int64, id, kind string, nr int64) ([]byte, error) {
	return read(ctx, s, "read a part of a zip file", func(rows pgx.Rows) ([]byte, error) {
		data, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
		return data, orNotFound(err)
	}, `
		SELECT r.data FROM takeouts t JOIN takeout_parts r ON r.takeout_id = t.id AND r.kind = $3 AND r.nr = $4
		WHERE t.id = $2 AND t.user_id = $1 AND t.ready_at IS NOT NULL`, user, id, kind, nr)
}

// Kinds of parts.
const (
	TakeoutPlan = "plan"
	TakeoutJSON = "json"
)

// TakeoutAlbum is an album that a zip file can be of.
type TakeoutAlbum struct {
	ID    int64
	Title string
}

// TakeoutAlbums lists a user's albums, the newest 500.
func (s *Store) TakeoutAlbums(ctx context.Context, user int64) ([]TakeoutAlbum, error) {
	return read(ctx, s, "list albums for zip files", func(rows pgx.Rows) ([]TakeoutAlbum, error) {
		return pgx.CollectRows(rows, pgx.RowToStructByPos[TakeoutAlbum])
	}, "SELECT a.id, a.title FROM albums a WHERE a.user_id = $1 ORDER BY a.id DESC LIMIT 500", user)
}

// TakeTakeout takes a zip file that is to be prepared, for the time of a lease: the one that has waited longest. nil:
// there is none.
func (s *Store) TakeTakeout(ctx context.Context, lease time.Duration) (*Takeout, error) {
	const op = "take a zip file to prepare"
	return withRetry(ctx, s, readLimit, op, isRetryable, func(ctx context.Context) (*Takeout, error) {
		rows, err := s.pool.Query(ctx, `
			UPDATE takeouts t SET due_at = clock_timestamp() + $1::interval, tries = t.tries + 1
			WHERE t.id = (SELECT d.id FROM takeouts d
				WHERE d.ready_at IS NULL AND d.failed_at IS NULL AND d.due_at <= clock_timestamp()
				ORDER BY d.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING t.id, t.user_id, coalesce(t.album_id, 0), t.title, t.made_at, false, 0, 0::bigint, 0, false,
				t.tries`, lease)
		if err != nil {
			return nil, err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[Takeout])
		if err != nil || len(all) == 0 {
			return nil, err
		}
		return all[0], nil
	})
}

// PostponeTakeout says when a zip file that is not ready is to be taken again, and how many tries have failed.
func (s *Store) PostponeTakeout(ctx context.Context, id string, pause time.Duration, failed int32) error {
	_, err := s.pool.Exec(ctx, "UPDATE takeouts t SET due_at = clock_timestamp() + $2::interval, tries = $3 "+
		"WHERE t.id = $1 AND t.ready_at IS NULL", id, pause, failed)
	if err != nil {
		return fmt.Errorf("postpone a zip file: %w", err)
	}
	return nil
}

// GiveTakeoutUp says that nobody is to prepare a zip file any more.
func (s *Store) GiveTakeoutUp(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, "UPDATE takeouts t SET failed_at = clock_timestamp() "+
		"WHERE t.id = $1 AND t.ready_at IS NULL", id)
	if err != nil {
		return fmt.Errorf("give a zip file up: %w", err)
	}
	return nil
}

// ForgetTakeouts deletes zip files that are older than age, at most 20, and returns how many.
func (s *Store) ForgetTakeouts(ctx context.Context, age time.Duration) (int, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM takeouts WHERE id = ANY (ARRAY(SELECT t.id FROM takeouts t
			WHERE t.made_at < clock_timestamp() - $1::interval ORDER BY t.made_at LIMIT 20 FOR UPDATE SKIP LOCKED))`, age)
	if err != nil {
		return 0, fmt.Errorf("forget zip files: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Checksums are what zip files and their contents say of an original.
type Checksums struct {
	CRC32  uint32 // IEEE
	SHA256 []byte
	Bytes  int64
	// Extension is how the names of such files end, such as ".jpg".
	Extension string
}

// NoteChecksums keeps the checksums of an original, if it is there.
func (s *Store) NoteChecksums(ctx context.Context, image string, c Checksums) error {
	_, err := s.pool.Exec(ctx, "UPDATE images i SET crc32 = $2, sha256 = $3, checked_bytes = $4, "+
		"extension = $5 WHERE i.id = $1", image, int64(c.CRC32), c.SHA256, c.Bytes, c.Extension)
	if err != nil {
		return fmt.Errorf("note checksums: %w", err)
	}
	return nil
}

// Unchecked lists originals of a user's photos, behind a photo id, whose checksums are not known: at most 100, with the
// id of the photo that was looked at last; 0: there is no further one.
func (s *Store) Unchecked(ctx context.Context, user, after int64) (images []string, last int64, err error) {
	type found struct {
		photo   int64
		image   string
		checked bool
	}
	const most = 2000 // photos that are looked at
	all, err := read(ctx, s, "look for originals without checksums", func(rows pgx.Rows) ([]found, error) {
		return pgx.CollectRows(rows, func(r pgx.CollectableRow) (f found, err error) {
			return f, r.Scan(&f.photo, &f.image, &f.checked)
		})
	}, `
		SELECT p.id, p.image_id, i.crc32 IS NOT NULL FROM (
			(SELECT o.id, o.image_id FROM photos o
				WHERE o.user_id = $1 AND NOT o.private AND o.id > $2 ORDER BY o.id LIMIT $3)
			UNION ALL
			(SELECT o.id, o.image_id FROM photos o
				WHERE o.user_id = $1 AND o.private AND o.id > $2 ORDER BY o.id LIMIT $3)
			ORDER BY 1 LIMIT $3
		) AS p JOIN LATERAL (SELECT * FROM images x WHERE x.id = p.image_id LIMIT 1) AS i ON true ORDER BY p.id`, user, after, most)
	if err != nil {
		return nil, 0, err
	}
	for i, f := range all {
		if !f.checked {
			images = append(images, f.image)
		}
		if last = f.photo; len(images) == 100 && i < len(all)-1 {
			return images, last, nil
		}
	}
	if len(all) < most {
		last = 0
	}
	return images, last, nil
}
