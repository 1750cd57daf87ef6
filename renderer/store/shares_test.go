package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/store"
)

// shareHash is the hash of a link's token, and nonce what is stored beside it.
func shareHash(name string) []byte { hash := sha256.Sum256([]byte(name)); return hash[:] }

func nonce(name string) []byte { return shareHash(name)[:16] }

func secret(name string) store.ShareSecret {
	return store.ShareSecret{Nonce: nonce(name), Hash: shareHash(name)}
}

// shareAlbum is ownAlbum with accounts: ansel's album has his photos 1, and 4, which is private; 2 and 3, which is
// private, are in no album, and 5 is vivian's.
func shareAlbum(t *testing.T) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	s, pool := ownAlbum(t)
	exec(t, pool, "INSERT INTO accounts (user_id, password) SELECT id, '"+passwordHash+"' FROM users",
		"DELETE FROM outbox")
	return s, pool
}

func share(t *testing.T, s *store.Store, name string, user int64, link store.NewShare) error {
	t.Helper()
	changes, err := s.MakeShare(t.Context(), name, user, link, secret(name), 10)
	if err == nil && (len(changes) != 1 || changes[0].Gone) {
		t.Errorf("the changes of link %s: %v", name, changes)
	}
	return err
}

// seen lists what a link shows: the photos of its album, each photo that it has a page for, and each with a picture.
func seen(t *testing.T, s *store.Store, name string) string {
	t.Helper()
	var list, pages, images []string
	if _, err := s.Share(t.Context(), shareHash(name)); errors.Is(err, store.ErrNotFound) {
		list = append(list, "none")
	} else if err != nil {
		t.Fatal(err)
	}
	album, err := s.SharedAlbum(t.Context(), shareHash(name), 0, 0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	for _, p := range album.Photos {
		list = append(list, fmt.Sprint(p.ID, map[bool]string{true: "p"}[p.Private]))
	}
	for id := int64(1); id <= 6; id++ {
		p, err := s.SharedPhoto(t.Context(), shareHash(name), id)
		if err == nil {
			pages = append(pages, strings.Trim(fmt.Sprint(p.Previous, "<", p.ID, ">", p.Next), " "))
		} else if !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if picture, err := s.SharedPicture(t.Context(), shareHash(name), id); err == nil && picture.ImageID != "" {
			images = append(images, strconv.FormatInt(id, 10))
		} else if !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return strings.Join(list, " ") + "|" + strings.Join(pages, " ") + "|" + strings.Join(images, " ")
}

// TestShares: a link shows its photo, or the photos of its album, private ones included, and nothing else, until it is
// revoked or expires, its photo is in the bin or deleted, or its owner is gone.
func TestShares(t *testing.T) {
	t.Parallel()
	const nothing = "none||"
	for _, c := range []struct {
		what  string
		share store.NewShare
		then  string // a statement; "": none
		want  string
	}{
		{"a photo", store.NewShare{Photo: 1}, "", "|0<1>0|1"},
		{"a private photo", store.NewShare{Photo: 3}, "", "|0<3>0|3"},
		{"an album", store.NewShare{Album: 1}, "", "1 4p|0<1>4 1<4>0|1 4"},
		{"a photo that is added", store.NewShare{Album: 1},
			"INSERT INTO album_photos (album_id, photo_id, user_id, position) VALUES (1, 2, 1, 3)",
			"1 4p 2|0<1>4 4<2>0 1<4>2|1 2 4"},
		{"a photo that is taken out", store.NewShare{Album: 1}, "DELETE FROM album_photos WHERE photo_id = 1",
			"4p|0<4>0|4"},
		{"a photo of an album in the bin", store.NewShare{Album: 1},
			"UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id = 1", "4p|0<4>0|4"},
		{"a photo in the bin", store.NewShare{Photo: 1},
			"UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id = 1", "||"},
		{"a deleted photo", store.NewShare{Photo: 1}, "DELETE FROM photos WHERE id = 1", nothing},
		{"a deleted album", store.NewShare{Album: 1}, "DELETE FROM albums", nothing},
		{"revoked", store.NewShare{Album: 1}, "DELETE FROM shares", nothing},
		{"not expired", store.NewShare{Photo: 1, Days: 1}, "", "|0<1>0|1"},
		{"expired", store.NewShare{Album: 1, Days: 1}, "UPDATE shares SET expires_at = now()", nothing},
		{"of a user who is gone", store.NewShare{Album: 1}, "UPDATE users SET gone_at = now() WHERE id = 1", nothing},
		{"of an account that is deleted", store.NewShare{Album: 1}, "DELETE FROM accounts WHERE user_id = 1", nothing},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := shareAlbum(t)
			if err := share(t, s, "link", 1, c.share); err != nil {
				t.Fatal(err)
			}
			if c.then != "" {
				exec(t, pool, c.then)
			}
			if got := seen(t, s, "link"); got != c.want {
				t.Errorf("shows %q, want %q", got, c.want)
			}
			if got := seen(t, s, "another"); got != nothing {
				t.Errorf("another token shows %q", got)
			}
		})
	}
}

