package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TakenPhoto is a photo as a zip file has it.
type TakenPhoto struct {
	ID          int64
	Position    int64 // in the album that was asked for; otherwise the id
	Image       string
	Checksums   *Checksums // nil: not known
	Title       string
	Description string
	TakenAt     *time.Time
	PostedAt    time.Time
	Private     bool
	Unlisted    bool // private, with a link
	Rights      Rights
	Camera      Camera
	Tags        []string
}

// TakenAlbum is an album as a zip file has it.
type TakenAlbum struct {
	ID          int64
	Title       string
	Description string
	CreatedAt   time.Time
	Private     bool
	Unlisted    bool    // private, with a link
	Parent      int64   // the album that it is in; 0: it is in none
	Cover       int64   // the photo that was chosen for it; 0: none was
	Photos      []int64 // in their order
}

// TakeoutWriter reads what a zip file is made of, as of one moment, and writes what it is. It is valid within
// [Store.WriteTakeout].
type TakeoutWriter struct {
	ctx     context.Context
	tx      pgx.Tx
	takeout *Takeout
}

// WriteTakeout prepares a zip file: it calls write, and makes the zip file ready if that returns no error. All that
// write reads is of one moment. It returns [ErrNotFound] if the zip file is gone by now, or is to be made anew.
func (s *Store) WriteTakeout(ctx context.Context, t *Takeout, write func(*TakeoutWriter) error) error {
	const op = "prepare a zip file"
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM takeout_parts WHERE takeout_id = $1", t.ID); err != nil {
			return err
		}
		if err := write(&TakeoutWriter{ctx, tx, t}); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "UPDATE takeouts SET ready_at = clock_timestamp(), photos = $2, bytes = $3, "+
			"missing = $4 WHERE id = $1 AND ready_at IS NULL", t.ID, t.Photos, t.Bytes, t.Missing)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "40001" { // the row was changed meanwhile
			return ErrNotFound
		}
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

const takenColumns = `p.image_id, i.crc32, i.sha256, i.checked_bytes, coalesce(i.extension, ''), p.title, p.description,
	p.taken_at, p.posted_at, p.private, EXISTS (SELECT FROM shares s WHERE s.photo_id = p.id AND s.unlisted),
	p.licence, p.downloadable, coalesce(p.camera, ''), coalesce(p.lens, ''), coalesce(p.exposure, ''),
	coalesce(p.aperture, 0), coalesce(p.focal_mm, 0), coalesce(p.iso, 0),
	(SELECT array_agg(g.name ORDER BY g.name) FROM photo_tags t JOIN tags g ON g.id = t.tag_id WHERE t.photo_id = p.id)`

// Photos reads the photos behind a position, at most 1,000: of everything (0) by their ids, of an album in its order.
// Those in the bin are left out.
func (w *TakeoutWriter) Photos(album, after int64) ([]TakenPhoto, error) {
	sql, of := `
		SELECT p.id, p.id, `+takenColumns+`
		FROM (
			(SELECT * FROM photos o WHERE o.user_id = $1 AND NOT o.private AND o.id > $2 ORDER BY o.id LIMIT 1000)
			UNION ALL
			(SELECT * FROM photos o WHERE o.user_id = $1 AND o.private AND o.binned_at IS NULL AND o.id > $2
				ORDER BY o.id LIMIT 1000)
			ORDER BY id LIMIT 1000
		) AS p JOIN LATERAL (SELECT * FROM images x WHERE x.id = p.image_id LIMIT 1) AS i ON true ORDER BY p.id`, w.takeout.User
	if album != 0 {
		sql, of = `
		SELECT p.id, p.position, `+takenColumns+`
		FROM (
			SELECT o.*, m.position FROM album_photos m JOIN photos o ON o.id = m.photo_id AND o.binned_at IS NULL
			WHERE m.album_id = $1 AND m.position > $2 ORDER BY m.position LIMIT 1000
		) AS p JOIN LATERAL (SELECT * FROM images x WHERE x.id = p.image_id LIMIT 1) AS i ON true ORDER BY p.position`, album
	}
	rows, err := w.tx.Query(w.ctx, sql, of, after)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p TakenPhoto, err error) {
		var crc, size *int64
		var sums Checksums
		err = r.Scan(&p.ID, &p.Position, &p.Image, &crc, &sums.SHA256, &size, &sums.Extension, &p.Title,
			&p.Description, &p.TakenAt, &p.PostedAt, &p.Private, &p.Unlisted, &p.Rights.Licence, &p.Rights.Downloadable,
			&p.Camera.Model, &p.Camera.Lens, &p.Camera.Exposure, &p.Camera.Aperture, &p.Camera.FocalMM,
			&p.Camera.ISO, &p.Tags)
		if crc != nil && size != nil {
			sums.CRC32, sums.Bytes = uint32(*crc), *size
			p.Checksums = &sums
		}
		return p, err
	})
}

// Album reads the next album behind an id: of everything any of the user's, of an album that one and those in it. nil:
// there is no further one.
func (w *TakeoutWriter) Album(after int64) (*TakenAlbum, error) {
	rows, err := w.tx.Query(w.ctx, `
		SELECT a.id, a.title, a.description, a.created_at, a.private,
			EXISTS (SELECT FROM shares s WHERE s.album_id = a.id AND s.unlisted), coalesce(a.parent, 0),
			coalesce(a.cover_photo, 0),
			ARRAY(SELECT m.photo_id FROM album_photos m
			JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL WHERE m.album_id = a.id ORDER BY m.position)
		FROM albums a WHERE a.user_id = $1 AND a.id > $2
			AND ($3::bigint = 0 OR a.id = $3 OR a.parent = $3) ORDER BY a.id LIMIT 1`,
		w.takeout.User, after, w.takeout.Album)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[TakenAlbum])
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// Owner reads the name of the user, and what the user wants to be called.
func (w *TakeoutWriter) Owner() (o Owner, err error) {
	err = w.tx.QueryRow(w.ctx, "SELECT u.name, u.display_name FROM shown_users u WHERE u.id = $1", w.takeout.User).
		Scan(&o.Name, &o.DisplayName)
	return o, orNotFound(err)
}

// Write keeps a part. kind is TakeoutPlan or TakeoutJSON.
func (w *TakeoutWriter) Write(kind string, nr int, data []byte) error {
	_, err := w.tx.Exec(w.ctx, "INSERT INTO takeout_parts (takeout_id, kind, nr, data) VALUES ($1, $2, $3, $4)",
		w.takeout.ID, kind, nr, data)
	return err
}
