package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/store"
)

// archive gives ansel (1) photos of many years, some of them at the same time, and vivian (2) one. Of each, half were
// taken at a time that is known.
func archive(t testing.TB, pool *pgxpool.Pool, photos int) {
	t.Helper()
	people(t, pool)
	exec(t, pool, fmt.Sprintf(`
		INSERT INTO photos (user_id, image_id, width, height, color, title, description, private, taken_at, camera, lens)
		SELECT 1, '%s', 40, 30, 255, 'Lake number ' || g, CASE g %% 5 WHEN 0 THEN '100%% _Blue_ hour' ELSE '' END,
			g %% 7 = 0,
			CASE g %% 2 WHEN 0 THEN '1930-01-31 23:00Z'::timestamptz + (g * 7919 %% %[2]d / 3) * interval '8 hours' END,
			'Canon EOS R' || g %% 5, 'EF ' || g %% 3 || ' mm' FROM generate_series(1, %[2]d) g`, imageID(1), photos),
		"INSERT INTO tags (name) SELECT 'tag ' || g FROM generate_series(1, 50) g",
		"INSERT INTO photo_tags SELECT p.id, 1 + p.id % 50 FROM photos p WHERE p.id % 3 > 0",
		"INSERT INTO albums (user_id, title) VALUES (1, 'Lakes'), (1, 'Empty')",
		`INSERT INTO album_photos (album_id, photo_id, user_id, position)
			SELECT 1, id, 1, id FROM photos WHERE id % 11 = 0`,
		photoSQL("2", "Lake of vivian"),
		`UPDATE photos SET private = true, private_before = false, binned_at = now() WHERE id % 13 = 0 AND user_id = 1`,
		"ANALYZE")
}

// walkOwn reads all of a search, page by page, and returns the ids, the photo taken last first.
func walkOwn(t testing.TB, s *store.Store, search store.OwnSearch, newer bool) (ids []int64, pages int) {
	t.Helper()
	for at := (store.OwnPosition{}); ; {
		l, err := s.OwnPhotos(t.Context(), 1, search, at, newer)
		if err != nil || len(l.Photos) > store.OwnSize {
			t.Fatal(len(l.Photos), err)
		}
		var page []int64
		for _, p := range l.Photos {
			page = append(page, p.ID)
		}
		pages++
		if at = l.Older; newer {
			at, ids = l.Newer, append(page, ids...)
		} else {
			ids = append(ids, page...)
		}
		if at.IsZero() {
			return ids, pages
		}
	}
}

// TestOwnArchive: a person finds their own photos by what they have, each once, in the order in which they were taken,
// in both directions.
func TestOwnArchive(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	archive(t, pool, 12_000)
	yes, no := true, false
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const (
		tags = "(SELECT string_agg(g.name, ' ') FROM photo_tags t JOIN tags g ON g.id = t.tag_id " +
			"WHERE t.photo_id = p.id)"
		album = "EXISTS (SELECT FROM album_photos a WHERE a.photo_id = p.id AND a.album_id = 1)"
		dated = "coalesce(taken_at, posted_at)"
	)
	for name, c := range map[string]struct {
		search store.OwnSearch
		where  string
	}{
		"all":   {store.OwnSearch{}, "true"},
		"word":  {store.OwnSearch{Words: []string{"NUMBER 77"}}, "title LIKE '%number 77%'"},
		"words": {store.OwnSearch{Words: []string{"hour", "lake"}}, "description LIKE '%hour%'"},
		"tag's word": {store.OwnSearch{Words: []string{"tag 6", "blue"}},
			tags + " LIKE '%tag 6%' AND description <> ''"},
		"wildcards":   {store.OwnSearch{Words: []string{"0% _blue_"}}, "description <> ''"},
		"no wildcard": {store.OwnSearch{Words: []string{"l_ke"}}, "false"},
		"camera":      {store.OwnSearch{Camera: "eos r3"}, "camera = 'Canon EOS R3'"},
		"lens":        {store.OwnSearch{Lens: "2 MM"}, "lens = 'EF 2 mm'"},
		"tag":         {store.OwnSearch{Tag: "tag 7"}, tags + " = 'tag 7'"},
		"no such tag": {store.OwnSearch{Tag: "tag"}, "false"},
		"album":       {store.OwnSearch{Album: 1}, album},
		"empty album": {store.OwnSearch{Album: 2}, "false"},
		"untagged":    {store.OwnSearch{Untagged: true}, tags + " IS NULL"},
		"loose":       {store.OwnSearch{Loose: true}, "NOT " + album},
		"private":     {store.OwnSearch{Private: &yes}, "private"},
		"public":      {store.OwnSearch{Private: &no}, "NOT private"},
		"from":        {store.OwnSearch{From: day("1932-02-01")}, dated + " >= '1932-02-01Z'"},
		"until":       {store.OwnSearch{Until: day("1932-02-01")}, dated + " < '1932-02-01Z'"},
		"a month": {store.OwnSearch{From: day("1930-02-01"), Until: day("1930-03-01")},
			dated + " >= '1930-02-01Z' AND " + dated + " < '1930-03-01Z'"},
		"together": {store.OwnSearch{Words: []string{"lake"}, Camera: "r1", Lens: "ef 0", Album: 1, Untagged: true,
			Private: &no, From: day("1930-01-01")},
			"camera LIKE '%R1' AND lens LIKE 'EF 0%' AND " + album + " AND " + tags + " IS NULL AND NOT private"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := one[[]int64](t, pool, `SELECT coalesce(array_agg(id ORDER BY coalesce(taken_at, posted_at) DESC, id DESC),
				'{}') FROM photos p WHERE user_id = 1 AND binned_at IS NULL AND (`+c.where+")")
			if (len(want) == 0) != (c.where == "false") {
				t.Fatalf("%d photos are such", len(want))
			}
			for _, newer := range []bool{false, true} {
				got, pages := walkOwn(t, s, c.search, newer)
				if !slices.Equal(got, want) || pages > len(want)/store.OwnSize+4 {
					t.Errorf("newer %t: %d photos on %d pages, want %d", newer, len(got), pages, len(want))
				}
			}
		})
	}
}