// TestSharedAlbum: the pages of an album that a link shows follow each other both ways.
func TestSharedAlbum(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	exec(t, pool, `INSERT INTO photos (user_id, image_id, width, height, color, private)
			SELECT 1, i.id, i.width, i.height, i.color, g % 2 = 0 FROM images i, generate_series(1, 100) g WHERE i.id = '`+
		imageID(1)+"'",
		`INSERT INTO album_photos (album_id, photo_id, user_id, position)
			SELECT 1, id, 1, 10 * id FROM photos WHERE id > 5`)
	if err := share(t, s, "link", 1, store.NewShare{Album: 1}); err != nil {
		t.Fatal(err)
	}
	first, err := s.SharedAlbum(t.Context(), shareHash("link"), 0, 0)
	if err != nil || len(first.Photos) != store.PageSize || first.Previous != 0 || first.Next != 510 {
		t.Fatalf("%d photos, %d, %d: %v", len(first.Photos), first.Previous, first.Next, err)
	}
	second, err := s.SharedAlbum(t.Context(), shareHash("link"), first.Next, 0)
	if err != nil || len(second.Photos) != store.PageSize || second.Photos[0].ID != 52 || second.Previous != 520 {
		t.Fatalf("%d photos, %d, %d: %v", len(second.Photos), second.Previous, second.Next, err)
	}
	last, err := s.SharedAlbum(t.Context(), shareHash("link"), second.Next, 0)
	if err != nil || len(last.Photos) != 6 || last.Next != 0 {
		t.Errorf("%d photos, %d, %d: %v", len(last.Photos), last.Previous, last.Next, err)
	}
	back, err := s.SharedAlbum(t.Context(), shareHash("link"), 0, second.Previous)
	if diff := gocmp.Diff(first, back); diff != "" || err != nil {
		t.Errorf("the page before is another one: %v\n%s", err, diff)
	}
}

// TestMakeShare: nobody makes or revokes links to what is another's, each is made once for its key, and their number
// has a bound.
func TestMakeShare(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	ctx := t.Context()
	exec(t, pool, "UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id = 2")
	for name, link := range map[string]store.NewShare{
		"of another": {Photo: 5}, "of nobody": {Photo: 99}, "in the bin": {Photo: 2}, "no album": {Album: 99},
	} {
		if err := share(t, s, name, 1, link); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := share(t, s, "album", 2, store.NewShare{Album: 1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's album: %v", err)
	}
	link := store.NewShare{Photo: 1, Name: "for mother", Password: passwordHash, Days: 7}
	for i := range 2 {
		_, err := s.MakeShare(ctx, "key", 1, link, secret(fmt.Sprint(i)), 10)
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.OwnShares(ctx, 1, 0, 0, 0)
	if err != nil || len(list.Shares) != 1 {
		t.Fatalf("%d links: %v", len(list.Shares), err)
	}
	one := list.Shares[0]
	if string(one.Nonce) != string(nonce("0")) || one.Name != "for mother" || !one.Password || one.Photo != 1 ||
		one.ExpiresAt == nil || one.ExpiresAt.Sub(one.CreatedAt).Round(1e9).Hours() != 7*24 || one.SeenAt != nil ||
		one.Expired || one.Title != "one" {
		t.Errorf("the link is %+v", one)
	}
	link.Name = "for father"
	if _, err := s.MakeShare(ctx, "key", 1, link, secret("x"), 10); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same key for another link: %v", err)
	}
	if _, err := s.EndShare(ctx, "end", 2, one.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's link is revoked: %v", err)
	}
	if got := seen(t, s, "0"); got != "|0<1>0|1" {
		t.Errorf("the link shows %q", got)
	}
	for range 2 { // and asked for again
		if _, err := s.EndShare(ctx, "end-it", 1, one.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.EndShare(ctx, "end-twice", 1, one.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if got := seen(t, s, "0"); got != "none||" {
		t.Errorf("a revoked link shows %q", got)
	}
	for i := range 12 {
		link := store.NewShare{Photo: 1}
		if i%2 == 1 {
			link = store.NewShare{Album: 1}
		}
		if err := share(t, s, fmt.Sprint("many", i), 1, link); (i < 10) != (err == nil) || i >= 10 &&
			!errors.Is(err, store.ErrTooMany) {
			t.Errorf("link %d: %v", i, err)
		}
	}
	for _, c := range []struct{ photo, album, want int64 }{{0, 0, 10}, {1, 0, 5}, {0, 1, 5}, {3, 0, 0}} {
		if l, err := s.OwnShares(ctx, 1, c.photo, c.album, 0); err != nil || int64(len(l.Shares)) != c.want {
			t.Errorf("photo %d, album %d: %d links, %v", c.photo, c.album, len(l.Shares), err)
		}
		if l, err := s.OwnShares(ctx, 2, c.photo, c.album, 0); err != nil || len(l.Shares) != 0 {
			t.Errorf("photo %d, album %d: another sees %d links, %v", c.photo, c.album, len(l.Shares), err)
		}
	}
}

// TestShareSeen: the use of a link is noted at most once an hour.
func TestShareSeen(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	if err := share(t, s, "link", 1, store.NewShare{Photo: 1}); err != nil {
		t.Fatal(err)
	}
	look := func(unseen bool) int64 {
		t.Helper()
		link, err := s.Share(t.Context(), shareHash("link"))
		if err != nil || link.Unseen != unseen {
			t.Errorf("unseen is %v, want %v: %v", link.Unseen, unseen, err)
		}
		if err := s.ShareSeen(t.Context(), link.ID); err != nil {
			t.Fatal(err)
		}
		return one[int64](t, pool, "SELECT (extract(epoch FROM seen_at) * 1e6)::bigint FROM shares")
	}
	first := look(true)
	if look(false) != first {
		t.Error("the use of a link is noted twice in an hour")
	}
	exec(t, pool, "UPDATE shares SET seen_at = seen_at - interval '61 minutes'")
	if look(true) <= first {
		t.Error("the use of a link is not noted after an hour")
	}
}
