package store_test

import (
	"testing"

	"flickrkillr/renderer/store"
)

// An answer "not found" depends on what it did not find, with a version that what comes or came there exceeds or had.
func TestAbsent(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	user := func(name string) (bool, store.Depends) {
		pages, err := s.Users(ctx, []store.UserQuery{{Name: "vivian"}, {Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return pages[1].User != nil, pages[1].Depends
	}
	feed := func(name string) (bool, store.Depends) {
		page, err := s.Feed(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return page.User != nil, page.Depends
	}
	photo := func(string) (bool, store.Depends) {
		page, err := onePhoto(ctx, s, 1)
		if err != nil {
			t.Fatal(err)
		}
		return page.Photo != nil, page.Depends
	}
	album := func(string) (bool, store.Depends) {
		page, err := s.Album(ctx, 1, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return page.Album != nil, page.Depends
	}
	albums := func(name string) (bool, store.Depends) {
		page, err := s.Albums(ctx, name, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return page.User != nil, page.Depends
	}
	albumFeed := func(string) (bool, store.Depends) {
		page, err := s.AlbumFeed(ctx, 2)
		if err != nil {
			t.Fatal(err)
		}
		return page.Album != nil, page.Depends
	}
	for _, c := range []struct {
		scope      string
		read       func(string) (bool, store.Depends)
		come, goes string
	}{
		{"user.diane", user, "INSERT INTO users (id, name, display_name) VALUES (9, 'diane', 'D')",
			"DELETE FROM users WHERE id = 9"},
		{"user.diane", feed, "INSERT INTO users (id, name, display_name) VALUES (9, 'diane', 'D')",
			"UPDATE users SET name = 'arbus' WHERE id = 9"},
		{"photo.1", photo, photoSQL("1", "first"), "UPDATE photos SET private = true"},
		{"photo.1", photo, "UPDATE photos SET private = false", "DELETE FROM photos"},
		{"album.1", album, "INSERT INTO albums (user_id, title) VALUES (1, 'A')", "DELETE FROM albums"},
		{"album.2", albumFeed, "INSERT INTO albums (user_id, title) VALUES (1, 'B')", "DELETE FROM albums"},
		{"user.diane", albums, "INSERT INTO users (id, name, display_name) VALUES (10, 'diane', 'D')",
			"DELETE FROM users WHERE id = 10"},
	} {
		exec(t, pool, "DELETE FROM outbox")
		check := func(when string, wantFound bool) int64 {
			found, depends := c.read("diane")
			if found != wantFound || len(depends) != 2 || depends[0].Scope != "all" {
				t.Fatalf("%s %s: found %t, depends on %v", c.scope, when, found, depends)
			}
			return version(depends, c.scope)
		}
		announced := func() int64 {
			return one[int64](t, pool, "SELECT max(version) FROM outbox WHERE scope = $1",
				c.scope)
		}
		before := check("before", false)
		exec(t, pool, c.come)
		if announced() <= before {
			t.Errorf("%s: came with version %d, its absence had %d", c.scope, announced(), before)
		}
		check("while it is there", true)
		exec(t, pool, c.goes)
		if after := check("after", false); after != announced() {
			t.Errorf("%s: its absence has version %d, announced was %d", c.scope, after, announced())
		}
		all := one[int64](t, pool, "SELECT announce_all()")
		if after := check("after a load", false); after != all {
			t.Errorf("%s: after a load its absence has version %d, want that of all, %d", c.scope, after, all)
		}
	}
}

func TestEmptyPages(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	home, err := s.Home(ctx, 0, 0)
	if err != nil || len(home.Photos)+len(home.Popular) != 0 || len(home.Depends) != 1 || home.ReadAt.IsZero() {
		t.Errorf("home: %+v %v", home, err)
	}
	tag, err := s.Tag(ctx, "sea", 0, 0)
	if err != nil || tag.Found || len(tag.Depends) != 1 {
		t.Errorf("tag: %+v %v", tag, err)
	}
	for _, query := range []string{"", "sea", "-sea", "'", `"`, "%", "a & | ! b", "\\", "<->", "((", "海"} {
		found, err := searchFor(ctx, s, query, 0)
		if err != nil || len(found.Photos) != 0 || len(found.Depends) == 0 {
			t.Errorf("search %q: %+v %v", query, found, err)
		}
	}
	pages, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}})
	if err != nil || pages[0].User == nil || pages[0].User.DisplayName != "Ansel Adams" ||
		len(pages[0].Photos)+len(pages[0].Covers) != 0 {
		t.Errorf("user: %+v %v", pages, err)
	}
	none, err := s.Users(ctx, nil)
	if err != nil || len(none) != 0 {
		t.Errorf("no question: %v %v", none, err)
	}
}
