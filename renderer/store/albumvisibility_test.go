package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/store"
)

// showAlbum says who sees album 1, which is ansel's.
func showAlbum(private, unlisted bool) action {
	return func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		return s.ShowOwnAlbum(ctx, key, 1, 1, private, unlisted, secret(key))
	}
}

// albumSeen lists where everybody finds album 1, and the links by which it is seen.
func albumSeen(t *testing.T, s *store.Store, pool *pgxpool.Pool) string {
	t.Helper()
	ctx := t.Context()
	var places []string
	found := func(place string, is bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", place, err)
		}
		if is {
			places = append(places, place)
		}
	}
	page, err := s.Album(ctx, 1, 0, 0)
	found("page", page.Album != nil, err)
	feed, err := s.AlbumFeed(ctx, 1)
	found("feed", feed.Album != nil, err)
	albums, err := s.Albums(ctx, "ansel", 0, 0)
	found("albums", len(albums.Covers) > 0, err)
	users, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}})
	found("user", err == nil && len(users[0].Covers) > 0, err)
	photos, err := s.Photos(ctx, []int64{1})
	found("photo", err == nil && len(photos[0].Photo.Albums) > 0, err)
	index, err := s.SitemapIndex(ctx)
	found("sitemap", len(index.Albums) > 0, err)
	part, err := s.SitemapAlbums(ctx, 1)
	found("sitemap part", len(part.Rows) > 0, err)
	buildSearch(t, s)
	search, err := searchFor(ctx, s, "Yosemite", 0)
	found("search", len(search.Photos) > 0, err)
	for _, key := range []string{"a", "b", "c"} {
		l, err := s.SharedAlbum(ctx, shareHash(key), 0, 0)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		found("link "+key, len(l.Photos) > 0, err)
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM photos WHERE NOT private AND user_id = 1"); n != 2 {
		t.Errorf("%d photos are public", n)
	}
	return strings.Join(places, ", ")
}

// TestShowOwnAlbum: an album that its owner hides is found nowhere, except by its link if it is unlisted, and is told
// to be gone; its photos stay as they are. Shown again it is everywhere.
func TestShowOwnAlbum(t *testing.T) {
	t.Parallel()
	const everywhere = "page, feed, albums, user, photo, sitemap, sitemap part, search"
	end := func(ctx context.Context, s *store.Store, key string) ([]store.Change, error) {
		l, err := s.OwnShares(ctx, 1, 0, 1, 0)
		if err != nil || len(l.Shares) != 1 || !l.Shares[0].Unlisted {
			return nil, fmt.Errorf("the links of the album: %+v, %w", l, err)
		}
		return s.EndShare(ctx, key, 1, l.Shares[0].ID)
	}
	for _, c := range []struct {
		what       string
		do         []action // under the keys a, b, c
		want, told string
	}{
		{"public", []action{showAlbum(false, false)}, everywhere, "user.ansel"},
		{"private", []action{showAlbum(true, false)}, "", "user.ansel! album.1!"},
		{"unlisted", []action{showAlbum(true, true)}, "link a", "user.ansel! album.1!"},
		{"unlisted twice", []action{showAlbum(true, true), showAlbum(true, true)}, "link a", "user.ansel"},
		{"unlisted, then private", []action{showAlbum(true, true), showAlbum(true, false)}, "", "user.ansel"},
		{"unlisted, then public", []action{showAlbum(true, true), showAlbum(false, false)}, everywhere,
			"user.ansel album.1"},
		{"public and private again", []action{showAlbum(true, true), showAlbum(false, false), showAlbum(true, false)},
			"", "user.ansel! album.1!"},
		{"revoked", []action{showAlbum(true, true), end}, "", "user.ansel"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, pool := shareAlbum(t)
			var changes []store.Change
			for i, do := range c.do {
				exec(t, pool, "DELETE FROM outbox")
				var err error
				if changes, err = do(t.Context(), s, string(rune('a'+i))); err != nil {
					t.Fatal(err)
				}
			}
			var told []string
			for _, one := range changes {
				told = append(told, one.Scope+map[bool]string{true: "!"}[one.Gone])
			}
			for scope, version := range newest(t, pool) { // everybody hears what the writer does
				if !strings.Contains(fmt.Sprint(changes), fmt.Sprint("{", scope, " ", version)) {
					t.Errorf("everybody hears of %s %d, the writer of %v", scope, version, changes)
				}
			}
			if got := albumSeen(t, s, pool); got != c.want || strings.Join(told, " ") != c.told {
				t.Errorf("seen at %q, told %q, want %q and %q", got, told, c.want, c.told)
			}
		})
	}
}

// TestShowAlbumOfOthers: nobody says who sees another's album, and nothing that happens in a private one is told.
func TestShowAlbumOfOthers(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	ctx := t.Context()
	for _, c := range []struct{ user, album int64 }{{2, 1}, {1, 99}} {
		if _, err := s.ShowOwnAlbum(ctx, fmt.Sprint(c), c.user, c.album, true, true, secret("x")); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("user %d and album %d: %v", c.user, c.album, err)
		}
	}
	exec(t, pool, "UPDATE albums SET private = true", "DELETE FROM outbox", "UPDATE albums SET title = 'Secret'",
		"INSERT INTO albums (user_id, title, private) VALUES (1, 'Hidden', true)", "DELETE FROM albums WHERE id = 2")
	if told := newest(t, pool); len(told) != 0 {
		t.Errorf("everybody hears of %v", told)
	}
	exec(t, pool, "INSERT INTO albums (user_id, title, parent) VALUES (1, 'Inside', 1)",
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) SELECT id, 1, 1, 1 FROM albums WHERE id > 2")
	inside, err := s.Album(ctx, one[int64](t, pool, "SELECT max(id) FROM albums"), 0, 0)
	if err != nil || inside.Album == nil || inside.Parent != nil {
		t.Errorf("an album in a private one: %+v, %v", inside.Parent, err)
	}
	exec(t, pool, "UPDATE albums SET private = NOT private")
	outer, err := s.Album(ctx, 1, 0, 0)
	if err != nil || outer.Album == nil || len(outer.Inside) != 0 || outer.Cover.ID != 1 {
		t.Errorf("a private album in another: %+v, %v", outer.Inside, err)
	}
	own, err := s.OwnAlbum(ctx, 1, 1, 0, 0)
	if err != nil || own.Private || len(own.Inside) != 1 || own.Link != nil {
		t.Errorf("its owner sees %+v: %v", own, err)
	}
}

// TestAlbumOfPrivatePhotos: an album that is made for private photos is private, so that nobody reads its title; one
// that is made for others is not, nor one that was there.
func TestAlbumOfPrivatePhotos(t *testing.T) {
	t.Parallel()
	s, pool := shareAlbum(t)
	exec(t, pool, "UPDATE photos SET private = true WHERE id = 1")
	add := func(key, label string, ids ...int64) bool {
		t.Helper()
		if _, err := s.AddToOwnAlbum(t.Context(), key, 1, label, ids); err != nil {
			t.Fatal(err)
		}
		return one[bool](t, pool, "SELECT private FROM albums WHERE title = '"+label+"'")
	}
	if !add("k1", "Secrets", 1) {
		t.Error("everybody reads the title of an album of private photos")
	}
	if add("k2", "Both", 1, 2) || add("k3", "Yosemite", 1) {
		t.Error("an album with a public photo, or one that was there, is private")
	}
}
