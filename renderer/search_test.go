package renderer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/schema/page"
)

// What is changed in psql is found by its new words and no longer by its old ones, and what is hidden by none,
// whichever table it is in.
func TestSearchFollowsChanges(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for _, c := range []struct {
		sql, found, lost string
	}{
		{"UPDATE photos SET title = 'Heron' WHERE id = 42", "heron", "moonrise 42"},
		{"UPDATE photos SET description = 'A kestrel' WHERE id = 42", "kestrel", "road 42 heron"},
		{"UPDATE photos SET camera = 'Linhof Technika' WHERE id = 42", "camera:linhof", "camera:graflex heron"},
		{"INSERT INTO photo_tags VALUES (42, 2)", "tag:unused", ""},
		{"DELETE FROM photo_tags WHERE photo_id = 42 AND tag_id = 2", "heron", "tag:unused"},
		{"UPDATE albums SET title = 'Sierra' WHERE id = 1", "sierra heron", "yosemite heron"},
		{"DELETE FROM album_photos WHERE photo_id = 42", "heron", "sierra heron"},
		{"UPDATE users SET display_name = 'Galen' WHERE id = 1", "galen heron", "adams heron"},
		{"UPDATE users SET name = 'galen' WHERE id = 1", "by:galen heron", "by:ansel heron"},
		{"UPDATE photos SET private = true WHERE id = 42", "", "heron"},
		{"UPDATE photos SET private = false WHERE id = 42", "heron", ""},
		{"DELETE FROM photos WHERE id = 42", "", "heron"},
	} {
		if _, err := st.pool.Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if c.found != "" && !st.finds(t, c.found, 42) {
				return fmt.Errorf("%s: %q does not find it", c.sql, c.found)
			}
			if c.lost != "" && st.finds(t, c.lost, 42) {
				return fmt.Errorf("%s: %q finds it", c.sql, c.lost)
			}
			return nil
		})
	}
	eventually(t, 10*time.Second, func() error { // its words are forgotten too
		if n := count(t, st,
			"SELECT count(*) FROM search_words WHERE word IN ('heron', ':kestrel', '=linhof')"); n != 0 {
			return fmt.Errorf("%d words of a photo that is gone are known", n)
		}
		return nil
	})
}

// finds reports whether a search shows a photo.
func (st *site) finds(t testing.TB, query string, photo int64) bool {
	t.Helper()
	return strings.Contains(string(st.get(t, page.Search(query)).Body),
		fmt.Sprintf(`href="%s"`, page.Photo(photo).Path()))
}

func count(t testing.TB, st *site, sql string) (n int) {
	t.Helper()
	if err := st.pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The words of a private photo are in no count, no suggestion and no correction.
func TestSearchKeepsSecrets(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	if _, err := st.pool.Exec(t.Context(), `UPDATE photos SET title = 'Hushword' WHERE id = 50`); err != nil {
		t.Fatal(err)
	}
	if _, err := st.pool.Exec(t.Context(), `
		WITH tag AS (INSERT INTO tags (id, name) VALUES (9, 'hushtag') RETURNING id)
		INSERT INTO photo_tags SELECT 50, id FROM tag`); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if n := count(t, st, "SELECT count(*) FROM search_queue"); n != 0 {
			return fmt.Errorf("%d changes wait", n)
		}
		return nil
	})
	if n := count(t, st, "SELECT count(*) FROM search_words WHERE word LIKE '%hush%'"); n != 0 {
		t.Errorf("%d words of a private photo are known", n)
	}
	for _, query := range []string{"hushword", "hushwrd", "hushw", "hush", "tag:hushtag", "hushtag", "by:ansel"} {
		reply := st.get(t, page.Search(query))
		if shown := texts(t, reply, ".cap, .tags bdi, .intro p bdi"); slices.ContainsFunc(shown, func(s string) bool {
			return strings.Contains(strings.ToLower(s), "hush") && !strings.Contains(strings.ToLower(s), query)
		}) || st.finds(t, query, 50) {
			t.Errorf("%q shows %q", query, shown)
		}
	}
	if heading := texts(t, st.get(t, page.Search("by:ansel")), ".band h2"); !slices.Equal(heading,
		[]string{"99 photos"}) {
		t.Errorf("by:ansel: %q", heading)
	}
}

func TestSearchPageSays(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for _, c := range []struct {
		query, selector, want string
	}{
		{"...", "#problem", "There is nothing here to search for: use words, tags or names."},
		{"-moonrise", "#problem", "Add something to search for: everything in this search is left out."},
		{"moonrise year:soon", "#problem", "A year is written as year:2024, or as year:2019-2022."},
		{"monrise", ".intro p.quiet:not(.unseen)", "Showing results for moonrise. Search instead for monrise."},
		{"moonrise", ".band h2", "102 photos"},
		{"moonrise by:dorothea", ".band h2", "3 photos"},
		{"moonrise zzz", ".empty p:first-child", "Nothing was found for moonrise zzz."},
		{"dorothea", "#people + ul a", "Dorothea dorothea · 3 photos"},
		{"blue", "#tags + ul a", "blue hour 52"},
	} {
		if got := texts(t, st.get(t, page.Search(c.query)), c.selector); !slices.Contains(got, c.want) {
			t.Errorf("%q: %q, want %q", c.query, got, c.want)
		}
	}
	sorted := texts(t, st.get(t, page.Search("moonrise").Sorted(page.SortLiked)), ".grid li .cap > bdi")
	if len(sorted) != 48 || sorted[0] != "Moonrise 97" {
		t.Errorf("most liked: %q", sorted)
	}
}
