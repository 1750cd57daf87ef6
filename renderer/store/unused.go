package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Freed is what the removal of an original has freed on the disk.
type Freed struct {
	Files int // the original, and what was made of it
	Bytes int64
}

// Bounds of one call of RemoveUnused. Postgres ends a transaction that waits for its client for two seconds.
const (
	unusedAtOnce = 50 // entries; each has up to six files
	removeWithin = time.Second
)

// RemoveUnused takes originals that deleted photos have shown, and calls remove with the id of each that no photo
// shows any more. Should this process end, they are taken again. One that cannot be removed is taken again after all
// others. Those of a deletion are counted in its receipt, and while its rows are going, what a photo still shows
// waits: that may be one of its own. One that an upload is about to store is not taken, see [Store.ReserveUpload]; one
// that an upload leaves is taken 30 s later. It returns how many entries it is done with.
func (s *Store) RemoveUnused(
	ctx context.Context, remove func(context.Context, string) (Freed, error),
) (n int, err error) {
	const op = "remove unused originals"
	var ids []int64
	if err := s.pool.QueryRow(ctx, `
		SELECT ARRAY(SELECT u.id FROM unused_images u
			WHERE u.due_at <= clock_timestamp()
				AND NOT (EXISTS (SELECT FROM deletions d WHERE d.id = u.deletion_id AND d.rows_gone_at IS NULL)
					AND (SELECT p.id FROM photos p WHERE p.image_id = u.image_id LIMIT 1) IS NOT NULL)
				AND (SELECT o.id FROM uploads o WHERE o.image_id = u.image_id AND o.ended_at IS NULL LIMIT 1) IS NULL
			ORDER BY u.id LIMIT $1)`, unusedAtOnce).Scan(&ids); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	// An original that gets a photo at the same moment is not deleted: the foreign key refuses that, and the next call
	// finds the photo.
	if _, err := s.pool.Exec(ctx, `
		DELETE FROM images i WHERE i.id = ANY (ARRAY(SELECT u.image_id FROM unused_images u WHERE u.id = ANY ($1)))
			AND NOT EXISTS (SELECT FROM photos p WHERE p.image_id = i.id)`, ids); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	tried := removals{removed: []int64{}, files: []int{}, bytes: []int64{}} // not nil: that would be NULL
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		n, err = removeUnused(ctx, tx, ids, remove, &tried)
		return err
	})
	if err != nil {
		n, tried.failed = 0, append(tried.failed, tried.removed...)
	}
	if len(tried.failed) > 0 {
		_, late := s.pool.Exec(ctx, "UPDATE unused_images SET id = DEFAULT WHERE id = ANY ($1)", tried.failed)
		err = errors.Join(err, tried.err, late)
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", op, err)
	}
	return n, nil
}

// removals are what removeUnused has done, by the ids of entries.
type removals struct {
	removed, failed []int64
	files           []int   // that each of removed had on the disk
	bytes           []int64 // of these
	err             error   // of those that failed
}

func removeUnused(ctx context.Context, tx pgx.Tx, ids []int64,
	remove func(context.Context, string) (Freed, error), tried *removals) (int, error) {
	// Locked first, so that the next statement sees what those have committed who had the locks.
	if _, err := tx.Exec(ctx, "SELECT FROM unused_images WHERE id = ANY ($1) ORDER BY id FOR UPDATE", ids); err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT id, image_id, shown FROM (
			SELECT u.id, u.image_id,
				(SELECT p.id FROM photos p WHERE p.image_id = u.image_id LIMIT 1) IS NOT NULL AS shown,
				(SELECT i.id FROM images i WHERE i.id = u.image_id) IS NULL AS unused,
				EXISTS (SELECT FROM deletions d WHERE d.id = u.deletion_id AND d.rows_gone_at IS NULL) AS going
			FROM unused_images u WHERE u.id = ANY ($1) ORDER BY u.id
		) AS u WHERE (shown AND NOT going OR unused)
			AND (SELECT o.id FROM uploads o WHERE o.image_id = u.image_id AND o.ended_at IS NULL LIMIT 1) IS NULL`, ids)
	if err != nil {
		return 0, err
	}
	type original struct {
		ID    int64
		Image string
		Shown bool // by a photo
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[original])
	if err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	kept := []int64{} // not nil: that would be NULL
	for _, u := range all {
		if limited.Err() != nil {
			break // the others are taken by the next call
		}
		if u.Shown {
			kept = append(kept, u.ID)
			continue
		}
		freed, err := remove(limited, u.Image)
		if err != nil {
			tried.failed, tried.err = append(tried.failed, u.ID), errors.Join(tried.err, err)
			continue
		}
		tried.removed = append(tried.removed, u.ID)
		tried.files, tried.bytes = append(tried.files, freed.Files), append(tried.bytes, freed.Bytes)
	}
	_, err = tx.Exec(ctx, `
		WITH done AS (
			DELETE FROM unused_images u WHERE u.id = ANY ($1) OR u.id = ANY ($4)
				RETURNING u.id, u.deletion_id
		)
		UPDATE deletions d SET files_removed = d.files_removed + u.removed, files_kept = d.files_kept + u.kept,
			freed_files = d.freed_files + u.files, freed_bytes = d.freed_bytes + u.bytes
		FROM (SELECT e.deletion_id, count(f.id) AS removed, count(*) - count(f.id) AS kept,
				coalesce(sum(f.files), 0) AS files, coalesce(sum(f.bytes), 0) AS bytes
			FROM done e LEFT JOIN unnest($1::bigint[], $2::integer[], $3::bigint[]) AS f (id, files, bytes)
				ON f.id = e.id
			WHERE e.deletion_id IS NOT NULL GROUP BY e.deletion_id) AS u
		WHERE d.id = u.deletion_id`, tried.removed, tried.files, tried.bytes, kept)
	return len(tried.removed) + len(kept), err
}
