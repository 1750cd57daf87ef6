package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"flickrkillr/renderer/store"
)

// TestReservationDuringRemoval: while an original is being removed no upload stores it, nor after the removal has
// failed: it may be done late. Everybody knows by then that it has begun, whatever becomes of who began it. Then the
// upload has it, and nobody removes it.
func TestReservationDuringRemoval(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	image, u := imageID(7), uploadOf(1, "a")
	create(t, s, u)
	exec(t, pool, "INSERT INTO unused_images (user_id, image_id) VALUES (2, '"+image+"')")
	reserved := func() error {
		_, err := s.ReserveUpload(t.Context(), u, image, 9)
		return err
	}
	failing := errors.New("no answer")
	tries := 0
	remove := func(context.Context, string) (store.Freed, error) {
		tries++
		if err := reserved(); !errors.Is(err, store.ErrBeingRemoved) {
			t.Errorf("reserved while it is being removed: %v", err)
		}
		if !one[bool](t, pool, "SELECT tried_at IS NOT NULL AND due_at > clock_timestamp() FROM unused_images") {
			t.Error("a process that ends now leaves an original that seems untouched")
		}
		return store.Freed{}, failing
	}
	if _, err := s.RemoveUnused(t.Context(), remove); !errors.Is(err, failing) {
		t.Fatal(err)
	}
	if err := reserved(); !errors.Is(err, store.ErrBeingRemoved) {
		t.Errorf("reserved while the removal may be done late: %v", err)
	}
	rested(t, pool)
	if n, err := s.RemoveUnused(t.Context(), remove); n != 0 || err != nil || tries != 1 {
		t.Errorf("an upload is about to store it: %d, %v, removed %d times", n, err, tries)
	}
	if err := reserved(); err != nil {
		t.Errorf("reserved when it has rested: %v", err)
	}
	if out := finish(t, s, u, image); out.Photo == 0 {
		t.Errorf("%+v", out)
	}
	if n, err := s.RemoveUnused(t.Context(), remove); n != 1 || err != nil || tries != 1 {
		t.Errorf("a photo shows it: %d, %v, removed %d times", n, err, tries)
	}
}

// TestRemovedOnceMore: an original is removed once more later, and counts once, however many deletions name it.
func TestRemovedOnceMore(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	image := imageID(7)
	const deletion = `INSERT INTO deletions (user_id, account, version, receipt, name, rows_gone_at, files)
		SELECT g, true, 1, sha256(g::text::bytea), 'gone' || g, now(), 1 FROM generate_series(11, 12) g`
	exec(t, pool, deletion, "INSERT INTO unused_images (user_id, image_id, deletion_id) SELECT user_id, '"+image+
		"', id FROM deletions")
	var removed []string
	remove := oneByOne(func(id string) (store.Freed, error) {
		removed = append(removed, id)
		return store.Freed{Files: 3, Bytes: 40}, nil
	})
	for _, want := range []int{2, 0} {
		if n, err := s.RemoveUnused(t.Context(), remove); n != want || err != nil {
			t.Errorf("done with %d entries (%v), want %d", n, err, want)
		}
	}
	exec(t, pool, "UPDATE unused_images SET due_at = due_at - interval '2 minutes'")
	for _, want := range []int{1, 0} {
		if n, err := s.RemoveUnused(t.Context(), remove); n != want || err != nil {
			t.Errorf("later: done with %d entries (%v), want %d", n, err, want)
		}
	}
	if !slices.Equal(removed, []string{image, image}) {
		t.Errorf("removed: %q", removed)
	}
	if got := one[string](t, pool, "SELECT string_agg(files_removed || ' ' || freed_files, ', ' ORDER BY user_id) "+
		"FROM deletions"); got != "1 3, 1 0" {
		t.Errorf("the receipts say %s", got)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM unused_images"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}
