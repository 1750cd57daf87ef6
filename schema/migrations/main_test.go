package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// database is a pool or a transaction.
type database interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const imageID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"

// site is a database with users ansel (1) and vivian (2); ansel's public photos 1 and 2 and private 3, vivian's public
// 4; ansel's album 1 of photos 1 and 3; and the tag sea (1) on photos 1, 3 and 4. Its outbox is empty.
func site(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool := testenv.Database(t)
	exec(t, pool,
		"INSERT INTO users (name, display_name) VALUES ('ansel', 'Ansel'), ('vivian', 'Vivian')",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID+"', 9, 40, 30, 255)",
		photoSQL(1, false), photoSQL(1, false), photoSQL(1, true), photoSQL(2, false),
		"INSERT INTO albums (user_id, title) VALUES (1, 'Yosemite')",
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES (1, 1, 1, 1), (1, 3, 1, 2)",
		"INSERT INTO tags (name) VALUES ('sea'), ('sky')",
		"INSERT INTO photo_tags (photo_id, tag_id) VALUES (1, 1), (3, 1), (4, 1)",
		"DELETE FROM outbox")
	return pool
}

func photoSQL(owner int, private bool) string {
	return fmt.Sprintf("INSERT INTO photos (user_id, image_id, width, height, color, private) "+
		"VALUES (%d, '%s', 40, 30, 255, %t)", owner, imageID, private)
}

func exec(t testing.TB, db database, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// change is a row of the outbox.
type change struct {
	Scope   string
	Version int64
	Gone    bool
}

// drain empties the outbox and gives what was in it, in order.
func drain(t testing.TB, db database) []change {
	t.Helper()
	const q = "WITH d AS (DELETE FROM outbox RETURNING *) SELECT scope, version, gone FROM d ORDER BY id"
	rows, err := db.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[change])
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// told writes changes without their versions: "user.ansel photo.1!", where ! means gone.
func told(changes []change) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		parts[i] = c.Scope
		if c.Gone {
			parts[i] += "!"
		}
	}
	return strings.Join(parts, " ")
}

func one[T any](t testing.TB, db database, sql string, args ...any) T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// waitForLocks returns once n connections wait for a lock.
func waitForLocks(t testing.TB, pool *pgxpool.Pool, n int) {
	t.Helper()
	for range 10_000 {
		const q = `SELECT count(*)::integer FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`
		if one[int](t, pool, q) >= n {
			return
		}
	}
	t.Fatalf("no %d connections wait for a lock", n)
}
