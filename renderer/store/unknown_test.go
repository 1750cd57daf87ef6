package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// TestRemoveUnknown: of some originals, those go that neither a photo nor an upload has.
func TestRemoveUnknown(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	shown, sent, unknown := strings.Repeat("a", 26), strings.Repeat("b", 26), strings.Repeat("c", 26)
	exec(t, pool, named("1", "ansel"),
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+shown+"', 9, 40, 30, 255)",
		"INSERT INTO photos (user_id, image_id, width, height, color, title) VALUES (1, '"+shown+"', 40, 30, 255, 'x')",
		"INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')",
		"INSERT INTO uploads (user_id, id, bytes, private, name, image_id) "+
			"VALUES (1, '"+sent+"', 9, false, 'x', '"+sent+"')")
	for _, want := range []int64{1, 0} { // asked again there is nothing more to do
		n, err := store.RemoveUnknown(t.Context(), pool, func(yield func(string, error) bool) {
			for _, id := range []string{shown, sent, unknown} {
				if !yield(id, nil) {
					return
				}
			}
		})
		if n != want || err != nil {
			t.Errorf("%d originals are unknown (%v), want %d", n, err, want)
		}
	}
	exec(t, pool, "UPDATE unused_images SET due_at = '-infinity'")
	var removed []string // one at most
	testenv.Eventually(t, "the unknown one is removed", func() bool {
		_, err := s.RemoveUnused(t.Context(), func(_ context.Context, id string) (store.Freed, error) {
			removed = append(removed, id)
			return store.Freed{Files: 1}, nil
		})
		return err == nil && len(removed) > 0
	})
	if !slices.Equal(removed, []string{unknown}) {
		t.Errorf("removed: %v", removed)
	}
}
