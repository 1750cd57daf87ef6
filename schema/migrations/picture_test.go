package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestPictureGenerations: a photo has another generation once it was hidden, its image was replaced, or its id was used
// again, and no generation twice. Other changes leave it as it is.
func TestPictureGenerations(t *testing.T) {
	t.Parallel()
	pool := site(t)
	const other = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	read := func() (generation int32) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), "SELECT picture FROM photos WHERE id = 1").Scan(&generation); err != nil {
			t.Fatal(err)
		}
		return generation
	}
	exec("INSERT INTO images (id, bytes, width, height, color) VALUES ('" + other + "', 9, 40, 30, 255)")
	had := map[int32]bool{read(): true}
	for _, c := range []struct {
		sql  string
		ends bool
	}{
		{"UPDATE photos SET title = 'x' WHERE id = 1", false},
		{"UPDATE photos SET private = true WHERE id = 1", true},
		{"UPDATE photos SET title = 'y', private = true WHERE id = 1", false},
		{"UPDATE photos SET private = false WHERE id = 1", false},
		{"UPDATE photos SET image_id = '" + other + "' WHERE id = 1", true},
		{"SELECT set_photo_private('hide', sha256('1'), 1, true)", true},
		{"SELECT set_photo_private('show', sha256('2'), 1, false)", false},
		{`CREATE TEMPORARY TABLE again AS SELECT * FROM photos WHERE id = 1; DELETE FROM photos WHERE id = 1;
			INSERT INTO photos (id, user_id, posted_at, image_id, width, height, color)
			SELECT id, user_id, posted_at, image_id, width, height, color FROM again`, true},
	} {
		before := read()
		exec(c.sql)
		after := read()
		if (after != before) != c.ends || c.ends && had[after] {
			t.Errorf("%s: generation %d after %d, of %v", c.sql, after, before, had)
		}
		had[after] = true
	}
}
