package store_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

const noQuota = 1 << 40

// uploaders gives ansel and vivian accounts.
func uploaders(t testing.TB) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, "INSERT INTO accounts (user_id, password) SELECT id, '"+passwordHash+"' FROM users")
	return s, pool
}

func uploadOf(user int64, id string) store.UploadID {
	return store.UploadID{User: user, ID: (id + strings.Repeat("z", 26))[:26]}
}

func create(t testing.TB, s *store.Store, u store.UploadID) {
	t.Helper()
	file := store.UploadFile{Name: "a.jpg", Bytes: 9}
	if _, err := s.CreateUpload(t.Context(), u, file, 50, store.Quota{}); err != nil {
		t.Fatal(err)
	}
}

// finish stores an original for an upload, and makes the photo.
func finish(t testing.TB, s *store.Store, u store.UploadID, image string) *store.Outcome {
	t.Helper()
	out, err := s.ReserveUpload(t.Context(), u, image, 9)
	if err == nil && !out.Ended() {
		out, err = s.FinishUpload(t.Context(), u, photoOf(image), store.Quota{}, "", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func photoOf(image string) store.UploadedPhoto {
	return store.UploadedPhoto{Image: image, Bytes: 9, Width: 40, Height: 30, Color: 255}
}

// TestQuotaUseIsExact: what is counted for a person is what they have, whatever happens at the same time: photos of
// both kinds that come and go, and are given away by hand, while the first upload makes the count.
func TestQuotaUseIsExact(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	exec(t, pool, "INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID(2)+"', 70, 40, 30, 255)")
	var group errgroup.Group
	for w := range 4 {
		group.Go(func() error {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for range 60 {
				user, image, sql := 1+r.IntN(2), imageID(1+r.IntN(2)), ""
				switch r.IntN(6) {
				case 0:
					sql = `DELETE FROM photos WHERE id IN (SELECT id FROM photos WHERE user_id = $1 AND image_id = $2
						ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED)`
				case 1:
					sql = `UPDATE photos SET user_id = $1, image_id = $2 WHERE id = (SELECT id FROM photos
						ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)`
				default:
					sql = `INSERT INTO photos (user_id, image_id, width, height, color, private)
						SELECT $1, $2, 40, 30, 255, n > 1 FROM generate_series(1, 2) n`
				}
				_, err := pool.Exec(t.Context(), sql, user, image)
				if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "40P01" {
					continue // two moves at once, which only people make
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for user := int64(1); user <= 2; user++ {
		group.Go(func() error {
			_, err := s.CreateUpload(t.Context(), uploadOf(user, "a"), store.UploadFile{}, 50, store.Quota{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	const counted = "SELECT string_agg(user_id || ': ' || photos || ' ' || bytes, ', ' ORDER BY user_id) FROM "
	have := one[string](t, pool, counted+"quota_use")
	want := one[string](t, pool, counted+`(SELECT p.user_id, count(*) AS photos, sum(i.bytes) AS bytes
		FROM photos p JOIN images i ON i.id = p.image_id GROUP BY p.user_id) AS q`)
	if have != want {
		t.Errorf("counted %s, stored %s", have, want)
	}
}

// TestQuotaBoundsUploadsAtOnce: uploads that begin at once count each other.
func TestQuotaBoundsUploadsAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := uploaders(t)
	var group errgroup.Group
	refused := make(chan bool, 20)
	for n := range 20 {
		group.Go(func() error {
			_, err := s.CreateUpload(t.Context(), uploadOf(1, string(rune('a'+n))), store.UploadFile{Bytes: 10}, 50,
				store.Quota{Bytes: 75, Photos: noQuota})
			if refused <- errors.Is(err, store.ErrTooManyBytes); errors.Is(err, store.ErrTooManyBytes) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(refused)
	taken := 0
	for no := range refused {
		if !no {
			taken++
		}
	}
	if taken != 7 {
		t.Errorf("%d uploads of 10 bytes fit into 75", taken)
	}
}

// TestUploadsThatBecomeNothingAreBounded: one who begins and cancels uploads without end is refused; others are not.
func TestUploadsThatBecomeNothingAreBounded(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	exec(t, pool, `INSERT INTO uploads (user_id, id, name, bytes, private, ended_at, problem)
		SELECT 1, rpad(translate('u' || n, '0189', 'xvwy'), 26, 'z'), '', 5, false, now(), 'cancelled'
		FROM generate_series(1, 9999) n`)
	create(t, s, uploadOf(1, "a"))
	if _, err := s.EndUpload(t.Context(), uploadOf(1, "a"), "cancelled"); err != nil {
		t.Fatal(err)
	}
	file := store.UploadFile{Name: "a.jpg", Bytes: 9}
	_, err := s.CreateUpload(t.Context(), uploadOf(1, "b"), file, 50, store.Quota{})
	if !errors.Is(err, store.ErrTooManyUploads) {
		t.Errorf("one more: %v", err)
	}
	if out, err := s.CreateUpload(t.Context(), uploadOf(1, "a"), file, 50, store.Quota{}); err != nil || !out.Ended() {
		t.Errorf("one that is known: %+v, %v", out, err)
	}
	create(t, s, uploadOf(2, "b"))
}

// TestReservedOriginalsStay: an original that an upload is about to store is not removed, though nobody shows it. If
// nothing becomes of the upload it is.
func TestReservedOriginalsStay(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	image, u := imageID(7), uploadOf(1, "a")
	create(t, s, u)
	removedNow := func() (all []string) {
		for {
			n, err := s.RemoveUnused(t.Context(), oneByOne(func(id string) (store.Freed, error) {
				all = append(all, id)
				return store.Freed{}, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				return all
			}
		}
	}
	removed := func() []string { // half a minute later
		exec(t, pool, "UPDATE unused_images SET due_at = due_at - interval '30 s' WHERE NOT again")
		return removedNow()
	}
	exec(t, pool, "INSERT INTO unused_images (user_id, image_id) VALUES (2, '"+image+"')")
	if _, err := s.ReserveUpload(t.Context(), u, image, 9); err != nil {
		t.Fatal(err)
	}
	if all := removed(); len(all) > 0 {
		t.Errorf("removed %q, which an upload is about to store", all)
	}
	if _, err := s.ReserveUpload(t.Context(), u, imageID(8), 9); err != nil {
		t.Fatal(err)
	}
	if all := removed(); len(all) == 0 || all[0] != image {
		t.Errorf("removed %q: the upload now stores another original", all)
	}
	if out := finish(t, s, u, imageID(8)); out.Photo == 0 {
		t.Fatalf("%+v", out)
	}
	if all := removed(); len(all) > 0 {
		t.Errorf("removed %q, which a photo shows", all)
	}
	// Forgotten, and cancelled while its original is being stored.
	for n, end := range []func(u store.UploadID) error{
		func(store.UploadID) error { _, err := s.ForgetUploads(t.Context(), 0); return err },
		func(u store.UploadID) error { _, err := s.EndUpload(t.Context(), u, "no"); return err },
	} {
		v, image := uploadOf(2, string(rune('b'+n))), imageID(20+n)
		create(t, s, v)
		if _, err := s.ReserveUpload(t.Context(), v, image, 9); err != nil {
			t.Fatal(err)
		}
		if err := end(v); err != nil {
			t.Fatal(err)
		}
		if all := removedNow(); len(all) > 0 {
			t.Errorf("removed %q, which a finish that is under way may store yet", all)
		}
		if all := removed(); !slices.Contains(all, image) {
			t.Errorf("removed %q of an upload that has ended", all)
		}
		out, err := s.FinishUpload(t.Context(), v, photoOf(image), store.Quota{}, "", "")
		if err == nil && out.Photo != 0 {
			t.Errorf("finished after its end: %+v", out)
		}
		if all := removed(); !slices.Contains(all, image) {
			t.Errorf("removed %q: the original was stored after the upload's end", all)
		}
	}
}

// TestOneOriginalForOneUpload: of an upload that is finished with two contents, the one that was reserved last becomes
// the photo. The other one's file is removed, and so is a file that is stored once the photo was deleted.
func TestOneOriginalForOneUpload(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	first, last, u := imageID(7), imageID(8), uploadOf(1, "a")
	create(t, s, u)
	for _, image := range []string{first, last} {
		if _, err := s.ReserveUpload(t.Context(), u, image, 9); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(image string) (*store.Outcome, error) {
		return s.FinishUpload(t.Context(), u, photoOf(image), store.Quota{}, "", "")
	}
	if out, err := stored(first); !errors.Is(err, store.ErrOtherBytes) {
		t.Errorf("finished with the first content: %+v, %v", out, err)
	}
	if out := finish(t, s, u, last); out.Photo == 0 || out.Image != last {
		t.Fatalf("%+v", out)
	}
	unused := func(image string) bool {
		t.Helper()
		exec(t, pool, "DELETE FROM photos")
		return one[bool](t, pool, "SELECT EXISTS (SELECT FROM unused_images WHERE image_id = '"+image+"')")
	}
	if !unused(first) {
		t.Error("the file of the other content stays")
	}
	exec(t, pool, "DELETE FROM unused_images")
	if out, err := stored(last); err != nil || out.Photo == 0 {
		t.Errorf("repeated: %+v, %v", out, err)
	}
	if !unused(last) {
		t.Error("a file that came after its photo was deleted stays")
	}
}

// TestRefusedPicture: its photos are removed, those of everybody, and their uploads say why. Pages hear of the public
// ones.
func TestRefusedPicture(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	image := imageID(7)
	for user := int64(1); user <= 2; user++ {
		u := uploadOf(user, "a")
		file := store.UploadFile{Private: user == 2}
		if _, err := s.CreateUpload(t.Context(), u, file, 50, store.Quota{}); err != nil {
			t.Fatal(err)
		}
		if out := finish(t, s, u, image); out.Photo == 0 || out.Made {
			t.Fatalf("%+v", out)
		}
	}
	removed, err := s.RefusePicture(t.Context(), image, "It is broken.")
	if err != nil || len(removed) != 2 {
		t.Fatalf("%+v, %v", removed, err)
	}
	for _, r := range removed {
		public := r.Upload.User == 1
		if changes := r.Changes(); public != (len(changes) == 2) || r.Upload.ID != uploadOf(1, "a").ID {
			t.Errorf("%+v has changed %+v", r, changes)
		}
		out, err := s.UploadOf(t.Context(), r.Upload)
		if err != nil || out.Problem != "It is broken." || out.Photo != 0 {
			t.Errorf("the upload: %+v, %v", out, err)
		}
	}
	left := "SELECT (SELECT count(*) FROM photos) + (SELECT count(*) FROM unmade_pictures) + " +
		"(SELECT count(*) FROM images WHERE id = '" + image + "')" // or a later upload of it would count as decoded
	if n := one[int](t, pool, left); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if version := one[int64](t, pool, "SELECT version FROM users WHERE id = 1"); version != removed[0].Version {
		t.Errorf("version %d, told %d", version, removed[0].Version)
	}
	if again, err := s.RefusePicture(t.Context(), image, "no"); err != nil || len(again) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestTakePicture: a picture is one renderer's at a time, first the one's that stored it.
func TestTakePicture(t *testing.T) {
	t.Parallel()
	s, pool := uploaders(t)
	taken := func(image, want string, wantTimes int) {
		t.Helper()
		got, times, err := s.TakePicture(t.Context(), image)
		if err != nil || got != want || times != wantTimes {
			t.Errorf("took %q, %d times (%v); want %q, %d", got, times, err, want, wantTimes)
		}
	}
	exec(t, pool, "INSERT INTO unmade_pictures (image_id) VALUES ('a')")
	taken("", "", 0) // not due yet
	taken("a", "a", 1)
	taken("a", "", 0)
	exec(t, pool, "UPDATE unmade_pictures SET due_at = now()")
	taken("", "a", 2)
	taken("", "", 0)
	if err := s.PicturePostponed(t.Context(), "a", 2); err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "UPDATE unmade_pictures SET due_at = now()")
	taken("", "a", 2)
	if err := s.PictureMade(t.Context(), "a", 1, 1, 1); err != nil {
		t.Fatal(err)
	}
	taken("a", "", 0)
}
