package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/renderer/store"
)

// TestPictureFiles: a batch answers each question as if it had been asked alone, with what the answer depends on; a
// photo that is not shown, or another generation, has no file and depends on nothing.
func TestPictureFiles(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "a"), photoSQL("2", "b"), photoSQL("1", "c"), photoSQL("1", "d"),
		"UPDATE photos SET private = true WHERE id = 3", "UPDATE users SET gone_at = now() WHERE id = 2")
	queries := []store.PictureQuery{{Photo: 99}}
	for id := range int64(4) {
		generation := one[int32](t, pool, "SELECT picture FROM photos WHERE id = $1", id+1)
		queries = append(queries, store.PictureQuery{Photo: id + 1, Generation: generation},
			store.PictureQuery{Photo: id + 1, Generation: generation + 1})
	}
	ansel := store.Depends{{Scope: "all", Version: one[int64](t, pool, "SELECT version FROM epoch")},
		{Scope: "user.ansel", Version: one[int64](t, pool, "SELECT version FROM users WHERE id = 1")}}
	files, err := s.PictureFiles(t.Context(), queries)
	if err != nil || len(files) != len(queries) {
		t.Fatal(files, err)
	}
	for i, q := range queries {
		want := store.PictureFile{}
		if i == 1 || i == 7 { // photos 1 and 4, in their generations
			want.ImageID, want.Depends, want.ReadAt = imageID(1), ansel, files[i].ReadAt
		}
		if diff := cmp.Diff(want, files[i]); diff != "" || (want.ImageID == "") != files[i].ReadAt.IsZero() {
			t.Errorf("%+v: want (-), is (+): %s", q, diff)
		}
		alone, err := s.PictureFiles(t.Context(), queries[i:i+1])
		if err != nil || len(alone) != 1 || alone[0].ImageID != want.ImageID {
			t.Errorf("%+v alone: %+v, %v", q, alone, err)
		}
	}
	if none, err := s.PictureFiles(t.Context(), nil); len(none) != 0 || err != nil {
		t.Errorf("nothing: %v, %v", none, err)
	}
}
