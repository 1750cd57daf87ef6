package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

func TestSearchFinds(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	for i, title := range []string{
		"Red barn at dusk", "Dusk in the red desert", "Barn owl", "夕暮れの海と富士山", "Ärmelkanal", "100% linen_shirt", "",
		"Milky Way", "Sunsets",
		"Αμμόλοφοι στη θάλασσα", "The lighthouse", "🌅", "Города зимой",
	} {
		exec(t, pool, photoSQL(fmt.Sprint(1+i%2), title))
	}
	exec(t, pool, "UPDATE photos SET description = 'A quiet evening by the lighthouse' WHERE id = 7",
		"UPDATE photos SET camera = 'FUJIFILM X-T5', lens = 'XF 23mm', taken_at = '2019-05-06' WHERE id = 3",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID(2)+"', 9, 30, 40, 255)",
		"UPDATE photos SET image_id = '"+imageID(2)+"', width = 30, height = 40 WHERE id = 5",
		"INSERT INTO tags (name) VALUES ('barn'), ('barn owl'), ('sea'), ('milkyway')",
		"INSERT INTO photo_tags SELECT 3, id FROM tags WHERE name IN ('barn', 'barn owl') UNION ALL SELECT 4, id "+
			"FROM tags WHERE name IN ('sea', 'milkyway')",
		"INSERT INTO albums (user_id, title) VALUES (1, 'Countryside walks')",
		"INSERT INTO album_photos VALUES (1, 1, 1, 1)")
	index(t, s)
	for _, c := range []struct {
		query string
		want  []int64
	}{
		{"barn", []int64{3, 1}},
		{"RED Dusk", []int64{2, 1}},
		{`"red barn"`, []int64{1}},
		{`"barn red"`, []int64{}},
		{"red -barn", []int64{2}},
		{"owl or desert", []int64{3, 2}},
		{"lighthouse", []int64{11, 7}},
		{"lighthou", []int64{11, 7}},
		{"light house", []int64{11, 7}},
		{"ärmelkanal", []int64{5}}, {"ÄRMELKANAL", []int64{5}}, {"armelkanal", []int64{5}},
		{"deserts", []int64{2}}, {"sunset", []int64{9}}, {"sunsets", []int64{9}},
		{"富士山", []int64{4}}, {"海と", []int64{4}}, {"海", []int64{4}}, {"山", []int64{4}}, {"夕", []int64{4}},
		{"linen", []int64{6}}, {"linen_shirt", []int64{6}}, {"100%", []int64{6}},
		{"milky way", []int64{8, 4}}, {"milkyway", []int64{8, 4}},
		{"αμμολοφοι", []int64{10}}, {"ΘΆΛΑΣΣΑ", []int64{10}}, {"αμμο", []int64{10}},
		{"города", []int64{13}},
		{"🌅", []int64{12}},
		{"countryside", []int64{1}}, {"walk dusk", []int64{1}},
		{"vivian", []int64{12, 10, 8, 6, 4, 2}}, {"maier owl", []int64{}}, {"adams owl", []int64{3}},
		{"fujifilm", []int64{3}}, {"x-t5", []int64{3}}, {"xt5", []int64{3}}, {"x t5", []int64{3}}, {"23mm", []int64{3}},
		{"tag:barn", []int64{3}}, {`tag:"barn owl"`, []int64{3}}, {"-tag:barn dusk", []int64{2, 1}},
		{"tag:owl", []int64{}},
		{"by:ansel barn", []int64{3, 1}}, {"by:vivian barn", []int64{}}, {"by:nobody", []int64{}},
		{"camera:x-t5", []int64{3}}, {"camera:fujifilm", []int64{3}}, {`camera:"Fujifilm X-T5"`, []int64{3}},
		{"camera:nikon", []int64{}},
		{"year:2019", []int64{3}}, {"year:2018-2020 barn", []int64{3}}, {"year:2018", []int64{}},
		{"orientation:portrait", []int64{5}}, {"orientation:square", []int64{}},
		{"orientation:landscape barn", []int64{3, 1}},
		{"", []int64{}}, {"...", []int64{}}, {"-barn", []int64{}}, {"the of", []int64{}},
	} {
		q := query.Parse(c.query)
		found, err := s.Search(t.Context(), &q, page.SortNewest, 0)
		if diff := cmp.Diff(c.want, ids(found.Photos)); err != nil || diff != "" ||
			found.Total.Photos != len(c.want) || found.Meant != nil {
			t.Errorf("%q: %d, meant %v, %v %s", c.query, found.Total.Photos, found.Meant, err, diff)
		}
	}
}