// TestOwnArchiveTurns: from any page there is a way back to the page before, and to a page with what is at the
// position itself.
func TestOwnArchiveTurns(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	archive(t, pool, 400)
	list := func(at store.OwnPosition, newer bool) store.OwnListing {
		t.Helper()
		l, err := s.OwnPhotos(t.Context(), 1, store.OwnSearch{}, at, newer)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ids := func(l store.OwnListing) string {
		var all []int64
		for _, p := range l.Photos {
			all = append(all, p.ID)
		}
		return fmt.Sprint(all)
	}
	first := list(store.OwnPosition{}, false)
	second := list(first.Older, false)
	if back := list(second.Newer, true); ids(back) != ids(first) || !back.Newer.IsZero() || !first.Newer.IsZero() {
		t.Errorf("back from the second page there is %s, want %s", ids(back), ids(first))
	}
	if on := list(list(list(second.Older, false).Newer, true).Older, false); ids(on) != ids(list(second.Older, false)) {
		t.Errorf("to the third page, back and on again there is %s", ids(on))
	}
	oldest := list(store.OwnPosition{}, true)
	end := list(store.OwnPosition{At: oldest.Photos[len(oldest.Photos)-1].Dated, ID: 0}, false)
	if back := list(end.Newer, true); len(end.Photos) != 0 || ids(back) != ids(oldest) {
		t.Errorf("back from behind the end there is %s, want %s", ids(back), ids(oldest))
	}
}

// TestOwnMonths: the counts of months are those of the photos that are listed.
func TestOwnMonths(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	archive(t, pool, 2000)
	months, err := s.OwnMonths(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, m := range months {
		sum += m.Photos
		if i > 0 && !m.First.Before(months[i-1].First) {
			t.Errorf("%s follows %s", m.First, months[i-1].First)
		}
		l, _ := walkOwn(t, s, store.OwnSearch{From: m.First, Until: m.First.AddDate(0, 1, 0)}, false)
		if len(l) != m.Photos {
			t.Errorf("%s has %d photos, %d are counted", m.First, len(l), m.Photos)
		}
	}
	if all, _ := walkOwn(t, s, store.OwnSearch{}, false); len(all) != sum || len(months) < 10 {
		t.Errorf("%d photos in %d months, %d are listed", sum, len(months), len(all))
	}
}

// TestOwnChoices: people are offered their own cameras, lenses and albums, and the album that they have chosen.
func TestOwnChoices(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	archive(t, pool, 100)
	exec(t, pool, "INSERT INTO albums (user_id, title) SELECT 1, 'Album ' || g FROM generate_series(3, 60) g",
		"INSERT INTO albums (user_id, title) VALUES (2, 'Vivian')")
	choices := func(chosen int64) store.OwnChoices {
		t.Helper()
		c, err := s.OwnChoices(t.Context(), 1, chosen)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := choices(60)
	if fmt.Sprint(c.Cameras) != "[Canon EOS R0 Canon EOS R1 Canon EOS R2 Canon EOS R3 Canon EOS R4]" ||
		len(c.Lenses) != 3 || len(c.Albums) != 30 || c.Albums[0].Title != "Album 60" {
		t.Errorf("%+v", c)
	}
	if c = choices(1); len(c.Albums) != 31 || c.Albums[30] != (store.OwnAlbumChoice{ID: 1, Title: "Lakes"}) {
		t.Errorf("with an old album %+v", c.Albums)
	}
	if c = choices(61); len(c.Albums) != 30 {
		t.Errorf("with somebody else's album there are %d", len(c.Albums))
	}
}

// BenchmarkOwnArchive reads pages of 100,000 photos of one person.
func BenchmarkOwnArchive(b *testing.B) {
	s, pool := open(b)
	archive(b, pool, 100_000)
	exec(b, pool, "VACUUM ANALYZE")
	middle := store.OwnPosition{At: time.Date(1935, 1, 1, 0, 0, 0, 0, time.UTC)}
	list := func(search store.OwnSearch, at store.OwnPosition) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.OwnPhotos(ctx, 1, search, at, false)
			return err
		}
	}
	for _, c := range []struct {
		name string
		read func(context.Context) error
	}{
		{"newest", list(store.OwnSearch{}, store.OwnPosition{})},
		{"middle", list(store.OwnSearch{}, middle)},
		{"found soon", list(store.OwnSearch{Words: []string{"number 7"}, Untagged: true}, middle)},
		{"words of none", list(store.OwnSearch{Words: []string{"nowhere", "none"}}, middle)},
		{"camera of none", list(store.OwnSearch{Camera: "nikon"}, middle)},
		{"tag of none", list(store.OwnSearch{Tag: "none"}, middle)},
		{"album of none", list(store.OwnSearch{Album: 2, Loose: true, Untagged: true}, middle)},
		{"months", func(ctx context.Context) error { _, err := s.OwnMonths(ctx, 1); return err }},
		{"choices", func(ctx context.Context) error { _, err := s.OwnChoices(ctx, 1, 1); return err }},
		{"tags", func(ctx context.Context) error { _, err := s.OwnTags(ctx, 1); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.read(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
