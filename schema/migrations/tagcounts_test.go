package migrations_test

import (
	"testing"

	"golang.org/x/sync/errgroup"
)

// Deltas that wait make up for what tag_counts does not yet say; added up, nothing changes but where it stands.
func TestTagCounts(t *testing.T) {
	t.Parallel()
	pool := site(t)
	sea := func() int64 {
		return one[int64](t, pool, "SELECT coalesce((SELECT photo_count FROM tag_counts WHERE tag_id = 1), 0)")
	}
	for _, c := range []struct {
		sql  string
		want int64
	}{
		{"SELECT 1", 2}, // photo 3 is private
		{"UPDATE photos SET private = false WHERE id = 3", 3},
		{"UPDATE photos SET private = NOT private, title = 'x'", 0},
		{"UPDATE photos SET private = NOT private", 3},
		{"INSERT INTO photo_tags VALUES (2, 1), (2, 2)", 4},
		{"UPDATE photo_tags SET tag_id = 2 WHERE photo_id = 3", 3},
		{"DELETE FROM photos WHERE id = 1", 2},
		{"DELETE FROM photo_tags WHERE photo_id = 2", 1},
		{"WITH p AS (DELETE FROM photos WHERE user_id = 2) DELETE FROM users WHERE id = 2", 0},
	} {
		exec(t, pool, c.sql)
		checkCounts(t, pool)
		for one[int64](t, pool, "SELECT count_tags(2)") > 0 {
			checkCounts(t, pool)
		}
		if got := sea(); got != c.want {
			t.Errorf("%s: the tag counts %d photos, want %d", c.sql, got, c.want)
		}
	}
	exec(t, pool, "INSERT INTO photo_tags SELECT id, 1 FROM photos ON CONFLICT DO NOTHING", "SELECT count_tags(100)",
		"UPDATE tag_counts SET photo_count = 77", "SELECT recount_tags()")
	checkCounts(t, pool)
	exec(t, pool, "TRUNCATE photo_tags")
	checkCounts(t, pool)
}

// A tag that many put on at the same time makes nobody wait: it is in no row that writers share.
func TestHotTagSerialisesNobody(t *testing.T) {
	t.Parallel()
	pool := site(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // after a commit: nothing
	exec(t, tx, "INSERT INTO photo_tags VALUES (1, 2)")
	exec(t, pool, "SET lock_timeout = '5s'; INSERT INTO photo_tags VALUES (4, 2)", "SELECT count_tags(100)")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkCounts(t, pool)
}

// One puts a tag on a photo while another one makes it public or private: the second of them counts it.
func TestTagWhilePrivacyChanges(t *testing.T) {
	t.Parallel()
	const (
		show           = "UPDATE photos SET private = false WHERE id = 3"
		hide           = "UPDATE photos SET private = true WHERE id = 1"
		tag1, tag3     = "INSERT INTO photo_tags VALUES (1, 2)", "INSERT INTO photo_tags VALUES (3, 2)"
		untag1, untag3 = "DELETE FROM photo_tags WHERE photo_id = 1", "DELETE FROM photo_tags WHERE photo_id = 3"
		retag1         = "UPDATE photo_tags SET tag_id = 2 WHERE photo_id = 1"
		retag3         = "UPDATE photo_tags SET tag_id = 2 WHERE photo_id = 3"
		drop1          = "DELETE FROM photos WHERE id = 1"
	)
	for what, sqls := range map[string][2]string{
		"shown, then tagged":   {show, tag3},
		"tagged, then shown":   {tag3, show},
		"hidden, then tagged":  {hide, tag1},
		"tagged, then gone":    {tag1, drop1},
		"tagged, then hidden":  {tag1, hide},
		"untagged, then shown": {untag3, show},
		"shown, then untagged": {show, untag3},
		"retagged, then shown": {retag3, show},
		"untagged, then gone":  {untag1, drop1},
		"gone, then untagged":  {drop1, untag1},
		"retagged, then gone":  {retag1, drop1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			pool := site(t)
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }() // after a commit: nothing
			exec(t, tx, sqls[0])
			var second errgroup.Group
			second.Go(func() error {
				_, err := pool.Exec(t.Context(), sqls[1])
				return err
			})
			waitForLocks(t, pool, 1)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := second.Wait(); err != nil {
				t.Fatal(err)
			}
			checkCounts(t, pool)
		})
	}
}

// A transaction that tags one photo after another, while the second one is edited, must not deadlock with the edit.
func TestTaggingDoesNotDeadlockWithAnEdit(t *testing.T) {
	t.Parallel()
	pool := site(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // after a commit: nothing
	exec(t, tx, "INSERT INTO photo_tags VALUES (1, 2)")
	var edit errgroup.Group
	edit.Go(func() error {
		_, err := pool.Exec(t.Context(), "UPDATE photos SET title = 'edited', private = true WHERE id = 2")
		return err
	})
	waitForLocks(t, pool, 1)
	exec(t, tx, "INSERT INTO photo_tags VALUES (2, 2)")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := edit.Wait(); err != nil {
		t.Fatal(err)
	}
	checkCounts(t, pool)
}
