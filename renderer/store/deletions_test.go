package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// shownOfAnsel counts what pages show of ansel and of photos 1 to 4, by page.
func shownOfAnsel(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	ctx := t.Context()
	n := map[string]int{}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(page string, cards []store.Card) {
		for _, c := range cards {
			if c.Name == "ansel" || c.ID <= 4 {
				n[page]++
			}
		}
	}
	users, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}})
	check(err)
	if users[0].User != nil {
		n["user"]++
	}
	photos, err := s.Photos(ctx, []int64{1, 2, 3, 4})
	check(err)
	for _, p := range photos {
		if p.Photo != nil {
			n["photo"]++
		}
	}
	album, err := s.Album(ctx, 1, 0, 0)
	check(err)
	if album.Album != nil {
		n["album"]++
	}
	albums, err := s.Albums(ctx, "ansel", 0, 0)
	check(err)
	n["albums"] = len(albums.Covers)
	home, err := s.Home(ctx, 0, 0)
	check(err)
	count("home", home.Photos)
	tag, err := s.Tag(ctx, "sea", 0, 0)
	check(err)
	count("tag", tag.Photos)
	for name, read := range map[string]func() (store.FeedPage, error){
		"feed":       func() (store.FeedPage, error) { return s.Feed(ctx, "ansel") },
		"home feed":  func() (store.FeedPage, error) { return s.HomeFeed(ctx) },
		"tag feed":   func() (store.FeedPage, error) { return s.TagFeed(ctx, "sea") },
		"album feed": func() (store.FeedPage, error) { return s.AlbumFeed(ctx, 1) },
	} {
		feed, err := read()
		check(err)
		for _, e := range feed.Entries {
			if e.Name == "ansel" {
				n[name]++
			}
		}
	}
	for name, read := range map[string]func(context.Context, int64) (store.SitemapPart, error){
		"sitemap of photos": s.SitemapPhotos, "sitemap of users": s.SitemapUsers, "sitemap of albums": s.SitemapAlbums,
	} {
		part, err := read(ctx, 1)
		check(err)
		for _, row := range part.Rows {
			if row.Name == "ansel" || row.ID <= 4 && name != "sitemap of users" {
				n[name]++
			}
		}
	}
	found, err := searchFor(ctx, s, "ansel", 0)
	check(err)
	count("search", found.Photos)
	n["people"] = len(found.People)
	return n
}

// TestDeleteAccount: from the action on no page shows anything of the person, though the rows go in steps, which other
// processes go on with.
func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, pool := open(t)
	album(t, pool)
	exec(t, pool, "INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')",
		"INSERT INTO recovery_codes VALUES (1, sha256('a'))")
	index(t, s)
	before := shownOfAnsel(t, s)
	for page, n := range before {
		if n == 0 {
			t.Errorf("before: the page %s shows nothing", page)
		}
	}
	receipt := []byte(strings.Repeat("r", 32))
	other := strings.Replace(passwordHash, "aGFz", "AAAA", 1)
	if _, err := s.DeleteAccount(ctx, "key", 1, other, receipt, 2); !errors.Is(err, store.ErrChanged) {
		t.Errorf("with another password: %v", err)
	}
	changes, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 2)
	if err != nil || len(changes) != 1 || changes[0].Scope != "user.ansel" || !changes[0].Gone {
		t.Fatalf("%+v, %v", changes, err)
	}
	again, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 2)
	if err != nil || len(again) != 1 || again[0] != changes[0] {
		t.Errorf("again: %+v, %v", again, err)
	}
	hidden := func() {
		t.Helper()
		for page, n := range shownOfAnsel(t, s) {
			if n != 0 {
				t.Errorf("the page %s shows %d", page, n)
			}
		}
	}
	hidden()
	if users, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}}); err != nil ||
		version(users[0].Depends, "user.ansel") != changes[0].Version {
		t.Errorf("the page that says so has another version than the action: %v, %v", users, err)
	}
	if _, err := s.SignUp(ctx, "new", "ansel", passwordHash, nil); !errors.Is(err, store.ErrTaken) {
		t.Errorf("the name while rows are left: %v", err)
	}
	files := map[string]int{}
	remove := func(_ context.Context, id string) error { files[id]++; return nil }
	if n, err := s.RemoveUnused(ctx, remove); n != 0 || err != nil {
		t.Errorf("files go before rows: %d, %v", n, err)
	}
	exec(t, pool, photoSQL("2", "of the same file"))
	for steps := 0; ; steps++ {
		cut, cancel := context.WithCancel(ctx)
		if steps%2 == 1 {
			cancel() // whoever does it is killed
		}
		more, err := s.DeleteRows(cut)
		cancel()
		hidden()
		if err == nil && !more || steps > 20 {
			break
		}
	}
	if n, err := s.RemoveUnused(ctx, remove); err != nil || n == 0 || len(files) != 0 {
		t.Errorf("an original that somebody else shows: %d, %v, removed %v", n, err, files)
	}
	var revoked []store.Revocation
	failing := errors.New("no bucket")
	broken := func(context.Context, store.Revocation) error { return failing }
	if err := s.Revoke(ctx, broken); !errors.Is(err, failing) {
		t.Errorf("a failed revocation: %v", err)
	}
	if err := s.Revoke(ctx, func(_ context.Context, r store.Revocation) error {
		revoked = append(revoked, r)
		return nil
	}); err != nil || len(revoked) != 1 || revoked[0].User != 1 {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if err := s.EdgesLearned(ctx, 1, map[string]time.Time{"edge.a.1": time.UnixMicro(5)}); err != nil {
		t.Error(err)
	}
	if err := s.EdgesLearned(ctx, 1, map[string]time.Time{"edge.a.1": time.UnixMicro(9)}); err != nil {
		t.Error(err)
	}
	d, err := s.DeletionOf(ctx, receipt)
	if err != nil {
		t.Fatal(err)
	}
	want := store.Holdings{Photos: 4, Albums: 1, Tags: 1, Codes: 1, Files: 1}
	if d.Had != want || d.Sessions != 2 || d.FilesKept != 1 || d.FilesRemoved != 0 || d.PhotosLeft != 0 ||
		d.RowsGoneAt.IsZero() || d.RevokedAt.IsZero() || len(d.PhotoIDs) != 4 || len(d.AlbumIDs) != 1 ||
		!d.Edges["edge.a.1"].Equal(time.UnixMicro(5)) {
		t.Errorf("%+v", d)
	}
	exec(t, pool, "DELETE FROM photos WHERE user_id = 2")
	if n, err := s.RemoveUnused(ctx, remove); err != nil || n != 1 || files[imageID(1)] != 1 {
		t.Errorf("the last photo of an original: %d, %v, removed %v", n, err, files)
	}
	if _, err := s.SignUp(ctx, "new", "ansel", passwordHash, nil); !errors.Is(err, store.ErrTaken) {
		t.Errorf("the name: %v", err)
	}
	exec(t, pool, "UPDATE kept_names SET kept_until = now() - interval '1 s'",
		"UPDATE deletions SET rows_gone_at = now() - interval '40 days'")
	if err := s.ForgetDeletions(ctx, 30*24*time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := s.DeletionOf(ctx, receipt); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an old receipt: %v", err)
	}
	if _, err := s.SignUp(ctx, "newer", "ansel", passwordHash, nil); err != nil {
		t.Errorf("the name after its time: %v", err)
	}
}
