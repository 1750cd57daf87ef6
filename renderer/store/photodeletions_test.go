package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// freed is what a test says that each original has on the disk.
var freed = store.Freed{Files: 4, Bytes: 1000}

// TestPhotoReceipt: whoever deletes photos for good gets one receipt for each time, which counts what went with them,
// says which version hid them, and is read by nobody else.
func TestPhotoReceipt(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t) // photos 1 to 4 of ansel, 3 and 4 private, and 5 of vivian, all of one file
	ctx := t.Context()
	exec(t, pool, fmt.Sprintf("INSERT INTO images (id, bytes, width, height, color) VALUES ('%s', 9, 40, 30, 255)",
		imageID(2)),
		fmt.Sprintf("UPDATE photos SET image_id = '%s' WHERE id IN (1, 2)", imageID(2)),
		"INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')",
		"INSERT INTO shares (user_id, photo_id, name, nonce, hash) "+
			"VALUES (1, 4, '', substr(sha256('n'), 1, 16), sha256('s'))")
	if _, err := change(store.OwnBin, "", 1, 2, 4)(ctx, s, "bin"); err != nil {
		t.Fatal(err)
	}
	remove := func(key string, ids ...int64) (int64, error) {
		_, receipt, err := s.RemovePhotos(ctx, key, 1, ids, store.OwnRemove, time.Time{}, hashed(key))
		return receipt, err
	}
	var gone []string
	sweep := func() {
		t.Helper()
		for n := 1; n > 0; {
			var err error
			if n, err = s.RemoveUnused(ctx, oneByOne(func(id string) (store.Freed, error) {
				gone = append(gone, id)
				return freed, nil
			})); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(receipt int64) *store.Deletion {
		t.Helper()
		d, err := s.PhotoDeletion(ctx, 1, receipt)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}

	if _, err := remove("none", 3, 5); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("photos that are not in the bin: %v", err)
	}
	private, err := remove("private", 4)
	if err != nil {
		t.Fatal(err)
	}
	again, err := remove("private", 4)
	if err != nil || again != private {
		t.Errorf("sent again: %d, %v; want %d", again, err, private)
	}
	if _, err := remove("private", 1); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another photo by the same key: %v", err)
	}
	if d := read(private); d.Had.Photos != 1 || d.Had.Tags != 1 || d.Had.Shares != 1 || d.Version != 0 ||
		!d.HiddenAt.IsZero() || d.RowsGoneAt.IsZero() || d.EdgesKnowAt.IsZero() || d.Had.Files != 1 ||
		!d.FilesGoneAt.IsZero() || !slices.Equal(d.PhotoIDs, []int64{4}) {
		t.Errorf("of a photo that nobody was shown: %+v", d)
	}
	sweep()
	if d := read(private); d.FilesKept != 1 || d.FilesRemoved != 0 || d.FreedFiles != 0 || d.FilesGoneAt.IsZero() {
		t.Errorf("whose file other photos show: %+v", d)
	}

	both, err := remove("both", 1, 2)
	if err != nil || both == private {
		t.Fatal(both, err)
	}
	hidden := one[int64](t, pool, "SELECT max(version) FROM tombstones WHERE scope IN ('photo.1', 'photo.2')")
	d := read(both)
	if d.Had.Photos != 2 || d.Had.Files != 1 || d.Version != hidden || d.HiddenAt.IsZero() ||
		d.HiddenAt.After(d.At) || !d.EdgesKnowAt.IsZero() || d.Scope() != "user.ansel" {
		t.Errorf("of two photos that were public: %+v", d)
	}
	next, err := s.NextUnknown(ctx, 2)
	if err != nil || len(next) != 1 || next[0].ID != both || next[0].Version != hidden ||
		!next[0].At.Equal(d.HiddenAt) {
		t.Fatalf("edges are asked about %+v, %v", next, err)
	}
	learned := map[string]time.Time{"edge.a.1": time.UnixMicro(5)}
	if err := s.EdgesLearned(ctx, both, learned, nil, true); err != nil {
		t.Fatal(err)
	}
	sweep()
	if d = read(both); d.FilesRemoved != 1 || d.FreedFiles != freed.Files || d.FreedBytes != freed.Bytes ||
		d.FilesGoneAt.IsZero() || d.EdgesKnowAt.IsZero() || len(d.Edges) != 1 {
		t.Errorf("at the end: %+v", d)
	}
	if !slices.Equal(gone, []string{imageID(2)}) {
		t.Errorf("removed: %v", gone)
	}
	for _, user := range []int64{2, 3} {
		if _, err := s.PhotoDeletion(ctx, user, both); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("user %d reads ansel's receipt: %v", user, err)
		}
	}
	lines, err := s.PhotoDeletions(ctx, 1)
	if err != nil || len(lines) != 2 || lines[0].ID != both || lines[0].Photos != 2 || lines[0].FilesGoneAt.IsZero() {
		t.Errorf("the list: %+v, %v", lines, err)
	}

	exec(t, pool, "DELETE FROM action_keys", "UPDATE deletions SET rows_gone_at = now() - interval '40 days' "+
		"WHERE id = "+fmt.Sprint(private))
	if _, err := change(store.OwnBin, "", 3)(ctx, s, "bin-3"); err != nil {
		t.Fatal(err)
	}
	if _, err := remove("both", 3); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the key of a receipt, for another photo: %v", err)
	}
	if err := s.ForgetDeletions(ctx, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PhotoDeletion(ctx, 1, private); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an old receipt: %v", err)
	}
}

