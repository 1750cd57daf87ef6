package migrations_test

import (
	"strings"
	"testing"

	"flickrkillr/schema/migrations"
)

// Each statement, made by hand as in psql, announces exactly what it changed.
func TestEachChangeIsAnnounced(t *testing.T) {
	t.Parallel()
	pool := site(t)
	for _, c := range []struct{ what, sql, told string }{
		{"a user comes", "INSERT INTO users (name, display_name) VALUES ('dorothea', 'D')", "user.dorothea"},
		{"a user tells of themselves", "UPDATE users SET bio = 'hi' WHERE id = 1", "user.ansel"},
		{"an update of users that changes nothing", "UPDATE users SET bio = bio, display_name = display_name", ""},
		{"a version lowered by hand", "UPDATE users SET version = 1 WHERE id = 1", "user.ansel"},
		{"a rename", "UPDATE users SET name = 'adams' WHERE id = 1", "user.ansel! user.adams"},
		{"two renames, one to the other's old name",
			"WITH a AS (SELECT 1) UPDATE users SET name = CASE id WHEN 1 THEN 'third' ELSE 'ansel' END WHERE id IN (1, 2)",
			"user.ansel! user.vivian! user.third user.ansel"},
		{"a photo comes", photoSQL(1, false), "user.ansel photo.5"},
		{"a private photo comes", photoSQL(1, true), ""},
		{"photos of two come",
			"INSERT INTO photos (user_id, image_id, width, height, color) " +
				"SELECT u, '" + imageID + "', 40, 30, 255 FROM unnest(ARRAY[2, 1, 2]) u",
			"user.ansel photo.6 user.vivian photo.5 photo.7"},
		{"a title", "UPDATE photos SET title = 'x' WHERE id = 1", "user.ansel"},
		{"titles of all", "UPDATE photos SET title = 'x'", "user.ansel user.vivian"},
		{"a private photo's title", "UPDATE photos SET title = 'x' WHERE id = 3", ""},
		{"titles as they were", "UPDATE photos SET title = title", ""},
		{"a photo is made private", "UPDATE photos SET private = true WHERE id = 1", "user.ansel! photo.1!"},
		{"a photo is made public", "UPDATE photos SET private = false WHERE id = 3", "user.ansel photo.3"},
		{"one each way", "UPDATE photos SET private = NOT private WHERE id IN (1, 3)", "user.ansel! photo.3 photo.1!"},
		{"a photo moves to another user", "UPDATE photos SET user_id = 2 WHERE id = 2", "user.ansel! user.vivian"},
		{"a photo moves and is made private", "UPDATE photos SET user_id = 1, private = true WHERE id = 4",
			"user.ansel user.vivian! photo.4!"},
		{"a photo goes, with its tags and places in albums", "DELETE FROM photos WHERE id = 1",
			"user.ansel! photo.1! user.ansel"},
		{"a private photo goes", "DELETE FROM photos WHERE id = 3", "user.ansel"}, // it was in an album
		{"a picture gets another colour", "UPDATE images SET color = 7", "user.ansel user.vivian"},
		{"a tag is put on", "INSERT INTO photo_tags VALUES (1, 2)", "user.ansel"},
		{"a tag is put on a private photo", "INSERT INTO photo_tags VALUES (3, 2)", ""},
		{"tags go", "DELETE FROM photo_tags", "user.ansel user.vivian"},
		{"a tag is exchanged", "UPDATE photo_tags SET tag_id = 2 WHERE photo_id = 4", "user.vivian"},
		{"tags as they were", "UPDATE photo_tags SET tag_id = tag_id", ""},
		{"a tag that nobody has", "INSERT INTO tags (name) VALUES ('sun')", ""},
		{"an album comes", "INSERT INTO albums (user_id, title) VALUES (2, 'Chicago')", "user.vivian album.2"},
		{"an album's title", "UPDATE albums SET title = 'x'", "user.ansel"},
		{"an album as it was", "UPDATE albums SET title = title", ""},
		{"a photo is put into an album", "INSERT INTO album_photos VALUES (1, 2, 1, 9)", "user.ansel"},
		{"an album's order", "UPDATE album_photos SET position = 3 - position", "user.ansel"},
		{"an album's order as it was", "UPDATE album_photos SET position = position", ""},
		{"a photo is taken out of an album", "DELETE FROM album_photos WHERE photo_id = 1", "user.ansel"},
		{"an album goes", "DELETE FROM albums", "user.ansel! album.1! user.ansel"},
		{"an album moves to another user",
			"WITH e AS (DELETE FROM album_photos) UPDATE albums SET user_id = 2",
			"user.ansel! user.vivian user.ansel"},
		{"a user goes, photos first",
			"DELETE FROM albums; DELETE FROM photos WHERE user_id = 1; DELETE FROM users WHERE id = 1",
			"user.ansel! album.1! user.ansel user.ansel! photo.1! photo.2! user.ansel!"},
		{"a user goes with everything in one statement",
			"WITH p AS (DELETE FROM photos WHERE user_id = 2) DELETE FROM users WHERE id = 2",
			"user.vivian! photo.4!"},
		{"a table is emptied", "TRUNCATE photo_tags", "all!"},
		{"everything is emptied", "TRUNCATE " + strings.Join(migrations.Tables(), ", "),
			strings.TrimSpace(strings.Repeat("all! ", 7))},
		{"somebody restored a backup", "SELECT announce_all()", "all!"},
		{"nothing is deleted", "DELETE FROM photos WHERE id = 99", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := tx.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
				exec(t, pool, resetSequences)
			}()
			exec(t, tx, c.sql)
			changes := drain(t, tx)
			if got := told(changes); got != c.told {
				t.Errorf("told\n%s, want\n%s", got, c.told)
			}
			checkVersions(t, tx, changes)
			checkCounts(t, tx)
		})
	}
}

