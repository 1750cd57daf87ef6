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
	Photos   int
	Albums   int
	Tags     int // counted once for each photo that has one
	Files    int // different originals that the photos show
	Codes    int // that were not used
	Passkeys int
	Emails   int // 0 or 1
}

// HoldingsMost is how many photos, and albums, [Store.Holdings] counts at most. 1,000 photos take about 5 ms.
const HoldingsMost = 1000

// Holdings counts what a user has: photos and albums up to [HoldingsMost], and the tags and files of those photos.
func (s *Store) Holdings(ctx context.Context, user int64) (Holdings, error) {
	return read(ctx, s, "count what a user has", func(rows pgx.Rows) (Holdings, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Holdings])
	}, "SELECT photos, albums, tags, files, codes, passkeys, emails FROM holdings($1, $2)", user, HoldingsMost)
}

// DeleteAccount deletes the account of a user and hides everything of theirs at once. [Store.DeleteRows] and
// [Store.RemoveUnused] do the rest. password is the PHC string that was checked, receipt the SHA-256 of what the
// receipt's address has, sessions and tokens how many the form showed. It returns the user's scope, and [ErrChanged] if
// the password is another one by now.
func (s *Store) DeleteAccount(ctx context.Context, key string, user int64, password string, receipt []byte,
	sessions, tokens int) ([]Change, error) {
	return s.idempotent(ctx, key, "account.delete", []any{user, fmt.Sprintf("%x", receipt)},
		`SELECT outcome, scopes, versions, gone FROM delete_account($1, $2, $3, $4, $5, $6, $7)`,
		user, password, receipt, sessions, tokens)
}

// Deletion is what is known of an account that was deleted.
type Deletion struct {
	User         int64
	Name         string
	Version      int64 // of the user's scope, from which on everything of theirs is gone
	At           time.Time
	RowsGoneAt   time.Time // zero: not yet
	RevokedAt    time.Time // when the sessions and tokens counted no more; zero: not yet
	EdgesKnowAt  time.Time // when all edges had said that they show nothing of the person; zero: not yet
	KeptUntil    time.Time // nobody may take the name before
	Had          Holdings  // photos, albums, tags and files as far as they are deleted
	Sessions     int
	Tokens       int
	FilesRemoved int
	FilesKept    int // photos of others show them
	PhotoIDs     []int64
	AlbumIDs     []int64
	Edges        map[string]time.Time // when each edge showed nothing of the person any more; zero: not yet
}

// Scope is the scope of the user.
func (d *Deletion) Scope() string { return "user." + d.Name }

// DeletionOf reads the deletion that a receipt is about, see [Store.DeleteAccount]. It returns [ErrNotFound] if there
// is none.
func (s *Store) DeletionOf(ctx context.Context, receipt []byte) (*Deletion, error) {
	return read(ctx, s, "read a receipt", func(rows pgx.Rows) (*Deletion, error) {
		d := Deletion{Edges: map[string]time.Time{}}
		var edges []string
		var learned []*time.Time
		var rowsGone, revoked, know, kept *time.Time
		into := []any{&d.User, &d.Name, &d.Version, &d.At, &rowsGone, &revoked, &know, &kept, &d.Had.Photos,
			&d.Had.Albums, &d.Had.Tags, &d.Had.Files, &d.Had.Codes, &d.Had.Passkeys, &d.Had.Emails, &d.Sessions,
			&d.Tokens, &d.FilesRemoved, &d.FilesKept, &d.PhotoIDs, &d.AlbumIDs, &edges, &learned}
		tag, err := pgx.ForEachRow(rows, into, func() error { return nil })
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		for from, to := range map[*time.Time]*time.Time{rowsGone: &d.RowsGoneAt, revoked: &d.RevokedAt,
			know: &d.EdgesKnowAt, kept: &d.KeptUntil} {
			if from != nil {
				*to = *from
			}
		}
		for i, edge := range edges {
			if d.Edges[edge] = (time.Time{}); learned[i] != nil {
				d.Edges[edge] = *learned[i]
			}
		}
		return &d, err
	}, `
		SELECT d.user_id, d.name, d.version, d.deleted_at, d.rows_gone_at, d.revoked_at, d.edges_know_at,
			(SELECT k.kept_until FROM kept_names k WHERE k.name = d.name), d.photos, d.albums, d.tags, d.files, d.codes,
			d.passkeys, d.emails, d.sessions, d.tokens, d.files_removed, d.files_kept, d.photo_ids, d.album_ids,
			ARRAY(SELECT e.edge FROM deletion_edges e WHERE e.user_id = d.user_id ORDER BY e.edge),
			ARRAY(SELECT e.learned_at FROM deletion_edges e WHERE e.user_id = d.user_id ORDER BY e.edge)
		FROM deletions d WHERE d.receipt = $1`, receipt)
}

