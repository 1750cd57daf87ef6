package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/store"
)

var guestLimits = store.GuestLimits{InAlbum: 100, Files: 100, Bytes: 1 << 30}

// guestsOf1 has a link of ansel's to his album, see shareAlbum, by which whoever has it adds photos.
func guestsOf1(t *testing.T) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	s, pool := shareAlbum(t)
	if err := share(t, s, "link", 1, store.NewShare{Album: 1, Adds: true}); err != nil {
		t.Fatal(err)
	}
	return s, pool
}

func createAsGuest(t *testing.T, s *store.Store, link, id string, limits store.GuestLimits) error {
	t.Helper()
	_, err := s.CreateGuestUpload(t.Context(), shareHash(link), "Mia", uploadOf(1, id),
		store.UploadFile{Name: "a.jpg", Bytes: 9}, 50, store.Quota{}, limits)
	return err
}

func finishAsGuest(t *testing.T, s *store.Store, link, id, image string) (*store.Outcome, error) {
	t.Helper()
	u := uploadOf(1, id)
	out, err := s.ReserveGuestUpload(t.Context(), shareHash(link), u, image, 9)
	if err == nil && !out.Ended() {
		out, err = s.FinishGuestUpload(t.Context(), shareHash(link), u, photoOf(image), store.Quota{}, "", "")
	}
	return out, err
}

// added has a guest add a photo.
func added(t *testing.T, s *store.Store, link, id, image string) *store.Outcome {
	t.Helper()
	if err := createAsGuest(t, s, link, id, guestLimits); err != nil {
		t.Fatal(err)
	}
	out, err := finishAsGuest(t, s, link, id, image)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGuestAdds: a photo that a guest adds belongs to the album's owner, is private, nobody else may use it, and it is
// at the end of the album. Its owner knows who added it, and by which link, also when the link is revoked.
func TestGuestAdds(t *testing.T) {
	t.Parallel()
	s, pool := guestsOf1(t)
	ctx := t.Context()
	exec(t, pool, "UPDATE accounts SET licence = 'cc0', downloadable = true")
	before := newest(t, pool)["user.ansel"]
	out := added(t, s, "link", "a", imageID(70))
	if out.Duplicate || out.Photo == 0 || !out.Private || out.Version <= before {
		t.Fatalf("%+v, ansel was at %d", out, before)
	}
	if again, err := finishAsGuest(t, s, "link", "a", imageID(70)); err != nil || *again != *out {
		t.Errorf("finished again: %+v, %v", again, err)
	}
	got := one[string](t, pool, fmt.Sprintf(
		"SELECT concat_ws(' ', user_id, private, licence, downloadable) FROM photos WHERE id = %d", out.Photo))
	if got != "1 t reserved f" {
		t.Errorf("the photo is %s", got)
	}
	if got := seen(t, s, "link"); got != "1 4p 6p|0<1>4 1<4>6 4<6>0|1 4 6" || out.Photo != 6 {
		t.Errorf("photo %d; the link shows %q", out.Photo, got)
	}
	list, err := s.OwnShares(ctx, 1, 0, 0, 0)
	if err != nil || len(list.Shares) != 1 || !list.Shares[0].Adds || !list.Shares[0].Added {
		t.Fatalf("%+v: %v", list, err)
	}
	link := list.Shares[0].ID
	if _, err := s.EndShare(ctx, "end", 1, link); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[int64]string{1: fmt.Sprintf("map[6:{Mia %d}]", link), 2: "map[]"} {
		if guests, err := s.Guests(ctx, user, []int64{1, 6}); err != nil || fmt.Sprint(guests) != want {
			t.Errorf("user %d: %v, %v", user, guests, err)
		}
	}
	for what, search := range map[string]store.OwnSearch{"by guests": {Guests: true}, "by the link": {Link: link}} {
		photos, err := s.OwnPhotos(ctx, 1, search, store.OwnPosition{}, false)
		if err != nil || len(photos.Photos) != 1 || photos.Photos[0].ID != 6 {
			t.Errorf("%s: %+v, %v", what, photos, err)
		}
	}
	if photos, err := s.OwnPhotos(ctx, 1, store.OwnSearch{Link: link + 1}, store.OwnPosition{}, false); err != nil ||
		len(photos.Photos) != 0 {
		t.Errorf("by another link: %+v, %v", photos, err)
	}
}

// TestGuestLearnsNothing: what a guest adds is a new photo whatever the owner has. Only what the same link added, and
// what is in the album, is not added twice.
func TestGuestLearnsNothing(t *testing.T) {
	t.Parallel()
	s, pool := guestsOf1(t)
	exec(t, pool, "INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID(70)+"', 9, 40, 30, 255)",
		`INSERT INTO photos (user_id, image_id, width, height, color, title, private)
			VALUES (1, '`+imageID(70)+"', 40, 30, 255, 'a secret', true)")
	first := added(t, s, "link", "a", imageID(70))
	if first.Duplicate || first.Photo != 7 {
		t.Errorf("%+v", first)
	}
	if again := added(t, s, "link", "b", imageID(70)); again.Photo != 7 || again.Duplicate {
		t.Errorf("the same by the same link: %+v", again)
	}
	if err := share(t, s, "other", 1, store.NewShare{Album: 1, Adds: true}); err != nil {
		t.Fatal(err)
	}
	if other := added(t, s, "other", "c", imageID(70)); other.Photo != 8 || other.Duplicate {
		t.Errorf("the same by another link: %+v", other)
	}
	exec(t, pool, "DELETE FROM album_photos WHERE photo_id = 7")
	if gone := added(t, s, "link", "d", imageID(70)); gone.Photo != 9 || gone.Duplicate {
		t.Errorf("the same, which is out of the album: %+v", gone)
	}
}

// TestGuestIsRefused: nobody adds by a link that lets nobody, to an upload of another link or of the owner's, or once a
// link is revoked, has ended or does not let people any more. That ends uploads that are under way, and nothing of the
// owner's.
func TestGuestIsRefused(t *testing.T) {
	t.Parallel()
	const closed = "UPDATE shares SET adds = false"
	for what, then := range map[string]string{
		"revoked": "DELETE FROM shares", "closed": closed, "ended": "UPDATE shares SET expires_at = now()",
		"another link": "UPDATE uploads SET share_id = 99 WHERE share_id IS NOT NULL",
		"the owner's":  "UPDATE uploads SET share_id = NULL", "no album": "DELETE FROM albums",
		"the owner is gone":       "UPDATE users SET gone_at = now() WHERE id = 1",
		"the account is disabled": "UPDATE accounts SET disabled_at = now()",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, pool := guestsOf1(t)
			if err := createAsGuest(t, s, "link", "a", guestLimits); err != nil {
				t.Fatal(err)
			}
			create(t, s, uploadOf(1, "own"))
			if _, err := s.GuestUpload(t.Context(), shareHash("link"), uploadOf(1, "a")); err != nil {
				t.Fatal(err)
			}
			reserved, err := s.ReserveGuestUpload(t.Context(), shareHash("link"), uploadOf(1, "a"), imageID(70), 9)
			if err != nil || reserved.Ended() {
				t.Fatalf("%+v, %v", reserved, err)
			}
			exec(t, pool, then)
			_, err = s.GuestUpload(t.Context(), shareHash("link"), uploadOf(1, "a"))
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the upload: %v", err)
			}
			out, err := s.FinishGuestUpload(t.Context(), shareHash("link"), uploadOf(1, "a"), photoOf(imageID(70)),
				store.Quota{}, "", "")
			if (err != nil || out.Problem == "") && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the end: %+v, %v", out, err)
			}
			if _, err := finishAsGuest(t, s, "link", "own", imageID(70)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the owner's upload: %v", err)
			}
			if err := createAsGuest(t, s, "link", "a", guestLimits); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("begun again: %v", err)
			}
			if n := one[int64](t, pool, "SELECT count(*) FROM photos"); n != 5 {
				t.Errorf("%d photos", n)
			}
			if own, err := s.UploadOf(t.Context(), uploadOf(1, "own")); err != nil || own.Ended() {
				t.Errorf("the owner's own upload: %+v, %v", own, err)
			}
		})
	}
	s, _ := guestsOf1(t)
	if err := share(t, s, "shows", 1, store.NewShare{Album: 1}); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"shows", "none"} {
		if err := createAsGuest(t, s, link, "b", guestLimits); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", link, err)
		}
	}
}

