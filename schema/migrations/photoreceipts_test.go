package migrations_test

import (
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/migrations"
)

// TestReceiptsFinishedBefore: a receipt that was finished when receipts of photos came (038) says that the disk is
// free.
func TestReceiptsFinishedBefore(t *testing.T) {
	t.Parallel()
	pool := upTo(t, 37)
	exec(t, pool, `INSERT INTO deletions (user_id, name, version, receipt, codes, passkeys, emails, sessions, tokens,
			photo_ids, album_ids, files, files_removed, files_kept, rows_gone_at)
		SELECT n, 'a' || n, 1, sha256(n::text::bytea), 0, 0, 0, 0, 0, '{}', '{}', 3, n, 1, now()
			FROM generate_series(1, 2) n`)
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if got := one[string](t, pool, `SELECT string_agg((files_gone_at = rows_gone_at)::text, ' ' ORDER BY user_id)
		FROM deletions WHERE files_gone_at IS NOT NULL`); got != "true" {
		t.Errorf("the disk is free: %s", got)
	}
}

// TestReceiptsOfTheLiving: nothing of somebody whose account is not deleted goes with it. Renderers of before take a
// bin that is being emptied for an account.
func TestReceiptsOfTheLiving(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	exec(t, pool, "INSERT INTO users (name, display_name) VALUES ('ansel', 'Ansel')",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID+"', 9, 40, 30, 255)",
		photoSQL(1, false), "INSERT INTO albums (user_id, title) VALUES (1, 'Yosemite')",
		"INSERT INTO deletions (user_id, account, version, receipt, name) VALUES (1, false, 0, sha256('r'), 'ansel')")
	if n := one[int](t, pool, "SELECT delete_rows(1, 200)"); n != 0 {
		t.Errorf("%d rows are deleted", n)
	}
	if got := one[string](t, pool, `SELECT (SELECT count(*) FROM photos) || ' ' || (SELECT count(*) FROM albums) || ' ' ||
		(SELECT count(*) FROM deletions WHERE rows_gone_at IS NULL)`); got != "1 1 1" {
		t.Errorf("photos, albums, receipts: %s", got)
	}
}

// upTo is a database with the migrations up to one.
func upTo(t *testing.T, version int64) *pgxpool.Pool {
	t.Helper()
	pool := testenv.Pool(t, testenv.EmptyDatabaseURL(t))
	db := stdlib.OpenDBFromPool(pool)
	before, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."))
	if err == nil {
		_, err = before.UpTo(t.Context(), version)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return pool
}

// TestReceiptsOfBefore: receipts of accounts that are there when receipts of photos come (038) keep what edges have
// said and which files count, and what is left of the account is deleted and counted.
func TestReceiptsOfBefore(t *testing.T) {
	t.Parallel()
	pool := upTo(t, 37)
	const removed = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
	exec(t, pool,
		"INSERT INTO users (name, display_name) VALUES ('vivian', 'Vivian'), ('ansel', 'Ansel')",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID+"', 9, 40, 30, 255)",
		photoSQL(2, false),
		"INSERT INTO accounts (user_id, password) VALUES (2, '$argon2id$v=19$m=19456,t=2,p=1$"+
			"c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g')",
		"SELECT delete_account('key', sha256('a'), 2, (SELECT password FROM accounts), sha256('r'), 1, 1)",
		"INSERT INTO deletion_edges (user_id, learned_at, edge) VALUES (2, now(), 'edge.a.1'), (2, NULL, 'edge.b.2')",
		"INSERT INTO unused_images (user_id, counts, image_id) VALUES (2, true, '"+removed+"'), "+
			"(2, false, '"+removed+"')",
		"UPDATE deletions SET files = 1")
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, pool, `SELECT count(*)::integer FROM deletion_edges e JOIN deletions d ON d.id = e.deletion_id
		WHERE d.user_id = 2 AND d.account`); n != 2 {
		t.Errorf("of %d edges it is known what they have said", n)
	}
	if n := one[int](t, pool, `SELECT count(*)::integer FROM unused_images u JOIN deletions d ON d.id = u.deletion_id
		WHERE u.image_id = '`+removed+"'"); n != 1 {
		t.Errorf("%d files count", n)
	}
	exec(t, pool, "SELECT delete_rows(2, 10)", "SELECT delete_rows(2, 10)")
	if got := one[string](t, pool, `SELECT photos || ' ' || files || ' ' || (rows_gone_at IS NOT NULL)::text || ' ' ||
		(SELECT count(*) FROM users) FROM deletions`); got != "1 2 true 1" {
		t.Errorf("photos, files, rows gone, users: %s", got)
	}
}