// Where nobody wrote a word, the likeliest one is searched for; within quotes nothing is.
func TestSearchCorrects(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "Mountain lake"), photoSQL("1", "Mountains"), photoSQL("1", "Fountain"))
	index(t, s)
	exec(t, pool, "INSERT INTO search_words VALUES ('moutai', 1000, '')") // no word, though it is as near
	for _, c := range []struct {
		query, meant string
		want         []int64
	}{
		{"moutain", "mountains", []int64{2, 1}},
		{"moutain lake", "mountains lake", []int64{1}},
		{"moutian laek", "mountains lake", []int64{1}},
		{`"moutain"`, "", []int64{}},
		{"mountain", "", []int64{2, 1}},
		{"xylophone", "", []int64{}},
		{"moutain xylophone", "", []int64{}},
		{"moutain moutian fountin", "mountains fountain", []int64{}},
		{"moutain moutian fountin laek", "", []int64{}}, // too many
	} {
		q := query.Parse(c.query)
		found, err := s.Search(t.Context(), &q, page.SortNewest, 0)
		meant := ""
		if found.Meant != nil {
			meant = found.Meant.String()
		}
		if diff := cmp.Diff(c.want, ids(found.Photos)); err != nil || diff != "" || meant != c.meant {
			t.Errorf("%q: meant %q, %v %s", c.query, meant, err, diff)
		}
	}
}

// A search begins no statement after its time.
func TestSearchTakesTooLong(t *testing.T) {
	t.Parallel()
	_, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "Heron"))
	index(t, store.New(pool))
	q := query.Parse("heron")
	if _, err := store.NewWithSearches(pool, pool, 1).Search(t.Context(), &q, page.SortNewest, 0); !errors.Is(err,
		store.ErrTooLong) {
		t.Errorf("%v, want %v", err, store.ErrTooLong)
	}
	if found, err := store.NewWithSearches(pool, pool, time.Hour).Search(t.Context(), &q, page.SortNewest,
		0); len(found.Photos) != 1 || err != nil {
		t.Errorf("%d photos, %v", len(found.Photos), err)
	}
}

// By relevance titles come before tags, and these before the rest; of equals what is liked more.
func TestSearchOrders(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "Heron"), photoSQL("1", "A bird"), photoSQL("1", "Two herons"),
		photoSQL("1", "Morning"), photoSQL("1", "Heronry"),
		"UPDATE photos SET faves = 900, description = 'a heron' WHERE id = 4",
		"UPDATE photos SET faves = 5 WHERE id = 1",
		"INSERT INTO tags (name) VALUES ('heron')", "INSERT INTO photo_tags SELECT 2, id FROM tags")
	index(t, s)
	for order, want := range map[page.Sort][]int64{
		page.SortRelevance: {1, 3, 2, 4, 5}, page.SortNewest: {5, 4, 3, 2, 1}, page.SortLiked: {4, 1, 5, 3, 2},
	} {
		q := query.Parse("heron")
		found, err := s.Search(t.Context(), &q, order, 0)
		if diff := cmp.Diff(want, ids(found.Photos)); err != nil || diff != "" {
			t.Errorf("%s: %v %s", order, err, diff)
		}
	}
}

