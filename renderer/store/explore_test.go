package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

func TestExplore(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	// ansel's photos are liked as a rule, vivian's are not. One of vivian's with 30 likes is the more remarkable one.
	photos := func(first, n, owner, faves int, at string) string {
		return fmt.Sprintf(`INSERT INTO photos (id, user_id, image_id, width, height, color, title, faves, posted_at)
			SELECT g, %d, '%s', 40, 30, 255, 'Photo ' || g, %d, '%s' FROM generate_series(%d, %d) g`, owner, imageID(1),
			faves, at, first, first+n-1)
	}
	exec(t, pool,
		photos(1, 1, 1, 0, "2025-11-01 23:59:59Z"),
		photos(2, 12, 2, 1, "2025-11-03 00:00:00Z"),
		photos(20, 12, 1, 40, "2025-11-03 12:00:00Z"),
		photos(40, 1, 2, 30, "2025-11-03 23:59:59Z"),
		photos(50, 1, 1, 0, "2025-11-05 00:00:00Z"),
	)
	page, err := s.Explore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(page.Photos); !slices.Equal(got, []int64{40, 31, 30, 13}) { // at most two of anybody
		t.Errorf("of late: %v", got)
	}
	if got := datesOf(page.Days); got != "2025-11-05 2025-11-03 2025-11-01" || !page.Earlier.IsZero() ||
		!page.Later.IsZero() {
		t.Errorf("days %s", got)
	}
	if len(page.Depends) != 3 || version(page.Depends, "user.ansel") < 0 || version(page.Depends, "user.vivian") < 0 {
		t.Errorf("depends on %v", page.Depends)
	}
	for _, c := range []struct {
		day, earlier, later string
		photos              []int64
	}{
		{"2025-11-03", "2025-11-01", "2025-11-05", []int64{40, 31, 30, 13}},
		{"2025-11-01", "", "2025-11-03", []int64{1}},
		{"2025-11-02", "2025-11-01", "2025-11-03", []int64{}},
		{"2025-11-05", "2025-11-03", "", []int64{50}},
		{"2030-01-01", "2025-11-05", "", []int64{}},
		{"0001-01-01", "", "2025-11-01", []int64{}},
		{"9999-12-31", "2025-11-05", "", []int64{}},
	} {
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.ExploreDay(ctx, day)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids(page.Photos), c.photos) || datesOf([]time.Time{page.Earlier}) != c.earlier ||
			datesOf([]time.Time{page.Later}) != c.later {
			t.Errorf("%s: %v, %v before, %v after", c.day, ids(page.Photos), page.Earlier, page.Later)
		}
	}
}

func datesOf(days []time.Time) (all string) {
	for _, d := range days {
		if !d.IsZero() {
			all += " " + d.Format(time.DateOnly)
		}
	}
	if all != "" {
		all = all[1:]
	}
	return all
}

func TestTags(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "a"), photoSQL("1", "b"), "UPDATE photos SET private = true WHERE id = 2",
		"INSERT INTO tags (name) VALUES ('sea'), ('secret'), ('sky')",
		"INSERT INTO photo_tags VALUES (1, 1), (2, 1), (2, 2)")
	tags := func() []store.TagCount {
		for {
			if n, err := s.CountTags(t.Context()); err != nil {
				t.Fatal(err)
			} else if n == 0 {
				break
			}
		}
		page, err := s.Tags(t.Context())
		if err != nil || len(page.Depends) != 1 {
			t.Fatal(page, err)
		}
		return page.Tags
	}
	if got := tags(); !slices.Equal(got, []store.TagCount{{Name: "sea", Photos: 1}}) {
		t.Errorf("tags %v", got)
	}
	exec(t, pool, "UPDATE photos SET private = NOT private")
	if got := tags(); len(got) != 2 {
		t.Errorf("tags %v", got)
	}
	exec(t, pool, "DELETE FROM photos")
	if got := tags(); len(got) != 0 {
		t.Errorf("tags of no photo: %v", got)
	}
}

