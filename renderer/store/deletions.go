package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Holdings counts what a person has.
type Holdings struct {
	Photos int `json:"photos"`
	Albums int `json:"albums"`
	Tags   int `json:"tags"`           // different ones
	Codes  int `json:"recovery_codes"` // that were not used
	Files  int `json:"files"`          // originals that the photos show
}

// Holdings counts what a user has.
func (s *Store) Holdings(ctx context.Context, user int64) (Holdings, error) {
	return read(ctx, s, "count what a user has", func(rows pgx.Rows) (Holdings, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Holdings])
	}, "SELECT photos, albums, tags, codes, files FROM holdings($1)", user)
}

// DeleteAccount deletes the account of a user and hides everything of theirs at once. [Store.DeleteRows] and
// [Store.RemoveUnused] do the rest. password is the PHC string that was checked, receipt the SHA-256 of what the
// receipt's address has. It returns the user's scope, and [ErrChanged] if the password is another one by now.
func (s *Store) DeleteAccount(ctx context.Context, key string, user int64, password string, receipt []byte,
	sessions int) ([]Change, error) {
	return s.idempotent(ctx, key, "account.delete", []any{user, fmt.Sprintf("%x", receipt)},
		`SELECT outcome, scopes, versions, gone FROM delete_account($1, $2, $3, $4, $5, $6)`,
		user, password, receipt, sessions)
}

// Deletion is what is known of an account that was deleted.
type Deletion struct {
	User         int64
	Name         string
	Version      int64 // of the user's scope, from which on everything of theirs is gone
	At           time.Time
	RowsGoneAt   time.Time // zero: not yet
	RevokedAt    time.Time // when the sessions and tokens counted no more; zero: not yet
	KeptUntil    time.Time // nobody may take the name before
	Had          Holdings
	Sessions     int
	PhotosLeft   int
	FilesRemoved int
	FilesKept    int // photos of others show them
	PhotoIDs     []int64
	AlbumIDs     []int64
	Edges        map[string]time.Time // when each edge showed nothing of the person any more
}

// Scope is the scope of the user.
func (d *Deletion) Scope() string { return "user." + d.Name }

// DeletionOf reads the deletion that a receipt is about, see [Store.DeleteAccount]. It returns [ErrNotFound] if there
// is none.
func (s *Store) DeletionOf(ctx context.Context, receipt []byte) (*Deletion, error) {
	return read(ctx, s, "read a receipt", func(rows pgx.Rows) (*Deletion, error) {
		d := Deletion{Edges: map[string]time.Time{}}
		var edges []string
		var learned []time.Time
		var rowsGone, revoked, kept *time.Time
		into := []any{&d.User, &d.Name, &d.Version, &d.At, &rowsGone, &revoked, &kept, &d.Had.Photos, &d.Had.Albums,
			&d.Had.Tags, &d.Had.Codes, &d.Had.Files, &d.Sessions, &d.PhotosLeft, &d.FilesRemoved, &d.FilesKept,
			&d.PhotoIDs, &d.AlbumIDs, &edges, &learned}
		tag, err := pgx.ForEachRow(rows, into, func() error { return nil })
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		for from, to := range map[*time.Time]*time.Time{rowsGone: &d.RowsGoneAt, revoked: &d.RevokedAt,
			kept: &d.KeptUntil} {
			if from != nil {
				*to = *from
			}
		}
		for i, edge := range edges {
			d.Edges[edge] = learned[i]
		}
		return &d, err
	}, `
		SELECT d.user_id, d.name, d.version, d.deleted_at, d.rows_gone_at, d.revoked_at,
			(SELECT k.kept_until FROM kept_names k WHERE k.name = d.name), d.photos, d.albums, d.tags, d.codes, d.files,
			d.sessions, (SELECT count(*) FROM photos p WHERE p.user_id = d.user_id)::integer,
			d.files_removed, d.files_kept, d.photo_ids, d.album_ids,
			ARRAY(SELECT e.edge FROM deletion_edges e WHERE e.user_id = d.user_id ORDER BY e.edge),
			ARRAY(SELECT e.learned_at FROM deletion_edges e WHERE e.user_id = d.user_id ORDER BY e.edge)
		FROM deletions d WHERE d.receipt = $1`, receipt)
}