// Unknown is a deletion that not all edges are known to have learned of.
type Unknown struct {
	User    int64
	Name    string
	Version int64
	At      time.Time
	Known   []string // edges that have said so
}

// Scope is the scope of the user.
func (u *Unknown) Scope() string { return "user." + u.Name }

// NextUnknown returns a deletion whose edges are to be asked now, see [Store.EdgesLearned]; nil if there is none. They
// are asked each second at first, and then after a quarter of the time for which they were asked.
func (s *Store) NextUnknown(ctx context.Context) (*Unknown, error) {
	var u Unknown
	err := s.pool.QueryRow(ctx, `
		SELECT d.user_id, d.name, d.version, d.deleted_at, ARRAY(SELECT e.edge FROM deletion_edges e
			WHERE e.user_id = d.user_id AND e.learned_at IS NOT NULL)
		FROM deletions d
		WHERE d.edges_know_at IS NULL AND (d.asked_at IS NULL OR d.asked_at > clock_timestamp()
			OR d.asked_at + greatest(interval '1 s', (d.asked_at - d.deleted_at) / 4) < clock_timestamp())
		ORDER BY d.asked_at NULLS FIRST, d.user_id LIMIT 1`,
	).Scan(&u.User, &u.Name, &u.Version, &u.At, &u.Known)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("look for edges to ask: %w", err)
	}
	return &u, nil
}

// EdgesLearned notes what the edges have said about a deleted user. known says since when each shows nothing of the
// person any more; what an edge has said first counts. missing are those that have not said so. all reports that these
// are all edges; then those without an answer in earlier calls are forgotten, and if none is missing the edges are not
// asked again.
func (s *Store) EdgesLearned(ctx context.Context, user int64, known map[string]time.Time, missing []string,
	all bool) error {
	names := slices.Sorted(maps.Keys(known))
	times := make([]*time.Time, 0, len(names)+len(missing))
	for _, name := range names {
		at := known[name]
		times = append(times, &at)
	}
	names = append(names, missing...)
	times = append(times, make([]*time.Time, len(missing))...) // they have none
	_, err := s.pool.Exec(ctx, `
		WITH said AS (
			INSERT INTO deletion_edges AS e (user_id, edge, learned_at)
				SELECT $1, a.edge, a.at FROM unnest($2::text[], $3::timestamptz[]) AS a (edge, at)
				ON CONFLICT (user_id, edge) DO UPDATE SET learned_at = excluded.learned_at WHERE e.learned_at IS NULL
		), forgotten AS (
			DELETE FROM deletion_edges e
				WHERE $4 AND e.user_id = $1 AND e.learned_at IS NULL AND NOT e.edge = ANY ($2::text[])
		)
		UPDATE deletions SET asked_at = clock_timestamp(),
			edges_know_at = CASE WHEN $4 AND array_position($3::timestamptz[], NULL) IS NULL THEN clock_timestamp() END
			WHERE user_id = $1 AND edges_know_at IS NULL`, user, names, times, all)
	if err != nil {
		return fmt.Errorf("note what edges know: %w", err)
	}
	return nil
}

