package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPhotosTogether: a batch answers each question as if it had been asked alone.
func TestPhotosTogether(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 30, 1000)
	// and so some that are not to be seen
	ids := one[[]int64](t, pool, "SELECT array_agg(id ORDER BY id DESC) FROM photos WHERE id % 17 = 0 OR private")
	ids = append(ids, ids[0], 1<<40)
	together, err := s.Photos(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	absent := 0
	for i, id := range ids {
		alone, err := onePhoto(t.Context(), s, id)
		if err != nil {
			t.Fatal(err)
		}
		if together[i].ReadAt.IsZero() {
			t.Errorf("photo %d was read at no time", id)
		}
		alone.ReadAt, together[i].ReadAt = time.Time{}, time.Time{}
		if alone.Photo == nil {
			absent++
		}
		if diff := cmp.Diff(alone, together[i]); diff != "" {
			t.Errorf("photo %d: alone (-) and together (+):\n%s", id, diff)
		}
	}
	if absent < 10 || absent > len(ids)-20 {
		t.Errorf("%d of %d photos are absent", absent, len(ids))
	}
	if pages, err := s.Photos(t.Context(), nil); len(pages) > 0 || err != nil {
		t.Errorf("no photos: %v, %v", pages, err)
	}
}