// TestReceiptsOfTheDeleted: with an account go the receipts of its photos, and a bin that is being emptied is no
// hindrance: the photos count in the receipt of the account.
func TestReceiptsOfTheDeleted(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	exec(t, pool, "INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')",
		fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, private, private_before, binned_at)
			SELECT 1, '%s', 40, 30, 255, true, false, now() FROM generate_series(1, 210) g`, imageID(1)))
	_, bin, err := s.RemovePhotos(ctx, "empty", 1, nil, store.OwnEmpty, time.Now().Add(time.Hour), hashed("empty"))
	if err != nil {
		t.Fatal(err)
	}
	receipt := []byte(strings.Repeat("r", 32))
	if _, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 0, 0); err != nil {
		t.Fatal(err)
	}
	if d, err := s.PhotoDeletion(ctx, 1, bin); err != nil || !d.RowsGoneAt.IsZero() {
		t.Fatal("the bin is empty before the account goes", err)
	}
	for last, steps := int64(0), 0; ; steps++ {
		if last, err = s.DeleteRows(ctx, last); err != nil || steps > 20 {
			t.Fatal(last, steps, err)
		}
		if last == 0 {
			break
		}
	}
	d, err := s.DeletionOf(ctx, receipt)
	if err != nil || d.Had.Photos != 4+10 || d.RowsGoneAt.IsZero() {
		t.Errorf("the receipt of the account: %+v, %v", d, err)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM deletions WHERE NOT account"); n != 0 {
		t.Errorf("%d receipts of photos are left", n)
	}
}

// TestFilesGoWithRows: the files of a large bin go while its rows are going, all but those that a photo shows that is
// still in it; each counts once.
func TestFilesGoWithRows(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	ctx := t.Context()
	exec(t, pool,
		`INSERT INTO images (id, bytes, width, height, color)
			SELECT lpad(translate(g::text, '0123456789', 'abcdefghij'), 26, 'a'), 9, 40, 30, 255
			FROM generate_series(101, 400) g`,
		`INSERT INTO photos (user_id, image_id, width, height, color, private, private_before, binned_at)
			SELECT 1, lpad(translate((100 + g)::text, '0123456789', 'abcdefghij'), 26, 'a'), 40, 30, 255, true, true,
				now() + g * interval '1 s' FROM generate_series(1, 300) g`,
		`INSERT INTO photos (user_id, image_id, width, height, color, private, private_before, binned_at)
			SELECT 1, lpad(translate('400', '0123456789', 'abcdefghij'), 26, 'a'), 40, 30, 255, true, true, now()`)
	_, bin, err := s.RemovePhotos(ctx, "empty", 1, nil, store.OwnEmpty, time.Now().Add(time.Hour), hashed("empty"))
	if err != nil {
		t.Fatal(err)
	}
	gone := map[string]int{}
	sweep := func() *store.Deletion {
		t.Helper()
		for n := 1; n > 0; {
			if n, err = s.RemoveUnused(ctx, oneByOne(func(id string) (store.Freed, error) {
				gone[id]++
				return freed, nil
			})); err != nil {
				t.Fatal(err)
			}
		}
		d, err := s.PhotoDeletion(ctx, 1, bin)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	twice := strings.Repeat("a", 23) + "eaa" // shown by the first photo to go and by the last one
	if d := sweep(); d.FilesRemoved != 199 || d.FilesKept != 0 || gone[twice] != 0 || !d.FilesGoneAt.IsZero() {
		t.Errorf("after the first step: %+v, %d files are gone", d, len(gone))
	}
	if _, err := s.DeleteRows(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if d := sweep(); d.Had.Files != 300 || d.FilesRemoved != 300 || d.FreedFiles != 300*freed.Files ||
		len(gone) != 300 || gone[twice] != 1 || d.FilesGoneAt.IsZero() {
		t.Errorf("at the end: %+v, %d files are gone", d, len(gone))
	}
}
