package migrations_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/migrations"
)

// TestArchiveIndexKeepsNobodyWaiting: while the index of 029 is made, which waits for a writer that began before,
// others write; and one that a killed run left invalid is made anew.
func TestArchiveIndexKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := testenv.Pool(t, testenv.EmptyDatabaseURL(t))
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // it has served
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(ctx, 28); err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "INSERT INTO users (name, display_name) VALUES ('ansel', 'Ansel'), ('vivian', 'V')",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID+"', 9, 40, 30, 255)",
		photoSQL(1, false), photoSQL(1, false), photoSQL(2, false))
	const failing = "CREATE UNIQUE INDEX CONCURRENTLY photos_archive ON photos (user_id)"
	if _, err := pool.Exec(ctx, failing); err == nil || one[bool](t, pool, `SELECT indisvalid FROM pg_index
			WHERE indexrelid = 'photos_archive'::regclass`) {
		t.Fatalf("the index is valid: %v", err)
	}
	writer, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Rollback(context.WithoutCancel(ctx)) }() // it is committed unless the test fails
	exec(t, writer, "UPDATE photos SET title = 'x' WHERE id = 1")
	migrated := make(chan error, 1)
	go func() { migrated <- migrations.Up(ctx, pool) }()
	for !one[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
			AND query LIKE '%INDEX CONCURRENTLY%photos_archive%' AND wait_event_type = 'Lock')`) {
		select {
		case err := <-migrated:
			t.Fatalf("it has not waited for a writer: %v", err)
		default:
		}
	}
	exec(t, pool, "SET lock_timeout = '30s'; UPDATE photos SET title = 'y' WHERE id = 3; RESET lock_timeout")
	if err := writer.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	made := one[string](t, pool, `SELECT indisvalid || ' ' || pg_get_indexdef(indexrelid) FROM pg_index
		WHERE indexrelid = 'photos_archive'::regclass`)
	if !strings.HasPrefix(made, "true ") || !strings.Contains(made, "COALESCE(taken_at, posted_at)") {
		t.Error(made)
	}
}