// A rolled back transaction keeps the ids it took.
const resetSequences = `SELECT setval('photos_id_seq', 4), setval('albums_id_seq', 1)`

// checkVersions compares what was announced with what is stored: each user has the newest version that was announced of
// the name, and each thing that is gone has it as its tombstone.
func checkVersions(t *testing.T, db database, changes []change) {
	t.Helper()
	newest := map[string]change{}
	for _, c := range changes {
		if c.Version < newest[c.Scope].Version {
			t.Errorf("%s went back from %d to %d", c.Scope, newest[c.Scope].Version, c.Version)
		}
		newest[c.Scope] = c
	}
	for scope, c := range newest {
		stored := one[int64](t, db, `SELECT coalesce(
			(SELECT version FROM users WHERE 'user.' || name = $1),
			(SELECT version FROM epoch WHERE $1 = 'all'),
			(SELECT version FROM tombstones WHERE scope = $1), 0)`, scope)
		if stored != c.Version && (c.Gone || scope[0] == 'u') {
			t.Errorf("%s was announced with %d and is stored with %d", scope, c.Version, stored)
		}
	}
}

// checkCounts compares the counts that triggers keep with what they count.
func checkCounts(t testing.TB, db database) {
	t.Helper()
	wrong := one[string](t, db, `SELECT concat_ws(', ',
		(SELECT string_agg(name || ' ' || photo_count, ', ') FROM users u
			WHERE photo_count <> (SELECT count(*) FROM photos WHERE user_id = u.id AND NOT private)),
		(SELECT string_agg('album ' || a.id, ', ') FROM albums a LEFT JOIN album_counts c ON c.album_id = a.id
			WHERE coalesce(c.photo_count, 0) <> (SELECT count(*) FROM album_photos m JOIN photos p ON p.id = m.photo_id
				WHERE m.album_id = a.id AND NOT private)),
		(SELECT string_agg('no album ' || album_id, ', ') FROM album_counts WHERE album_id NOT IN (SELECT id FROM albums) AND
			EXISTS (SELECT FROM albums)), -- TRUNCATE albums leaves counts behind, which nobody reads
		(SELECT string_agg('tag ' || t.id || ' counts ' || n.counted || ' of ' || n.carried, ', ') FROM tags t, LATERAL (SELECT
			coalesce((SELECT photo_count FROM tag_counts c WHERE c.tag_id = t.id), 0) +
				coalesce((SELECT sum(delta) FROM tag_deltas d WHERE d.tag_id = t.id), 0) AS counted,
			(SELECT count(*) FROM photo_tags m JOIN photos p ON p.id = m.photo_id
				WHERE m.tag_id = t.id AND NOT private) AS carried
		) AS n WHERE n.counted <> n.carried))`)
	if wrong != "" {
		t.Errorf("wrong counts: %s", wrong)
	}
}

