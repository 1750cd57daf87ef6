package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

// TestAlbumIsFull: an album takes 10,000 photos and no more, and one of that size is ordered, also when it has no gaps
// between its positions.
func TestAlbumIsFull(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	exec(t, pool, "DELETE FROM album_photos", fmt.Sprintf(
		`INSERT INTO photos (user_id, image_id, width, height, color) SELECT 1, '%s', 40, 30, 255
			FROM generate_series(6, %d)`, imageID(1), store.MaxAlbumPhotos+10),
		fmt.Sprintf("INSERT INTO album_photos SELECT 1, id, 1, id FROM photos WHERE id BETWEEN 6 AND %d",
			store.MaxAlbumPhotos+4), "ANALYZE") // 9,999
	do := func(key string, do action, want error) {
		t.Helper()
		if _, err := do(t.Context(), s, strings.ReplaceAll(key, " ", "-")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
	do("two more", addTo("Yosemite", 1, 2), store.ErrFull)
	do("one more", addTo("Yosemite", 1, 7), nil)
	do("another", addTo("Yosemite", 2), store.ErrFull)
	do("that are there", addTo("Yosemite", 1, 8, 9), nil)
	do("into a new one", addTo("Other", 2), nil)
	do("moved", move(1, store.MovePlace, 5000, 6), nil)
	first := one[string](t, pool, `SELECT string_agg(photo_id::text, ' ' ORDER BY position) FROM (
		SELECT * FROM album_photos WHERE album_id = 1 ORDER BY position OFFSET 4998 LIMIT 3) AS m`)
	if first != "5005 6 5006" {
		t.Errorf("photos %s are at places 4999 to 5001", first)
	}
	if n := one[int](t, pool, "SELECT photo_count FROM album_counts WHERE album_id = 1"); n != store.MaxAlbumPhotos {
		t.Errorf("%d photos are counted", n)
	}
}

// TestAlbumsAndPhotosAtOnce: photos that are deleted for good, and files that are uploaded again into albums, take
// their locks in the order of changes of albums and photos: nobody is the victim of a deadlock.
func TestAlbumsAndPhotosAtOnce(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	ctx := t.Context()
	const photos = 120
	for n := range photos {
		exec(t, pool, fmt.Sprintf("INSERT INTO images (id, bytes, width, height, color) VALUES ('%s', 9, 40, 30, 255)",
			imageID(1000+n)), fmt.Sprintf(`INSERT INTO photos (id, user_id, image_id, width, height, color)
				VALUES (%d, 1, '%s', 40, 30, 255)`, 1000+n, imageID(1000+n)))
	}
	exec(t, pool, "INSERT INTO albums (id, user_id, title) OVERRIDING SYSTEM VALUE SELECT g, 1, 'A' || g "+
		"FROM generate_series(101, 104) g",
		"INSERT INTO album_photos SELECT a.id, p.id, 1, 5000 - p.id FROM photos p, albums a WHERE a.id > 100 AND p.id > 999")
	deadlocks := countDeadlocks(s)
	var group errgroup.Group
	for worker := range 12 {
		random := rand.New(rand.NewPCG(uint64(worker), 2))
		group.Go(func() error {
			for turn := range 12 {
				key := fmt.Sprintf("%d-%d", worker, turn)
				var ids []int64
				for range 20 {
					ids = append(ids, 1000+random.Int64N(photos))
				}
				album := 101 + random.Int64N(4)
				var err error
				switch worker % 6 {
				case 0:
					_, err = change(store.OwnBin, "", ids[:4]...)(ctx, s, key+"bin")
					if err == nil || errors.Is(err, store.ErrNotFound) {
						_, err = change(store.OwnRemove, "", ids[:4]...)(ctx, s, key+"remove")
					}
				case 1:
					_, err = move(album, store.MoveFirst, 0, ids...)(ctx, s, key)
				case 2:
					if _, err = takeFrom(album, "", ids...)(ctx, s, key); err == nil {
						_, err = addTo(fmt.Sprint("A", album), ids...)(ctx, s, key+"again")
					}
				case 3:
					err = uploadAgain(ctx, s, key, imageID(int(ids[0])), fmt.Sprint("A", album))
				case 4:
					edit := store.OwnEdit{Title: &key}
					_, err = editOwn(ids[0], edit)(ctx, s, key)
				case 5:
					if _, err = change(store.OwnBin, "", ids[5])(ctx, s, key+"bin"); err == nil {
						_, err = s.EmptyBins(ctx, 0)
					}
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("%s: %w", key, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("%d were the victims of a deadlock", n)
	}
	if wrong := one[int](t, pool, `SELECT count(*)::integer FROM albums a JOIN album_counts c ON c.album_id = a.id
		WHERE c.photo_count <> (SELECT count(*) FROM album_photos m JOIN photos p ON p.id = m.photo_id
			WHERE m.album_id = a.id AND NOT p.private)`); wrong != 0 {
		t.Errorf("%d albums are counted wrong", wrong)
	}
}

// countDeadlocks counts what a store runs again because it was the victim of a deadlock. On a loaded machine it also
// runs again what has waited too long for a lock.
func countDeadlocks(s *store.Store) *atomic.Int64 {
	var deadlocks atomic.Int64
	s.OnRetry(func(err error) {
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "40P01" {
			deadlocks.Add(1)
		}
	})
	return &deadlocks
}

// uploadAgain uploads a file, which its owner may have, into an album.
func uploadAgain(ctx context.Context, s *store.Store, key, image, album string) error {
	u := uploadOf(1, strings.NewReplacer("-", "q", "0", "a", "1", "b", "8", "c", "9", "d").Replace(key))
	file := store.UploadFile{Name: "a.jpg", Bytes: 9, Album: album}
	if _, err := s.CreateUpload(ctx, u, file, 50, store.Quota{}); err != nil {
		return err
	}
	if _, err := s.ReserveUpload(ctx, u, image, 9); err != nil {
		return err
	}
	_, err := s.FinishUpload(ctx, u, photoOf(image), store.Quota{}, "", "")
	return err
}

// TestAlbumsInAPrivateOne: an album that everybody may see is in the lists of those in no other one while the album
// that it is in is private.
func TestAlbumsInAPrivateOne(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	exec(t, pool, "INSERT INTO albums (user_id, title, parent) VALUES (1, 'Inner', 1)",
		"INSERT INTO album_photos VALUES (2, 2, 1, 1)")
	lists := func() string {
		t.Helper()
		albums, err := s.Albums(t.Context(), "ansel", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		users, err := s.Users(t.Context(), []store.UserQuery{{Name: "ansel"}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range append(albums.Covers, users[0].Covers...) {
			names = append(names, c.Title)
		}
		return strings.Join(names, ", ")
	}
	for nr, c := range []struct {
		private bool
		want    string
	}{{false, "Yosemite, Yosemite"}, {true, "Inner, Inner"}, {false, "Yosemite, Yosemite"}} {
		if _, err := showAlbum(c.private, false)(t.Context(), s, fmt.Sprint("show", nr)); err != nil {
			t.Fatal(err)
		}
		if got := lists(); got != c.want {
			t.Errorf("the outer one is private: %t; the lists have %s", c.private, got)
		}
	}
}

// TestPhotoNamesShownAlbums: albums that only their owner sees take no place among the 100 of a photo's page.
func TestPhotoNamesShownAlbums(t *testing.T) {
	t.Parallel()
	s, pool := ownAlbum(t)
	exec(t, pool, "INSERT INTO albums (user_id, title, private) SELECT 1, 'A' || g, g <= 120 "+
		"FROM generate_series(1, 125) g",
		"INSERT INTO album_photos SELECT id, 2, 1, 7 FROM albums WHERE id > 1 ORDER BY id")
	photos, err := s.Photos(t.Context(), []int64{2})
	if err != nil {
		t.Fatal(err)
	}
	var shown int
	for _, a := range photos[0].Photo.Albums {
		if strings.HasPrefix(a.Title, "A12") {
			shown++
		}
	}
	if shown != 5 {
		t.Errorf("the page names %d of 5 albums", shown)
	}
}

// TestOwnVisibility: who sees a photo is said as it is stored.
func TestOwnVisibility(t *testing.T) {
	t.Parallel()
	s, _ := shareAlbum(t)
	for nr, c := range []struct {
		do   action
		want string
	}{
		{see(false, false, 1), "public"}, {see(true, true, 1), "unlisted"}, {see(true, false, 1), "private"},
	} {
		if _, err := c.do(t.Context(), s, fmt.Sprint("see", nr)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.OwnVisibility(t.Context(), 1, 1); got != c.want || err != nil {
			t.Errorf("%s, %v, want %s", got, err, c.want)
		}
	}
	if _, err := s.OwnVisibility(t.Context(), 2, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("for somebody else: %v", err)
	}
}
