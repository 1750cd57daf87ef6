package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Freed is what the removal of an original has freed on the disk.
type Freed struct {
	Files int // the original, and what was made of it
	Bytes int64
}

// Bounds of removals.
const (
	unusedAtOnce   = 50 // entries that one call takes; each has up to six files
	removalsAtOnce = 16
	removeWithin   = 15 * time.Second // a bucket is asked three times for each, for 5 s at most
	// removalRest is for how long nobody touches an original whose removal failed or was cut short. A server may do
	// late what it was asked for, and must not take a file that was uploaded again.
	removalRest = 30 * time.Second
	// lookAgain is how long after its removal an original is removed once more. Whoever was making a derivative has
	// stored it by then, see renderer.developLimit.
	lookAgain = 2 * time.Minute
)

// RemoveUnused takes originals that deleted photos have shown, and calls remove, concurrently, with the id of each that
// no photo shows any more, and two minutes later once more. One whose removal fails, or is cut short by the end of this
// process, is taken again when it has rested. Those of a deletion are counted in its receipt, and while its rows are
// going, what a photo still shows waits: that may be one of its own. One that an upload is about to store is not taken,
// see [Store.ReserveUpload]; one that an upload leaves is taken 30 s later. It returns how many entries are done with.
func (s *Store) RemoveUnused(
	ctx context.Context, remove func(context.Context, string) (Freed, error),
) (n int, err error) {
	const op = "remove unused originals"
	var ids, claimed []int64
	if err := s.pool.QueryRow(ctx, `
		SELECT ARRAY(SELECT u.id FROM unused_images u
			WHERE u.due_at <= clock_timestamp()
				AND NOT (EXISTS (SELECT FROM deletions d WHERE d.id = u.deletion_id AND d.rows_gone_at IS NULL)
					AND (SELECT p.id FROM photos p WHERE p.image_id = u.image_id LIMIT 1) IS NOT NULL)
				AND (SELECT o.id FROM uploads o WHERE o.image_id = u.image_id AND o.ended_at IS NULL LIMIT 1) IS NULL
			ORDER BY u.due_at, u.id LIMIT $1)`, unusedAtOnce).Scan(&ids); err != nil {
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
	// Committed before anything is removed: should this process end meanwhile, others know that it has begun.
	if err := s.pool.QueryRow(ctx, `
		WITH claimed AS (
			UPDATE unused_images u SET tried_at = clock_timestamp(), due_at = clock_timestamp() + $2::interval
			WHERE u.id = ANY ($1) AND u.due_at <= clock_timestamp()
				AND NOT EXISTS (SELECT FROM images i WHERE i.id = u.image_id)
			RETURNING u.id
		)
		SELECT ARRAY(SELECT id FROM claimed)`, ids, removeWithin+removalRest).Scan(&claimed); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	// Not nil: that is NULL.
	tried := removals{removed: []int64{}, failed: []int64{}, files: []int{}, bytes: []int64{}, images: []string{}}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		n, err = removeUnused(ctx, tx, ids, claimed, remove, &tried)
		return err
	})
	if err != nil {
		n, tried.failed = 0, append(tried.failed, tried.removed...)
	}
	if err != nil || len(tried.removed) < len(claimed) { // those that were not even begun need no rest
		_, late := s.pool.Exec(ctx, `
			UPDATE unused_images u SET tried_at = CASE WHEN u.id = ANY ($2) THEN clock_timestamp() END,
				due_at = clock_timestamp() + CASE WHEN u.id = ANY ($2) THEN $3::interval ELSE '0' END
			WHERE u.id = ANY ($1)`, claimed, tried.failed, removalRest)
		err = errors.Join(err, tried.err, late)
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", op, err)
	}
	return n, nil
}

// removals are what removeUnused has done, by the ids of entries.
type removals struct {
	mu              sync.Mutex
	removed, failed []int64
	files           []int    // that each of removed had on the disk
	bytes           []int64  // of these
	images          []string // that were removed for the first time
	err             error    // of those that failed
}

// unusedImage is an entry.
type unusedImage struct {
	ID    int64
	Image string
	Shown bool // by a photo
	Again bool // its files were removed before
}