func TestUsedNamesNeverGoBack(t *testing.T) {
	t.Parallel()
	pool := site(t)
	var last int64
	for range 5 {
		for _, sql := range []string{
			"INSERT INTO users (name, display_name, version) VALUES ('brassai', 'B', 1)",
			"UPDATE users SET name = 'gyula' WHERE name = 'brassai'",
			"INSERT INTO users (name, display_name) VALUES ('brassai', 'Other')",
			"DELETE FROM users WHERE name IN ('brassai', 'gyula')",
		} {
			exec(t, pool, sql)
			for _, c := range drain(t, pool) {
				if c.Scope == "user.brassai" && c.Version <= last {
					t.Fatalf("after %s: version %d, which is not above %d", sql, c.Version, last)
				} else if c.Scope == "user.brassai" {
					last = c.Version
				}
			}
		}
	}
}

// A name is free for another only once its deletion is committed; the new owner's version must be taken after that, not
// when the row was made.
func TestNameTakenWhileItIsDeleted(t *testing.T) {
	t.Parallel()
	pool := site(t)
	ctx := t.Context()
	exec(t, pool, "INSERT INTO users (name, display_name) VALUES ('brassai', 'B')")
	first, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Rollback(ctx) }() // after a commit: nothing
	if _, err := first.Exec(ctx, "DELETE FROM users WHERE name = 'brassai'"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := pool.Exec(ctx, "INSERT INTO users (name, display_name) VALUES ('brassai', 'Other')")
		done <- err
	}()
	waitForLocks(t, pool, 1)
	const raise = "UPDATE tombstones SET version = nextval('versions') WHERE scope = 'user.brassai'"
	if _, err := first.Exec(ctx, raise); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	user := one[int64](t, pool, "SELECT version FROM users WHERE name = 'brassai'")
	if tombstone := one[int64](t, pool, "SELECT version FROM tombstones"); user <= tombstone {
		t.Errorf("the new user has version %d, the name's tombstone %d", user, tombstone)
	}
}

func TestAllOutranksTheClockAndWhatWasBefore(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool, "SELECT setval('versions', 5)") // a restored backup
	raised := one[int64](t, pool, "SELECT announce_all()")
	clock := one[int64](t, pool, "SELECT (extract(epoch FROM now()) * 1000)::bigint")
	if raised < clock-1000 {
		t.Errorf("version %d is below the clock, %d", raised, clock)
	}
	exec(t, pool, "UPDATE photos SET title = 'later' WHERE id = 1")
	if v := one[int64](t, pool, "SELECT version FROM users WHERE id = 1"); v <= raised {
		t.Errorf("a change after has version %d, not above %d", v, raised)
	}
	ahead := one[int64](t, pool, "SELECT setval('versions', $1)", clock*2)
	if raised := one[int64](t, pool, "SELECT announce_all()"); raised <= ahead {
		t.Errorf("version %d went back from %d", raised, ahead)
	}
}