func TestSearchFindsPeopleAndTags(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, "INSERT INTO tags (name) VALUES ('barn'), ('barn owl'), ('big barns'), ('sea'), ('unused')",
		"INSERT INTO users (name, display_name) VALUES ('ansgar', 'A. Nielsen')",
		photoSQL("1", "x"), photoSQL("1", "y"),
		"INSERT INTO photo_tags SELECT 1, id FROM tags WHERE name <> 'unused' UNION ALL SELECT 2, id FROM tags "+
			"WHERE name = 'barn'")
	index(t, s)
	for _, c := range []struct{ query, people, tags string }{
		{"ans", "[ansel 2 2 ansgar 0 0]", "[]"},
		{"Adams", "[ansel 2 2]", "[]"},
		{"maier", "[vivian 0 0]", "[]"},
		{"by:vivian", "[vivian 0 0]", "[]"},
		{"barn", "[]", "[barn 2 barn owl 1 big barns 1]"},
		{"big barn", "[]", "[big barns 1]"},
		{"s", "[]", "[sea 1]"},
		{"unused", "[]", "[]"},
		{"", "[]", "[]"},
		{"~", "[]", "[]"},
	} {
		found, err := searchFor(t.Context(), s, c.query, 0)
		persons, tags := []string{}, []string{}
		for _, p := range found.People {
			persons = append(persons, fmt.Sprintf("%s %d %d", p.Name, p.PhotoCount, p.PhotoID))
			if version(found.Depends, "user."+p.Name) <= 0 {
				t.Errorf("%q: %s is shown, and not in %v", c.query, p.Name, found.Depends)
			}
		}
		for _, tag := range found.Tags {
			tags = append(tags, fmt.Sprint(tag.Value, " ", tag.Photos))
		}
		if fmt.Sprint(persons) != c.people || fmt.Sprint(tags) != c.tags || err != nil {
			t.Errorf("%q: people %v, tags %v, %v", c.query, persons, tags, err)
		}
	}
	found, err := searchFor(t.Context(), s, "ans", 5)
	if err != nil || len(found.People)+len(found.Tags) != 0 {
		t.Errorf("a further page shows people: %+v %v", found, err)
	}
}

// Both ways of making a listing give the order that a plain sort of everything gives, page by page to the end: of words
// of known frequency, few and many.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 500, 65_000)
	buildSearch(t, s)
	const matches = "SELECT photo_id FROM photo_search WHERE words @@ $1::text::tsquery "
	for text, match := range map[string]string{
		"foxglove": "foxglove", "sunset": "sunset", "sunset year:2015": "sunset & '~2015'",
	} {
		for order, by := range map[page.Sort]string{
			page.SortNewest: "photo_id DESC", page.SortLiked: "faves DESC, photo_id DESC",
			page.SortRelevance: "words @@ regexp_replace($1::text, '(sunset|foxglove)', '\\1:AB', 'g')::tsquery " +
				"DESC, quality DESC, photo_id DESC",
		} {
			want := one[[]int64](t, pool, "SELECT array_agg(photo_id) FROM ("+matches+"ORDER BY "+by+") AS m", match)
			q := query.Parse(text)
			var got []int64
			for before := int64(0); ; {
				found, err := s.Search(t.Context(), &q, order, before)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ids(found.Photos)...)
				if before = found.Older; before == 0 {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %s: %d photos, want %d", text, order, len(got), len(want))
			}
		}
	}
}

func TestRelatedTags(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, photoSQL("1", "a"), photoSQL("1", "b"), photoSQL("1", "c"), photoSQL("1", "d"),
		"UPDATE photos SET private = true WHERE id = 4",
		"INSERT INTO tags (name) VALUES ('barn'), ('owl'), ('sky'), ('hush'), ('sea')",
		"INSERT INTO photo_tags SELECT 1, id FROM tags WHERE name IN ('barn', 'owl', 'sky')",
		"INSERT INTO photo_tags SELECT 2, id FROM tags WHERE name IN ('barn', 'owl')",
		"INSERT INTO photo_tags SELECT 3, id FROM tags WHERE name = 'sea'",
		"INSERT INTO photo_tags SELECT 4, id FROM tags WHERE name IN ('barn', 'hush')")
	index(t, s)
	for tag, want := range map[string][]string{"barn": {"owl", "sky"}, "sea": {}, "none": {}} {
		related, err := s.RelatedTags(t.Context(), tag)
		if diff := cmp.Diff(want, related); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tag, err, diff)
		}
	}
}