// TestLetAdd: an owner lets people add by a link to an album, or not, once for a key; nobody else does.
func TestLetAdd(t *testing.T) {
	t.Parallel()
	s, _ := shareAlbum(t)
	ctx := t.Context()
	for name, link := range map[string]store.NewShare{"album": {Album: 1}, "photo": {Photo: 1, Adds: true}} {
		if err := share(t, s, name, 1, link); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[bool]int64{}
	list, err := s.OwnShares(ctx, 1, 0, 0, 0)
	if err != nil || len(list.Shares) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, link := range list.Shares {
		if ids[link.Album != 0] = link.ID; link.Adds {
			t.Errorf("people may add by %+v", link)
		}
	}
	for what, try := range map[string]func() ([]store.Change, error){
		"a photo":   func() ([]store.Change, error) { return s.LetAdd(ctx, "let-photo", 1, ids[false], true) },
		"another's": func() ([]store.Change, error) { return s.LetAdd(ctx, "let-other", 2, ids[true], true) },
	} {
		if _, err := try(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i, want := range []bool{true, false} {
		for range 2 { // and asked for again
			if _, err := s.LetAdd(ctx, fmt.Sprint("let", i), 1, ids[true], want); err != nil {
				t.Fatal(err)
			}
		}
		if link, err := s.Share(ctx, shareHash("album")); err != nil || link.Adds != want || link.User != 1 {
			t.Errorf("%+v, %v", link, err)
		}
	}
}

// TestGuestLimits: an album has a bound, and so have the files and the bytes of a link in a day, guests at once
// included. What became nothing counts as a file.
func TestGuestLimits(t *testing.T) {
	t.Parallel()
	for want, limits := range map[error]store.GuestLimits{
		store.ErrAlbumFull:  {InAlbum: 2, Files: 100, Bytes: 1 << 30},
		store.ErrGuestFiles: {InAlbum: 100, Files: 1, Bytes: 1 << 30},
		store.ErrGuestBytes: {InAlbum: 100, Files: 100, Bytes: 17},
	} {
		s, pool := guestsOf1(t)
		if err := createAsGuest(t, s, "link", "a", guestLimits); err != nil {
			t.Fatal(err)
		}
		if err := createAsGuest(t, s, "link", "b", limits); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if err := createAsGuest(t, s, "link", "a", limits); err != nil {
			t.Errorf("%v: one that is begun again: %v", want, err)
		}
		exec(t, pool, "UPDATE uploads SET ended_at = now(), problem = 'no'")
		if err := createAsGuest(t, s, "link", "b", limits); (err == nil) != (want == store.ErrGuestBytes) {
			t.Errorf("%v, after one that became nothing: %v", want, err)
		}
		exec(t, pool, "UPDATE uploads SET created_at = now() - interval '25 hours'")
		if err := createAsGuest(t, s, "link", "c", limits); (err == nil) == (want == store.ErrAlbumFull) {
			t.Errorf("%v, a day later: %v", want, err)
		}
	}
	s, _ := guestsOf1(t)
	var begun atomic.Int64
	var group errgroup.Group
	for i := range 12 {
		group.Go(func() error {
			err := createAsGuest(t, s, "link", fmt.Sprint(string(rune('a'+i))),
				store.GuestLimits{InAlbum: 100, Files: 5, Bytes: 1 << 30})
			if err == nil {
				begun.Add(1)
			}
			if errors.Is(err, store.ErrGuestFiles) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || begun.Load() != 5 {
		t.Errorf("%d at once: %v", begun.Load(), err)
	}
}

// TestGuestsFillAlbum: uploads that began while the album had a place become photos only up to its bound.
func TestGuestsFillAlbum(t *testing.T) {
	t.Parallel()
	s, pool := guestsOf1(t)
	for _, id := range []string{"a", "b"} {
		if err := createAsGuest(t, s, "link", id, guestLimits); err != nil {
			t.Fatal(err)
		}
	}
	had := one[int](t, pool, "SELECT count(*)::integer FROM album_photos WHERE album_id = 1")
	exec(t, pool, fmt.Sprintf(`INSERT INTO photos (id, user_id, image_id, width, height, color)
			OVERRIDING SYSTEM VALUE SELECT 100000 + g, 1, (SELECT min(id) FROM images), 40, 30, 255
			FROM generate_series(1, %d) g`, store.MaxAlbumPhotos-1-had),
		"INSERT INTO album_photos SELECT 1, id, 1, 2000000 + id FROM photos WHERE id > 100000", "ANALYZE")
	if out, err := finishAsGuest(t, s, "link", "a", imageID(70)); err != nil || out.Photo == 0 {
		t.Errorf("the last place: %+v, %v", out, err)
	}
	out, err := finishAsGuest(t, s, "link", "b", imageID(71))
	if err != nil || out.Photo != 0 || out.Problem != "The album has 10,000 photos, and takes no more." {
		t.Errorf("one more: %+v, %v", out, err)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM album_photos WHERE album_id = 1"); n !=
		store.MaxAlbumPhotos {
		t.Errorf("the album has %d photos", n)
	}
}

// TestGuestsAtOnce: guests who add while the owner changes the album and its links get in nobody's way.
func TestGuestsAtOnce(t *testing.T) {
	t.Parallel()
	s, pool := guestsOf1(t)
	ctx := t.Context()
	deadlocks := countDeadlocks(s)
	var group errgroup.Group
	for i := range 8 {
		name := string(rune('d' + i))
		group.Go(func() error {
			if err := share(t, s, name, 1, store.NewShare{Album: 1, Adds: true}); err != nil {
				return err
			}
			if err := createAsGuest(t, s, name, name, guestLimits); err != nil {
				return err
			}
			list, err := s.OwnShares(ctx, 1, 0, 1, 0)
			if err != nil {
				return err
			}
			group.Go(func() error {
				_, err := s.EndShare(ctx, "end-"+name, 1, list.Shares[len(list.Shares)-1].ID)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				return err
			})
			if _, err = finishAsGuest(t, s, name, name, imageID(70+i)); errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			if err != nil {
				return err
			}
			_, err = move(1, store.MoveFirst, 0, 1)(ctx, s, "move-"+name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("%d were the victims of a deadlock", n)
	}
	if n := one[int64](t, pool, `SELECT count(*) FROM guest_photos g WHERE NOT EXISTS (
		SELECT FROM album_photos m WHERE m.photo_id = g.photo_id)`); n != 0 {
		t.Errorf("%d photos of guests are not in the album", n)
	}
}
