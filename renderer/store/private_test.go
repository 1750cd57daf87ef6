package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// Titles of private photos contain "hushhush" in the data set: it must be in no answer of any kind.
func TestPrivatePhotosAreNowhere(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 60, 4000)
	ctx := t.Context()
	// a private photo first in each album, so as a candidate for its cover
	exec(t, pool, "UPDATE album_photos SET position = position + 1000000",
		`INSERT INTO album_photos SELECT DISTINCT ON (a.id) a.id, p.id, p.user_id, 1 FROM albums a
			JOIN photos p ON p.user_id = a.user_id AND p.private
			WHERE NOT EXISTS (SELECT FROM album_photos m WHERE m.album_id = a.id AND m.photo_id = p.id) ORDER BY a.id,
				p.id`,
		"UPDATE photos SET faves = 100000 WHERE private",
		"INSERT INTO tags (id, name) VALUES (90001, 'concealed')",
		"INSERT INTO photo_tags SELECT id, 90001 FROM photos WHERE private")
	for one[int](t, pool, "SELECT count_tags(10000)::integer") > 0 {
	}
	seen := 0
	look := func(what string, answer any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		seen++
		if text := fmt.Sprintf("%+v", answer); strings.Contains(text, "hushhush") {
			t.Errorf("%s shows a private photo: %s", what, text)
		}
	}
	for name := range 60 {
		name := fmt.Sprint("u", name+1)
		pages, err := s.Users(ctx, []store.UserQuery{{Name: name}, {Name: name, Before: 2000},
			{Name: name, After: 2000}})
		look("user", pages, err)
		feed, err := s.Feed(ctx, name)
		look("feed", feed, err)
	}
	for at := int64(1); at < 4000; at += 48 {
		home, err := s.Home(ctx, at, 0)
		look("home", home, err)
		home, err = s.Home(ctx, 0, at)
		look("home", home, err)
		tag, err := s.Tag(ctx, word(0)+" 0", at, 0)
		look("tag", tag, err)
		tag, err = s.Tag(ctx, word(0)+" 0", 0, at)
		look("tag", tag, err)
	}
	home, err := s.Home(ctx, 0, 0)
	look("home", home, err)
	for album := int64(1); album <= 9; album++ {
		page, err := s.Album(ctx, album, 0, 0)
		look("album", page, err)
		page, err = s.Album(ctx, album, 0, 1<<30)
		look("album", page, err)
	}
	for _, query := range []string{"hushhush", "sunset", "hushhus", "ushhush"} {
		page, err := searchFor(ctx, s, query, 0)
		look("search "+query, page, err)
	}
	explored, err := s.Explore(ctx)
	look("explore", explored, err)
	for day := time.Date(2014, 12, 31, 0, 0, 0, 0, time.UTC); day.Year() < 2015 ||
		day.Month() == time.January; day = day.AddDate(0, 0, 1) {
		page, err := s.ExploreDay(ctx, day)
		look("day", page, err)
	}
	tags, err := s.Tags(ctx)
	look("tags", tags, err)
	if text := fmt.Sprint(tags); strings.Contains(text, "concealed") || !strings.Contains(text, word(0)+" 0") {
		t.Errorf("tags: %s", text)
	}
	homeFeed, err := s.HomeFeed(ctx)
	look("feed of home", homeFeed, err)
	tagFeed, err := s.TagFeed(ctx, word(0)+" 0")
	look("feed of a tag", tagFeed, err)
	for album := int64(1); album <= 9; album++ {
		page, err := s.AlbumFeed(ctx, album)
		look("feed of an album", page, err)
	}
	hidden := one[[]int64](t, pool, "SELECT array_agg(id) FROM photos WHERE private")
	for n := range int64(3) {
		part, err := s.SitemapPhotos(ctx, n+1)
		look("sitemap", part, err)
		for _, r := range part.Rows {
			if slices.Contains(hidden, r.ID) {
				t.Errorf("the sitemap has the private photo %d", r.ID)
			}
		}
	}
	for _, id := range hidden {
		page, err := onePhoto(ctx, s, id)
		look("photo", page, err)
		if page.Photo != nil {
			t.Errorf("private photo %d was found", id)
		}
	}
	for id := int64(1); id < 400; id++ { // its neighbours may be private
		page, err := onePhoto(ctx, s, id)
		look("photo", page, err)
	}
	if seen < 500 {
		t.Errorf("only %d answers were looked at", seen)
	}
}
