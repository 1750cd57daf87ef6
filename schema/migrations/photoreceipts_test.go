package migrations_test

import (
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/migrations"
)

// TestReceiptsOfBefore: receipts of accounts that are there when receipts of photos come (038) keep what edges have
// said and which files count, and what is left of the account is deleted and counted.
func TestReceiptsOfBefore(t *testing.T) {
	t.Parallel()
	pool := testenv.Pool(t, testenv.EmptyDatabaseURL(t))
	db := stdlib.OpenDBFromPool(pool)
	before, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."))
	if err == nil {
		_, err = before.UpTo(t.Context(), 37)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
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