func TestSitemap(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	ctx := t.Context()
	exec(t, pool,
		"INSERT INTO photos (id, user_id, image_id, width, height, color, private) SELECT g, 1, '"+imageID(1)+
			"', 40, 30, 255, g BETWEEN 5001 AND 15000 FROM generate_series(4999, 15002) g",
		"INSERT INTO albums (id, user_id, title) VALUES (3, 1, 'Empty'), (4, 1, 'Full'), (5001, 1, 'Empty')",
		"INSERT INTO album_photos VALUES (4, 4999, 1, 1)")
	index, err := s.SitemapIndex(ctx)
	if err != nil || len(index.Photos) != 2 || index.Photos[0].N != 4 || index.Photos[1].N != 1 ||
		index.Photos[0].Changed.IsZero() {
		t.Errorf("photos %v, %v", index.Photos, err)
	}
	if len(index.Users) != 1 || index.Users[0].N != 1 || len(index.Albums) != 1 || index.Albums[0].N != 1 ||
		len(index.Depends) != 1 {
		t.Errorf("%+v", index)
	}
	for _, c := range []struct {
		read func() (store.SitemapPart, error)
		want string
	}{
		{func() (store.SitemapPart, error) { return s.SitemapPhotos(ctx, 1) }, "5000 4999"},
		{func() (store.SitemapPart, error) { return s.SitemapPhotos(ctx, 2) }, ""},
		{func() (store.SitemapPart, error) { return s.SitemapPhotos(ctx, 4) }, "15002 15001"},
		{func() (store.SitemapPart, error) { return s.SitemapPhotos(ctx, 1<<62) }, ""},
		{func() (store.SitemapPart, error) { return s.SitemapUsers(ctx, 1) }, "1 ansel"},
		{func() (store.SitemapPart, error) { return s.SitemapAlbums(ctx, 1) }, "4"},
		{func() (store.SitemapPart, error) { return s.SitemapAlbums(ctx, 2) }, ""},
	} {
		part, err := c.read()
		got := ""
		for _, r := range part.Rows {
			if got += fmt.Sprint(" ", r.ID); r.Name != "" {
				got += " " + r.Name
			}
			if r.PhotoID != 0 && (r.PhotoID != r.ID || r.Width != 40) {
				t.Errorf("photo %d has the picture %+v", r.ID, r.Picture)
			}
		}
		if got != "" {
			got = got[1:]
		}
		if err != nil || got != c.want || len(part.Depends) != 1 || part.ReadAt.IsZero() {
			t.Errorf("%q, want %q; %v", got, c.want, err)
		}
	}
}

// Feeds of each kind have what their listings have, newest first.
func TestFeeds(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 60, 4000)
	ctx := t.Context()
	for what, c := range map[string]struct {
		read func() (store.FeedPage, error)
		want string
	}{
		"home": {func() (store.FeedPage, error) { return s.HomeFeed(ctx) },
			"SELECT id FROM photos WHERE NOT private ORDER BY id DESC LIMIT 30"},
		"tag": {func() (store.FeedPage, error) { return s.TagFeed(ctx, word(0)+" 0") },
			"SELECT id FROM photos JOIN photo_tags ON photo_id = id WHERE NOT private AND tag_id = 1 " +
				"ORDER BY id DESC LIMIT 30"},
		"user": {func() (store.FeedPage, error) { return s.Feed(ctx, "u1") },
			"SELECT id FROM photos WHERE NOT private AND user_id = 1 ORDER BY id DESC LIMIT 30"},
		"album": {func() (store.FeedPage, error) { return s.AlbumFeed(ctx, 1) }, `SELECT id FROM (
			SELECT id FROM photos JOIN album_photos ON photo_id = id WHERE NOT private AND album_id = 1
				ORDER BY position DESC LIMIT 30) AS p ORDER BY id DESC`},
	} {
		page, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range page.Entries {
			got = append(got, e.ID)
			if e.Name == "" || e.PostedAt.IsZero() || version(page.Depends, "user."+e.Name) < 0 {
				t.Errorf("%s: %+v", what, e)
			}
		}
		if want := one[[]int64](t, pool, "SELECT array_agg(id) FROM ("+c.want+") AS p"); !slices.Equal(got, want) ||
			len(want) == 0 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if page, err := s.TagFeed(ctx, "nothing"); err != nil || len(page.Entries) != 0 || len(page.Depends) != 1 {
		t.Errorf("a tag nobody uses: %+v %v", page, err)
	}
}

// Leafing through a user's albums shows each once.
func TestWalkAlbums(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "a"),
		"INSERT INTO albums (id, user_id, title) SELECT g, 1, 'A' FROM generate_series(1, 130) g",
		"INSERT INTO album_photos SELECT id, 1, 1, 1 FROM albums WHERE id % 10 <> 0")
	want := one[[]int64](t, pool, "SELECT array_agg(id ORDER BY id DESC) FROM albums WHERE id % 10 <> 0")
	var got []int64
	var last store.AlbumsPage
	for before := int64(0); ; {
		page, err := s.Albums(t.Context(), "ansel", before, 0)
		if err != nil {
			t.Fatal(err)
		}
		if (before == 0) != (page.Newer == 0) {
			t.Errorf("before %d the newer page is %d", before, page.Newer)
		}
		for _, c := range page.Covers {
			got = append(got, c.ID)
			if c.PhotoID != 1 || c.Generation <= 0 || c.PhotoCount != 1 || c.Title != "A" {
				t.Errorf("%+v", c)
			}
		}
		if last, before = page, page.Older; before == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("older and older: %v", got)
	}
	back, err := s.Albums(t.Context(), "ansel", 0, last.Newer)
	if err != nil || len(back.Covers) != store.PageSize || back.Older != last.Newer+1 &&
		back.Covers[47].ID <= last.Newer {
		t.Errorf("newer: %d from %d, %v", len(back.Covers), last.Newer, err)
	}
}
