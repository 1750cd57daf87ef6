package migrations_test

import (
	"fmt"
	"testing"
)

// TestAlbumCountsFollow: the public photos of albums are counted by difference, whichever way photos come, go, hide,
// and change their albums, also several in one statement.
func TestAlbumCountsFollow(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool,
		fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, private)
			SELECT 1 + g %% 2, '%s', 40, 30, 255, g %% 3 = 0 FROM generate_series(1, 40) g`, imageID),
		"INSERT INTO albums (user_id, title) SELECT 1 + g % 2, 'A' || g FROM generate_series(1, 8) g",
		`INSERT INTO album_photos SELECT a.id, p.id, p.user_id, p.id FROM photos p
			JOIN albums a ON a.user_id = p.user_id AND a.id BETWEEN 2 AND 7 WHERE (p.id + a.id) % 3 > 0`)
	checkCounts(t, pool)
	for _, sql := range []string{
		"UPDATE photos SET private = NOT private WHERE id % 5 = 0",
		"UPDATE photos SET private = private",
		"UPDATE photos SET private = true",
		"UPDATE photos SET private = id % 4 = 0",
		"DELETE FROM photos WHERE id IN (5, 6, 7, 8, 9, 12, 16)", // public and private ones
		"BEGIN; UPDATE photos SET private = true WHERE id IN (17, 18); DELETE FROM photos WHERE id IN (17, 18, 19); COMMIT",
		"BEGIN; DELETE FROM photos WHERE id = 21; DELETE FROM photos WHERE id = 20; DELETE FROM album_photos; ROLLBACK",
		`BEGIN; DELETE FROM photos WHERE id = 22; DELETE FROM album_photos WHERE photo_id IN (23, 24);
			DELETE FROM photos WHERE id IN (23, 24); COMMIT`,
		"DELETE FROM album_photos WHERE photo_id % 7 = 0",
		"UPDATE album_photos SET album_id = 8, position = position + 5000 WHERE album_id = 2",
		"UPDATE album_photos SET position = position + 9000",
		"DELETE FROM albums WHERE id = 3",
		"BEGIN; DELETE FROM albums WHERE id = 4; DELETE FROM photos WHERE id % 3 = 1; COMMIT",
		"DELETE FROM photos",
	} {
		exec(t, pool, sql)
		if checkCounts(t, pool); t.Failed() {
			t.Fatalf("after %s", sql)
		}
	}
	exec(t, pool, photoSQL(1, false), "INSERT INTO album_photos SELECT 1, max(id), 1, 1 FROM photos",
		"TRUNCATE album_photos")
	checkCounts(t, pool)
}

// TestHidingCountsNoAlbum: that a photo is hidden, put into an album, or deleted costs the same in albums of any size.
func TestHidingCountsNoAlbum(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color)
			SELECT 1, '%s', 40, 30, 255 FROM generate_series(5, 3000)`, imageID),
		"INSERT INTO album_photos SELECT 1, id, 1, id FROM photos WHERE id > 5", "ANALYZE photos, album_photos")
	for _, sql := range []string{
		"UPDATE photos SET private = true WHERE id = 7",
		"INSERT INTO album_photos VALUES (1, 5, 1, 9000)",
		"DELETE FROM album_photos WHERE photo_id = 8",
		"DELETE FROM photos WHERE id = 9",
	} {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const rows = `SELECT sum(seq_tup_read + idx_tup_fetch)::integer FROM pg_stat_xact_user_tables
			WHERE relname IN ('photos', 'album_photos', 'album_counts')`
		before := one[int](t, tx, rows) // of earlier transactions, until the session reports them
		exec(t, tx, sql)
		read := one[int](t, tx, rows) - before
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if read > 50 {
			t.Errorf("%s reads %d rows", sql, read)
		}
	}
	checkCounts(t, pool)
}
