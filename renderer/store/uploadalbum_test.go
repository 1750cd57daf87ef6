package store_test

import (
	"fmt"
	"slices"
	"strings"
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

// TestUploadIntoNoAlbum: a file that cannot go into the album that it was uploaded into becomes no photo, and its
// upload says why; one whose photo is in the album already is no problem.
func TestUploadIntoNoAlbum(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	ctx := t.Context()
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color)
			SELECT 1, '%s', 40, 30, 255 FROM generate_series(1, %d)`, imageID(1), store.MaxAlbumPhotos),
		"INSERT INTO albums (user_id, title) VALUES (1, 'Full')",
		"INSERT INTO album_photos SELECT 1, id, 1, id FROM photos",
		fmt.Sprintf("INSERT INTO albums (user_id, title) SELECT 1, 'A' || g FROM generate_series(2, %d) g",
			store.MaxAlbums), "ANALYZE")
	long := strings.Repeat("x", 201)
	for nr, c := range []struct{ album, want string }{
		{"full", "takes no more"}, {"A2", ""}, {"Another", "1,000 albums"}, {long, "200 characters"},
	} {
		refuses, err := s.AlbumRefuses(ctx, 1, c.album)
		if err != nil || (refuses == "") != (c.want == "") || !strings.Contains(refuses, c.want) {
			t.Errorf("%.9s: %q, %v", c.album, refuses, err)
		}
		file := store.UploadFile{Name: "a.jpg", Bytes: 9, Album: c.album}
		for kind, image := range []string{imageID(100 + nr), imageID(50)} { // new, and had before
			u := uploadOf(1, fmt.Sprint(string(rune('a'+nr)), string(rune('a'+kind))))
			if kind == 1 && nr == 0 {
				create(t, s, uploadOf(1, "first"))
				finish(t, s, uploadOf(1, "first"), image)
			}
			if _, err := s.CreateUpload(ctx, u, file, 50, store.Quota{}); err != nil {
				t.Fatal(err)
			}
			out := finish(t, s, u, image)
			if out.Problem != refuses || (out.Photo == 0) != (refuses != "") {
				t.Errorf("%.9s, file %d: %+v", c.album, kind, out)
			}
			made := one[int](t, pool, "SELECT count(*)::integer FROM photos WHERE image_id = $1", image)
			if want := kind; refuses != "" && made != want {
				t.Errorf("%.9s, file %d: %d photos", c.album, kind, made)
			}
		}
	}
	u := uploadOf(1, "again")
	file := store.UploadFile{Name: "a.jpg", Bytes: 9, Album: "Full"}
	if _, err := s.CreateUpload(ctx, u, file, 50, store.Quota{}); err != nil {
		t.Fatal(err)
	}
	if out := finish(t, s, u, imageID(1)); !out.Duplicate || out.Problem != "" {
		t.Errorf("a photo that is in the album: %+v", out)
	}
}

// TestUploadUnlisted: a file that is uploaded unlisted becomes a private photo with a link, once: made private since,
// it stays so. A photo that its owner had before stays as it was.
func TestUploadUnlisted(t *testing.T) {
	t.Parallel()
	s, _ := uploaders(t)
	ctx := t.Context()
	upload := func(id, album string, image int) *store.Outcome {
		t.Helper()
		u := uploadOf(1, id)
		file := store.UploadFile{Name: "a.jpg", Bytes: 9, Private: true, Unlisted: true, Album: album}
		if _, err := s.CreateUpload(ctx, u, file, 50, store.Quota{}); err != nil {
			t.Fatal(err)
		}
		out, err := s.ReserveUpload(ctx, u, imageID(image), 9)
		if err == nil && !out.Ended() {
			photo := photoOf(imageID(image))
			photo.Link = secret(id)
			out, err = s.FinishUpload(ctx, u, photo, store.Quota{}, "", "")
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	seen := func(out *store.Outcome, want string) {
		t.Helper()
		if got, err := s.OwnVisibility(ctx, 1, out.Photo); got != want || err != nil {
			t.Errorf("photo %d is %s, %v, want %s", out.Photo, got, err, want)
		}
	}
	out := upload("a", "", 7)
	seen(out, "unlisted")
	if l, err := s.SharedPhoto(ctx, shareHash("a"), out.Photo); err != nil || l.ID != out.Photo {
		t.Errorf("its link shows %+v, %v", l, err)
	}
	seen(upload("b", "Trips", 8), "unlisted")
	if _, err := change(store.OwnPrivate, "", out.Photo)(ctx, s, "private"); err != nil {
		t.Fatal(err)
	}
	seen(upload("a", "", 7), "private") // repeated
	if again := upload("c", "", 7); !again.Duplicate {
		t.Errorf("uploaded again: %+v", again)
	}
	seen(out, "private")
}
