package store_test

import (
	"slices"
	"testing"

	"flickrkillr/renderer/store"
)

// A photo that a transaction is about to hide waits behind the others, and is not counted as done.
func TestIndexPassesBusyPhotos(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "Heron"), photoSQL("2", "Heron"))
	index(t, s)
	exec(t, pool, "UPDATE photos SET title = 'Kestrel' WHERE id = 1",
		"UPDATE photos SET title = 'Kestrel' WHERE id = 2")
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // below already
	if _, err := tx.Exec(t.Context(), "UPDATE photos SET private = true WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0} {
		if n, err := s.IndexOnce(t.Context(), 1); err != nil || n != want {
			t.Errorf("batch %d: %d, %v, want %d", i, n, err, want)
		}
	}
	finds(t, s, "kestrel", 2)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	index(t, s)
	finds(t, s, "kestrel", 1, 2)
}

// What was to be subtracted from the old counts is not subtracted from those of an index that is built anew.
func TestBuildSearchCountsAnew(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "Zebra"), photoSQL("1", "Zebra"))
	index(t, s)
	exec(t, pool, "UPDATE photos SET private = true WHERE id = 1", "UPDATE search_state SET built = false")
	buildSearch(t, s)
	index(t, s)
	finds(t, s, "zebra", 2)
	if n := one[int](t, pool, "SELECT photos FROM search_words WHERE word = 'zebra'"); n != 1 {
		t.Errorf("%d photos are counted, want 1", n)
	}
}

// A table that is emptied has the index built anew.
func TestTruncateRebuildsSearch(t *testing.T) {
	t.Parallel()
	for table, query := range map[string]string{
		"photo_tags": "barn", "tags CASCADE": "barn", "album_photos": "countryside", "albums CASCADE": "countryside",
		"photos CASCADE": "heron",
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			s, pool := open(t)
			people(t, pool)
			exec(t, pool, photoSQL("1", "Heron"), "INSERT INTO tags (name) VALUES ('barn')",
				"INSERT INTO photo_tags VALUES (1, 1)",
				"INSERT INTO albums (user_id, title) VALUES (1, 'Countryside')",
				"INSERT INTO album_photos VALUES (1, 1, 1, 1)")
			index(t, s)
			finds(t, s, query, 1)
			exec(t, pool, "TRUNCATE "+table)
			if build, _, err := s.SearchWaits(t.Context()); err != nil || !build {
				t.Errorf("shall be built: %t, %v", build, err)
			}
			buildSearch(t, s)
			index(t, s)
			finds(t, s, query)
		})
	}
}

// What is put behind the others is done after them.
func TestPostponeIndexing(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	if kind, _, err := s.PostponeIndexing(t.Context()); kind != "" || err != nil {
		t.Errorf("an empty queue: %q, %v", kind, err)
	}
	people(t, pool)
	index(t, s)
	exec(t, pool, photoSQL("1", "Heron"), photoSQL("2", "Heron"))
	if kind, ref, err := s.PostponeIndexing(t.Context()); kind != "photo" || ref != 1 || err != nil {
		t.Errorf("%q, %d, %v", kind, ref, err)
	}
	if n, err := s.IndexOnce(t.Context(), 1); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	finds(t, s, "heron", 2)
	index(t, s)
	finds(t, s, "heron", 1, 2)
}

// finds expects a search to find certain photos.
func finds(t testing.TB, s *store.Store, query string, want ...int64) {
	t.Helper()
	found, err := searchFor(t.Context(), s, query, 0)
	got := ids(found.Photos)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q finds %v, %v, want %v", query, got, err, want)
	}
}