// EdgesLearned notes when edges showed nothing of a deleted user any more. What an edge has said first counts.
func (s *Store) EdgesLearned(ctx context.Context, user int64, edges map[string]time.Time) error {
	names := slices.Sorted(maps.Keys(edges))
	times := make([]time.Time, len(names))
	for i, name := range names {
		times[i] = edges[name]
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO deletion_edges (user_id, edge, learned_at)
			SELECT $1, e.edge, e.at FROM unnest($2::text[], $3::timestamptz[]) AS e (edge, at) ON CONFLICT DO NOTHING`,
		user, names, times)
	if err != nil {
		return fmt.Errorf("note what edges know: %w", err)
	}
	return nil
}

// LeftoversWait reports whether [Store.Revoke], [Store.DeleteRows] or [Store.RemoveUnused] may have something to do.
func (s *Store) LeftoversWait(ctx context.Context) (waiting bool, err error) {
	if err = s.pool.QueryRow(ctx, `
		SELECT (SELECT r.id FROM revocations r ORDER BY r.id LIMIT 1) IS NOT NULL
			OR (SELECT d.user_id FROM deletions d WHERE d.rows_gone_at IS NULL ORDER BY d.user_id LIMIT 1) IS NOT NULL
			OR (SELECT u.id FROM unused_images u ORDER BY u.id LIMIT 1) IS NOT NULL`).Scan(&waiting); err != nil {
		err = fmt.Errorf("look for leftovers: %w", err)
	}
	return waiting, err
}

// deleteAtOnce is how many photos or albums a step deletes: 200 photos take 50 to 150 ms.
const deleteAtOnce = 200

// DeleteRows does one step of deleting the rows of a user whose account was deleted. more reports whether there was
// something to do.
func (s *Store) DeleteRows(ctx context.Context) (more bool, err error) {
	var n int
	err = s.pool.QueryRow(ctx, `SELECT delete_rows(d.user_id, $1)
		FROM (SELECT user_id FROM deletions WHERE rows_gone_at IS NULL ORDER BY user_id LIMIT 1) AS d`, deleteAtOnce,
	).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete rows: %w", err)
	}
	return true, nil
}

// unusedAtOnce is how many originals RemoveUnused looks at: each has up to six files.
const unusedAtOnce = 50

// RemoveUnused takes originals that deleted photos have shown, and calls remove with the id of each that no photo shows
// any more. Should it fail, or this process end, they are taken again. Those of a user whose account was deleted are
// taken when the rows are gone, so each is counted once. It returns how many entries it took.
func (s *Store) RemoveUnused(ctx context.Context, remove func(context.Context, string) error) (n int, err error) {
	const op = "remove unused originals"
	// An original that gets a photo at the same moment is not deleted: the foreign key refuses that, and the next call
	// finds the photo.
	if _, err := s.pool.Exec(ctx, `
		DELETE FROM images i WHERE i.id = ANY (ARRAY(SELECT u.image_id FROM unused_images u ORDER BY u.id LIMIT $1))
			AND NOT EXISTS (SELECT FROM photos p WHERE p.image_id = i.id)`, unusedAtOnce); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		n, err = removeUnused(ctx, tx, remove)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	return n, nil
}

func removeUnused(ctx context.Context, tx pgx.Tx, remove func(context.Context, string) error) (int, error) {
	rows, err := tx.Query(ctx, `
		SELECT u.user_id, u.image_id, (SELECT i.id FROM images i WHERE i.id = u.image_id) IS NOT NULL
		FROM unused_images u
		WHERE NOT EXISTS (SELECT FROM deletions d WHERE d.user_id = u.user_id AND d.rows_gone_at IS NULL)
		ORDER BY u.id LIMIT $1 FOR UPDATE SKIP LOCKED`, unusedAtOnce)
	if err != nil {
		return 0, err
	}
	type original struct {
		User  int64
		Image string
		Shown bool // by another photo
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[original])
	if err != nil || len(all) == 0 {
		return 0, err
	}
	var users []int64
	var images []string
	var kept []int32
	counted := map[original]bool{}
	for _, u := range all {
		if counted[u] {
			continue
		}
		counted[u] = true
		shown := int32(1)
		if !u.Shown {
			shown = 0
			if err := remove(ctx, u.Image); err != nil {
				return 0, err
			}
		}
		users, images, kept = append(users, u.User), append(images, u.Image), append(kept, shown)
	}
	if _, err := tx.Exec(ctx, `
		UPDATE deletions d SET files_removed = d.files_removed + u.originals - u.kept,
			files_kept = d.files_kept + u.kept
		FROM (SELECT user_id, count(*) AS originals, sum(kept) AS kept
			FROM unnest($1::bigint[], $2::integer[]) AS t (user_id, kept) GROUP BY user_id) AS u
		WHERE d.user_id = u.user_id`, users, kept); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		DELETE FROM unused_images u USING unnest($1::bigint[], $2::text[]) AS t (user_id, image)
		WHERE u.user_id = t.user_id AND u.image_id = t.image`, users, images)
	return len(all), err
}

// Revocation says that those sessions of a user count no more that began with a password that was set before a time.
type Revocation struct {
	User       int64
	PasswordAt time.Time
}

// Revoke takes revocations that were not written to the bucket of sessions yet, and calls write with each. Should that
// fail, or this process end, they are taken again.
func (s *Store) Revoke(ctx context.Context, write func(context.Context, Revocation) error) error {
	rows, err := s.pool.Query(ctx, "SELECT id, user_id, password_at FROM revocations ORDER BY id LIMIT 100")
	if err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	type row struct {
		ID int64
		Revocation
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v row, err error) {
		return v, r.Scan(&v.ID, &v.User, &v.PasswordAt)
	})
	if err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	var failed error
	for _, one := range all { // what cannot be written keeps none of the others waiting
		if err := write(ctx, one.Revocation); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if _, err := s.pool.Exec(ctx, `
			WITH written AS (DELETE FROM revocations WHERE id = $1 RETURNING user_id)
			UPDATE deletions d SET revoked_at = clock_timestamp()
			FROM written w WHERE d.user_id = w.user_id AND d.revoked_at IS NULL`, one.ID); err != nil {
			return errors.Join(failed, fmt.Errorf("revoke sessions: %w", err))
		}
	}
	return failed
}

// ForgetDeletions deletes the receipts of accounts that were deleted longer than age ago, and names that are no longer
// kept, at most 1,000 of each.
func (s *Store) ForgetDeletions(ctx context.Context, age time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH names AS (
			DELETE FROM kept_names WHERE name = ANY (ARRAY(
				SELECT k.name FROM kept_names k WHERE k.kept_until < now() ORDER BY k.kept_until LIMIT 1000))
		)
		DELETE FROM deletions WHERE user_id = ANY (ARRAY(
			SELECT d.user_id FROM deletions d WHERE d.rows_gone_at < now() - $1::interval ORDER BY d.rows_gone_at
				LIMIT 1000))`, age)
	if err != nil {
		return fmt.Errorf("forget receipts: %w", err)
	}
	return nil
}
