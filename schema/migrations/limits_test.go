package migrations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What the database itself refuses, from any writer.
func TestRefused(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool, "INSERT INTO users (name, display_name) VALUES ('dorothea', 'D')", "DELETE FROM outbox")
	const check, unique, foreign, fixed = "23514", "23505", "23503", "23000"
	photo := func(set string) string { return "UPDATE photos SET " + set + " WHERE id = 2" }
	insert := func(column, value string) string {
		return fmt.Sprintf("INSERT INTO photos (user_id, image_id, width, height, color, %s) "+
			"VALUES (1, '%s', 40, 30, 255, %s)", column, imageID, value)
	}
	for _, c := range []struct{ sql, code string }{
		{"INSERT INTO users (name, display_name) VALUES ('A', 'x')", check},
		{"INSERT INTO users (name, display_name) VALUES ('a', 'x')", check},
		{"INSERT INTO users (name, display_name) VALUES ('_a', 'x')", check},
		{"INSERT INTO users (name, display_name) VALUES ('ab\n', 'x')", check},
		{"INSERT INTO users (name, display_name) VALUES ('" + strings.Repeat("a", 32) + "', 'x')", check},
		{"INSERT INTO users (name, display_name) VALUES ('ansel', 'x')", unique},
		{"INSERT INTO users (name, display_name) VALUES ('ab', '')", check},
		{"INSERT INTO users (name, display_name, bio) VALUES ('ab', 'x', repeat('é', 2001))", check},
		{"UPDATE users SET photo_count = -1", check},
		{"UPDATE users SET id = 77 WHERE id = 3", fixed},
		{"DELETE FROM users WHERE id = 1", foreign},
		{"INSERT INTO images VALUES (now(), 1, 1, 1, 1, 'short')", check},
		{"INSERT INTO images VALUES (now(), 1, 1, 1, 1, '../aaaaaaaaaaaaaaaaaaaaaaaa')", check},
		{"INSERT INTO images VALUES (now(), 1, 1, 1, 16777216, 'bbbbbbbbbbbbbbbbbbbbbbbbbb')", check},
		{"INSERT INTO images VALUES (now(), 1, 0, 1, 1, 'bbbbbbbbbbbbbbbbbbbbbbbbbb')", check},
		{"DELETE FROM images", foreign},
		{photo("width = 41"), foreign}, // not the image's
		{photo("title = repeat('x', 201)"), check},
		{photo("description = repeat('x', 5001)"), check},
		{photo("camera = ''"), check},
		{photo("faves = -1"), check},
		{photo("iso = 0"), check},
		{photo("aperture = 'NaN'"), check},
		{photo("focal_mm = 'Infinity'"), check},
		{photo("id = 99"), fixed},
		{photo("posted_at = now()"), fixed},
		{photo("user_id = 99"), foreign},
		{"UPDATE photos SET user_id = 2 WHERE id = 1", foreign}, // it is in ansel's album
		{insert("posted_at", "'2001-01-01'"), check},
		{insert("posted_at", "'2099-01-01'"), check},
		{insert("id", "-1"), check},
		{"INSERT INTO tags (name) VALUES ('')", check},
		{"INSERT INTO tags (name) VALUES ('Sea')", check},
		{"INSERT INTO tags (name) VALUES ('MÜNCHEN')", check},
		{"INSERT INTO tags (name) VALUES (' sea')", check},
		{"INSERT INTO tags (name) VALUES ('red  sea')", check},
		{"INSERT INTO tags (name) VALUES (E'red\\tsea')", check},
		{"INSERT INTO tags (name) VALUES (E'red\\u0085sea')", check},
		{"INSERT INTO tags (name) VALUES (repeat('a', 65))", check},
		{"INSERT INTO tags (name) VALUES (repeat('海', 41))", check}, // 123 bytes
		{"INSERT INTO tags (name) VALUES ('sea')", unique},
		{"UPDATE tags SET name = 'lake' WHERE id = 2", fixed},
		{"DELETE FROM tags WHERE id = 1", foreign},
		{"INSERT INTO photo_tags VALUES (1, 1)", unique},
		{"INSERT INTO photo_tags VALUES (99, 1)", foreign},
		{"UPDATE albums SET title = ''", check},
		{"UPDATE albums SET user_id = 2", foreign},                // it has ansel's photos
		{"INSERT INTO album_photos VALUES (1, 4, 1, 5)", foreign}, // vivian's photo
		{"INSERT INTO album_photos VALUES (1, 4, 2, 5)", foreign}, // in ansel's album
		{"INSERT INTO album_photos VALUES (1, 2, 1, 1)", unique},  // the place is taken
		{"INSERT INTO album_photos VALUES (1, 2, 1, 0)", check},
		{"INSERT INTO epoch VALUES (true, 1)", unique},
		{keySQL("", 32, "'{user.a}'", "'{1}'"), check},
		{keySQL("a b", 32, "'{user.a}'", "'{1}'"), check},
		{keySQL("é", 32, "'{user.a}'", "'{1}'"), check},
		{keySQL(strings.Repeat("k", 65), 32, "'{user.a}'", "'{1}'"), check},
		{keySQL("k", 31, "'{user.a}'", "'{1}'"), check},
		{keySQL("k", 32, "'{user.a,photo.1}'", "'{1}'"), check},
		{keySQL("k", 32, "'{}'", "'{}'"), check}, // committed without a result
	} {
		_, err := pool.Exec(t.Context(), c.sql, pgx.QueryExecModeSimpleProtocol)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s: got %v, want %s", c.sql, err, c.code)
		}
	}
	if changes := drain(t, pool); len(changes) != 0 {
		t.Errorf("refused statements announced %v", changes)
	}
	for _, sql := range []string{
		"INSERT INTO tags (name) VALUES ('münchen 1972'), ('海'), ('c++')",
		"INSERT INTO users (name, display_name) VALUES ('0-_', 'أنسل')",
		"UPDATE photos SET title = '<script>' || repeat('é', 192) WHERE id = 1",
		keySQL(strings.Repeat("~", 64), 32, "'{user.a}'", "'{1}'"),
	} {
		exec(t, pool, sql)
	}
}