// deleteAtOnce is how many photos or albums a step deletes: 200 photos take 50 to 150 ms.
const deleteAtOnce = 200

// DeleteRows does one step of deleting the rows of a user whose account was deleted: the next one after a given user,
// so that one whose rows cannot be deleted keeps none of the others waiting. It returns who that was; 0: nobody.
func (s *Store) DeleteRows(ctx context.Context, after int64) (user int64, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT coalesce(
			(SELECT user_id FROM deletions WHERE rows_gone_at IS NULL AND user_id > $1 ORDER BY user_id LIMIT 1),
			(SELECT user_id FROM deletions WHERE rows_gone_at IS NULL ORDER BY user_id LIMIT 1), 0)`, after,
	).Scan(&user)
	if err == nil && user != 0 {
		_, err = s.pool.Exec(ctx, "SELECT delete_rows($1, $2)", user, deleteAtOnce)
	}
	if err != nil {
		return user, fmt.Errorf("delete rows of user %d: %w", user, err)
	}
	return user, nil
}

// Bounds of one call of RemoveUnused. Postgres ends a transaction that waits for its client for two seconds.
const (
	unusedAtOnce = 50 // entries; each has up to six files
	removeWithin = time.Second
)

// RemoveUnused takes originals that deleted photos have shown, and calls remove with the id of each that no photo shows
// any more. Should this process end, they are taken again. One that cannot be removed is taken again after all others.
// Those of a user whose account was deleted are taken when the rows are gone, and counted in the receipt. One that an
// upload is about to store is not taken, see [Store.ReserveUpload]; one that an upload leaves is taken 30 s later. It
// returns how many entries it is done with.
func (s *Store) RemoveUnused(ctx context.Context, remove func(context.Context, string) error) (n int, err error) {
	const op = "remove unused originals"
	var ids []int64
	if err := s.pool.QueryRow(ctx, `
		SELECT ARRAY(SELECT u.id FROM unused_images u
			WHERE u.due_at <= clock_timestamp()
				AND NOT EXISTS (SELECT FROM deletions d WHERE d.user_id = u.user_id AND d.rows_gone_at IS NULL)
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
	tried := removals{removed: []int64{}} // not nil: that would be NULL
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
	err             error // of those that failed
}

func removeUnused(ctx context.Context, tx pgx.Tx, ids []int64, remove func(context.Context, string) error,
	tried *removals) (int, error) {
	// Locked first, so that the next statement sees what those have committed who had the locks.
	if _, err := tx.Exec(ctx, "SELECT FROM unused_images WHERE id = ANY ($1) ORDER BY id FOR UPDATE", ids); err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT id, image_id, shown FROM (
			SELECT u.id, u.image_id,
				(SELECT p.id FROM photos p WHERE p.image_id = u.image_id LIMIT 1) IS NOT NULL AS shown,
				(SELECT i.id FROM images i WHERE i.id = u.image_id) IS NULL AS unused
			FROM unused_images u WHERE u.id = ANY ($1) ORDER BY u.id
		) AS u WHERE shown OR unused
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
		if err := remove(limited, u.Image); err != nil {
			tried.failed, tried.err = append(tried.failed, u.ID), errors.Join(tried.err, err)
			continue
		}
		tried.removed = append(tried.removed, u.ID)
	}
	_, err = tx.Exec(ctx, `
		WITH done AS (
			DELETE FROM unused_images u WHERE u.id = ANY ($1) OR u.id = ANY ($2)
				RETURNING u.user_id, u.counts, u.id = ANY ($2) AS kept
		)
		UPDATE deletions d SET files_removed = d.files_removed + u.removed, files_kept = d.files_kept + u.kept
		FROM (SELECT user_id, count(*) FILTER (WHERE NOT kept) AS removed, count(*) FILTER (WHERE kept) AS kept
			FROM done WHERE counts GROUP BY user_id) AS u
		WHERE d.user_id = u.user_id`, tried.removed, kept)
	return len(tried.removed) + len(kept), err
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