// note notes how the removal of an original has ended that some entries name. What it has freed counts once.
func (r *removals) note(entries []unusedImage, freed Freed, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
	first := false
	for _, e := range entries {
		if err != nil {
			r.failed = append(r.failed, e.ID)
			continue
		}
		r.removed = append(r.removed, e.ID)
		r.files, r.bytes = append(r.files, freed.Files), append(r.bytes, freed.Bytes)
		first, freed = first || !e.Again, Freed{}
	}
	if first {
		r.images = append(r.images, entries[0].Image)
	}
}

// removeUnused is done with some entries, and removes the originals of those that were claimed. It locks them: an
// upload that reserves one of them later finds that out, and one that has reserved one keeps it.
func removeUnused(ctx context.Context, tx pgx.Tx, ids, claimed []int64,
	remove func(context.Context, string) (Freed, error), tried *removals) (int, error) {
	// Without this Postgres ends a transaction that waits for its client for two seconds.
	if _, err := tx.Exec(ctx, "SELECT set_config('idle_in_transaction_session_timeout', $1, true)",
		(removeWithin + time.Second).String()); err != nil {
		return 0, err
	}
	// Locked first, so that the next statement sees what those have committed who had the locks.
	if _, err := tx.Exec(ctx, "SELECT FROM unused_images WHERE id = ANY ($1) ORDER BY id FOR UPDATE", ids); err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT id, image_id, shown, again FROM (
			SELECT u.id, u.image_id, u.again,
				(SELECT p.id FROM photos p WHERE p.image_id = u.image_id LIMIT 1) IS NOT NULL AS shown,
				(SELECT i.id FROM images i WHERE i.id = u.image_id) IS NULL AS unused,
				EXISTS (SELECT FROM deletions d WHERE d.id = u.deletion_id AND d.rows_gone_at IS NULL) AS going
			FROM unused_images u WHERE u.id = ANY ($1) ORDER BY u.id
		) AS u WHERE (shown AND NOT going OR unused AND u.id = ANY ($2))
			AND (SELECT o.id FROM uploads o WHERE o.image_id = u.image_id AND o.ended_at IS NULL LIMIT 1) IS NULL`,
		ids, claimed)
	if err != nil {
		return 0, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unusedImage])
	if err != nil {
		return 0, err
	}
	kept := []int64{} // not nil: that would be NULL
	var images []string
	entries := map[string][]unusedImage{}
	for _, e := range all {
		if e.Shown {
			kept = append(kept, e.ID)
			continue
		}
		if entries[e.Image] == nil {
			images = append(images, e.Image)
		}
		entries[e.Image] = append(entries[e.Image], e)
	}
	limited, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(removalsAtOnce)
	for _, image := range images {
		group.Go(func() error {
			if limited.Err() == nil { // or else the next call takes it
				freed, err := remove(limited, image)
				tried.note(entries[image], freed, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in tried
	_, err = tx.Exec(ctx, `
		WITH done AS (
			DELETE FROM unused_images u WHERE u.id = ANY ($1) OR u.id = ANY ($4)
				RETURNING u.id, u.deletion_id
		), once_more AS (
			INSERT INTO unused_images (user_id, image_id, again, due_at)
				SELECT 0, a.id, true, clock_timestamp() + $6::interval FROM unnest($5::text[]) AS a (id)
		)
		UPDATE deletions d SET files_removed = d.files_removed + u.removed, files_kept = d.files_kept + u.kept,
			freed_files = d.freed_files + u.files, freed_bytes = d.freed_bytes + u.bytes
		FROM (SELECT e.deletion_id, count(f.id) AS removed, count(*) - count(f.id) AS kept,
				coalesce(sum(f.files), 0) AS files, coalesce(sum(f.bytes), 0) AS bytes
			FROM done e LEFT JOIN unnest($1::bigint[], $2::integer[], $3::bigint[]) AS f (id, files, bytes)
				ON f.id = e.id
			WHERE e.deletion_id IS NOT NULL GROUP BY e.deletion_id) AS u
		WHERE d.id = u.deletion_id`, tried.removed, tried.files, tried.bytes, kept, tried.images, lookAgain)
	return len(tried.removed) + len(kept), err
}
