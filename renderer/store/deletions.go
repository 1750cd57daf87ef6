package store

import (
	"context"
	"errors"
	"fmt"
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
	Shares   int // links
}

// HoldingsMost is how many photos, albums, and links [Store.Holdings] counts at most. 1,000 photos take about 5 ms.
const HoldingsMost = 1000

// Holdings counts what a user has: photos, albums and links up to [HoldingsMost], and the tags and files of those
// photos.
func (s *Store) Holdings(ctx context.Context, user int64) (Holdings, error) {
	return read(ctx, s, "count what a user has", func(rows pgx.Rows) (Holdings, error) {
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Holdings])
	}, "SELECT photos, albums, tags, files, codes, passkeys, emails, shares FROM holdings($1, $2)", user, HoldingsMost)
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

// Deletion is what is known of an account that was deleted, or of photos that were deleted for good.
type Deletion struct {
	ID           int64
	User         int64
	Name         string
	Version      int64 // of the user's scope, from which on all of it is gone; 0: nobody was shown any of it
	At           time.Time
	HiddenAt     time.Time // of photos: when the last of them was hidden from pages; zero: none was shown
	RowsGoneAt   time.Time // zero: not yet
	FilesGoneAt  time.Time // when the last file was removed; zero: not yet
	RevokedAt    time.Time // when the sessions and tokens counted no more; zero: not yet
	EdgesKnowAt  time.Time // when all edges had said that they show nothing of it; zero: not yet
	KeptUntil    time.Time // nobody may take the name before
	Had          Holdings  // photos, albums, tags and files as far as they are deleted
	Left         int       // photos that are still to be deleted from a bin, [BinMost] at most
	Sessions     int
	Tokens       int
	FilesRemoved int
	FilesKept    int // other photos show them
	FreedFiles   int // on the disk: originals, and what was made of them
	FreedBytes   int64
	PhotoIDs     []int64              // the first 1,000
	AlbumIDs     []int64              // likewise
	Edges        map[string]time.Time // when each edge showed nothing of it any more; zero: not yet
}

// Scope is the scope of the user.
func (d *Deletion) Scope() string { return "user." + d.Name }

// DeletionOf reads the deletion of an account that a receipt is about, see [Store.DeleteAccount]. It returns
// [ErrNotFound] if there is none.
func (s *Store) DeletionOf(ctx context.Context, receipt []byte) (*Deletion, error) {
	return s.deletion(ctx, "d.receipt = $1 AND d.account", receipt)
}

// deletion reads the deletion for which a condition holds.
func (s *Store) deletion(ctx context.Context, condition string, arguments ...any) (*Deletion, error) {
	return read(ctx, s, "read a receipt", func(rows pgx.Rows) (*Deletion, error) {
		d := Deletion{Edges: map[string]time.Time{}}
		var edges []string
		var learned []*time.Time
		var hidden, rowsGone, filesGone, revoked, know, kept *time.Time
		into := []any{&d.ID, &d.User, &d.Name, &d.Version, &d.At, &hidden, &rowsGone, &filesGone, &revoked, &know,
			&kept, &d.Had.Photos, &d.Had.Albums, &d.Had.Tags, &d.Had.Files, &d.Had.Codes, &d.Had.Passkeys,
			&d.Had.Emails, &d.Had.Shares, &d.Left, &d.Sessions, &d.Tokens, &d.FilesRemoved, &d.FilesKept,
			&d.FreedFiles, &d.FreedBytes, &d.PhotoIDs, &d.AlbumIDs, &edges, &learned}
		tag, err := pgx.ForEachRow(rows, into, func() error { return nil })
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		for from, to := range map[*time.Time]*time.Time{hidden: &d.HiddenAt, rowsGone: &d.RowsGoneAt,
			filesGone: &d.FilesGoneAt, revoked: &d.RevokedAt, know: &d.EdgesKnowAt, kept: &d.KeptUntil} {
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
		SELECT d.id, d.user_id, d.name, d.version, d.deleted_at, d.hidden_at, d.rows_gone_at, d.files_gone_at,
			d.revoked_at, d.edges_know_at, (SELECT k.kept_until FROM kept_names k WHERE k.name = d.name), d.photos,
			d.albums, d.tags, d.files, d.codes, d.passkeys, d.emails, d.shares,
			(SELECT count(*) FROM (SELECT FROM photos p WHERE d.rows_gone_at IS NULL AND p.user_id = d.user_id
				AND p.binned_at IS NOT NULL AND p.binned_at <= d.seen LIMIT 10000) AS p), d.sessions, d.tokens,
			d.files_removed, d.files_kept, d.freed_files, d.freed_bytes, d.photo_ids, d.album_ids,
			ARRAY(SELECT e.edge FROM deletion_edges e WHERE e.deletion_id = d.id ORDER BY e.edge),
			ARRAY(SELECT e.learned_at FROM deletion_edges e WHERE e.deletion_id = d.id ORDER BY e.edge)
		FROM deletions d WHERE `+condition, arguments...)
}

// deleteAtOnce is how many photos or albums a step deletes: 200 photos take 50 to 150 ms.
const deleteAtOnce = 200

// DeleteRows does one step of deleting the rows of a deletion, of an account or of a bin: the next one after a given
// deletion, so that one whose rows cannot be deleted keeps none of the others waiting. It returns which one that was;
// 0: there is none.
func (s *Store) DeleteRows(ctx context.Context, after int64) (deletion int64, err error) {
	var user int64
	var account bool
	err = s.pool.QueryRow(ctx, `
		SELECT d.id, d.user_id, d.account FROM deletions d WHERE d.id = coalesce(
			(SELECT id FROM deletions WHERE rows_gone_at IS NULL AND id > $1 ORDER BY id LIMIT 1),
			(SELECT id FROM deletions WHERE rows_gone_at IS NULL ORDER BY id LIMIT 1))`, after,
	).Scan(&deletion, &user, &account)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, nil
	case err == nil && account:
		_, err = s.pool.Exec(ctx, "SELECT delete_rows($1, $2)", user, deleteAtOnce)
	case err == nil:
		_, err = s.pool.Exec(ctx, "SELECT empty_bin($1, $2)", deletion, deleteAtOnce)
	}
	if err != nil {
		return deletion, fmt.Errorf("delete rows of user %d: %w", user, err)
	}
	return deletion, nil
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
			FROM written w WHERE d.user_id = w.user_id AND d.account AND d.revoked_at IS NULL`, one.ID); err != nil {
			return errors.Join(failed, fmt.Errorf("revoke sessions: %w", err))
		}
	}
	return failed
}

// ForgetDeletions deletes the receipts of what was deleted longer than age ago, and names that are no longer kept, at
// most 1,000 of each.
func (s *Store) ForgetDeletions(ctx context.Context, age time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH names AS (
			DELETE FROM kept_names WHERE name = ANY (ARRAY(
				SELECT k.name FROM kept_names k WHERE k.kept_until < now() ORDER BY k.kept_until LIMIT 1000))
		)
		DELETE FROM deletions WHERE id = ANY (ARRAY(
			SELECT d.id FROM deletions d WHERE d.rows_gone_at < now() - $1::interval ORDER BY d.rows_gone_at
				LIMIT 1000))`, age)
	if err != nil {
		return fmt.Errorf("forget receipts: %w", err)
	}
	return nil
}
