package store_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

// TestUploadIntoAlbum: a photo is in the album that its file was uploaded into once it is there, new or had before; a
// finish that is repeated changes nothing, and uploads at the same time make an album once.
func TestUploadIntoAlbum(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	ctx := t.Context()
	var repeated atomic.Int64
	s.OnRetry(func(error) { repeated.Add(1) })
	createIn := func(id, album string) (store.UploadID, error) {
		u := uploadOf(1, id)
		_, err := s.CreateUpload(ctx, u, store.UploadFile{Name: "a.jpg", Bytes: 9, Album: album}, 50, store.Quota{})
		return u, err
	}
	first, err := createIn("a", "Trips")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := createIn("a", "Other"); err != nil { // and asked for again
		t.Fatal(err)
	}
	made := finish(t, s, first, imageID(7))
	if again := finish(t, s, first, imageID(7)); *again != *made {
		t.Errorf("finished again: %+v, then %+v", made, again)
	}
	if told := newest(t, pool)[made.Scope]; told != made.Version {
		t.Errorf("the writer hears of version %d, everybody of %d", made.Version, told)
	}
	second, err := createIn("b", "trips")
	if err != nil {
		t.Fatal(err)
	}
	third, err := createIn("c", "Duplicates")
	if err != nil {
		t.Fatal(err)
	}
	finish(t, s, second, imageID(8))
	if had := finish(t, s, third, imageID(7)); !had.Duplicate || had.Photo != made.Photo {
		t.Errorf("the same file: %+v", had)
	}
	if got := albumsOf1(t, pool); got != "Trips 1,2 #2 *1; Duplicates 1 #1 *1" {
		t.Error(got)
	}

	var group errgroup.Group
	for i := range 12 {
		group.Go(func() error {
			u, err := createIn(fmt.Sprint(string(rune('d'+i))), "Together")
			if err != nil {
				return err
			}
			if _, err := s.ReserveUpload(ctx, u, imageID(20+i), 9); err != nil {
				return err
			}
			if _, err := s.FinishUpload(ctx, u, photoOf(imageID(20+i)), store.Quota{}, "", ""); err != nil {
				return err
			}
			for nr, do := range []action{move(1, store.MoveFirst, 0, 2), addTo("Together", 1, 2),
				change(store.OwnTag, "lake", 1, 2)} {
				if _, err := do(ctx, s, fmt.Sprint("beside-", i, "-", nr)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := repeated.Load(); n > 0 {
		t.Errorf("%d were the victims of a deadlock", n)
	}
	got := one[[]int64](t, pool, `SELECT array_agg(photo_count::bigint) FROM album_counts c JOIN albums a
		ON a.id = c.album_id WHERE a.title = 'Together'`)
	if !slices.Equal(got, []int64{14}) {
		t.Errorf("the albums have %v photos", got)
	}
}