// keySQL remembers an action that changed these scopes; its fingerprint has so many bytes.
func keySQL(key string, bytes int, scopes, versions string) string {
	return fmt.Sprintf(`INSERT INTO action_keys (key, request, scopes, versions, gone)
		SELECT '%s', decode(repeat('00', %d), 'hex'), %s, v, array_fill(false, ARRAY[cardinality(v)])
		FROM (SELECT %s::bigint[] AS v) AS given`, key, bytes, scopes, versions)
}

func TestPostedAtIsStampedInTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool, // a clock that was ahead: what comes after must not come before
		"ALTER TABLE photos DISABLE TRIGGER photos_insert",
		`INSERT INTO photos (user_id, image_id, width, height, color, posted_at)
			VALUES (1, '`+imageID+`', 40, 30, 255, now() + interval '30 s')`,
		"ALTER TABLE photos ENABLE TRIGGER photos_insert",
		photoSQL(1, false), photoSQL(2, false))
	if n := one[int](t, pool, `SELECT count(*)::integer
		FROM (SELECT posted_at < lag(posted_at) OVER (ORDER BY id) AS back FROM photos) AS p WHERE back`); n != 0 {
		t.Errorf("%d photos were posted before the one before them", n)
	}
}

// The clock was an hour ahead when the newest photo came, and is right again: photos go on coming, in the order of
// their ids. A time that a writer gives is still checked against that order.
func TestPhotosComeWhateverTheClockDid(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool,
		"ALTER TABLE photos DISABLE TRIGGER photos_order",
		"UPDATE photos SET posted_at = now() - interval '1 hour' + id * interval '1 minute'",
		"UPDATE photos SET posted_at = now() + interval '1 hour' WHERE id = 4",
		"ALTER TABLE photos ENABLE TRIGGER photos_order",
		"DELETE FROM photos WHERE id = 2")
	given := func(id int, at string) string {
		return fmt.Sprintf("INSERT INTO photos (id, user_id, image_id, width, height, color, posted_at) "+
			"VALUES (%d, 1, '%s', 40, 30, 255, %s)", id, imageID, at)
	}
	of := func(id int) string { return fmt.Sprintf("(SELECT posted_at FROM photos WHERE id = %d)", id) }
	for _, c := range []struct {
		what, sql string
		refused   bool
	}{
		{"no time", photoSQL(1, false), false},
		{"a time by the clock, before the newest photo's", given(90, "now()"), true},
		{"a time after the clock's and after the newest photo's", given(91, "now() + interval '2 hours'"), true},
		{"the newest photo's time", given(92, of(4)), false},
		{"an id used again, no time", given(2, "NULL"), false},
		{"photos of a statement, no time",
			"INSERT INTO photos (user_id, image_id, width, height, color) SELECT u, '" + imageID +
				"', 40, 30, 255 FROM unnest(ARRAY[2, 1, 2]) u", false},
	} {
		_, err := pool.Exec(t.Context(), c.sql)
		if refused := err != nil; refused != c.refused {
			t.Errorf("%s: %v; want refused: %t", c.what, err, c.refused)
		}
	}
	if n := one[int](t, pool, `SELECT count(*)::integer
		FROM (SELECT posted_at < lag(posted_at) OVER (ORDER BY id) AS back FROM photos) AS p WHERE back`); n != 0 {
		t.Errorf("%d photos were posted before the one before them", n)
	}
}

// Deletes and updates of a parent look for its children: each foreign key must lead an index, or they scan.
func TestEveryForeignKeyHasAnIndex(t *testing.T) {
	t.Parallel()
	pool := site(t)
	missing := one[string](t, pool, `
		SELECT coalesce(string_agg(conrelid::regclass || ' ' || conname, ', '), '') FROM pg_constraint c
		WHERE contype = 'f' AND NOT EXISTS (
			SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indkey[0] = c.conkey[1])`)
	if missing != "" {
		t.Errorf("without an index: %s", missing)
	}
}
