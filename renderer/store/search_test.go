package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/renderer/store"
)

func TestSearchFinds(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	for i, title := range []string{"Red barn at dusk", "Dusk in the red desert", "Barn owl", "夕暮れの海と富士山", "Ärmelkanal", "100% linen_shirt", ""} {
		exec(t, pool, photoSQL(fmt.Sprint(1+i%2), title))
	}
	exec(t, pool, "UPDATE photos SET description = 'A quiet evening by the lighthouse' WHERE id = 7",
		"INSERT INTO tags (name) VALUES ('barn'), ('barn owl'), ('big barns'), ('sea')")
	for _, c := range []struct {
		query   string
		want    []int64
		similar bool
	}{
		{"barn", []int64{3, 1}, false},
		{"RED Dusk", []int64{2, 1}, false},
		{`"red barn"`, []int64{1}, false},
		{"red -barn", []int64{2}, false},
		{"owl or desert", []int64{3, 2}, false},
		{"lighthouse", []int64{7}, false},
		{"ärmelkanal", []int64{5}, false},
		{"ÄRMELKANAL", []int64{5}, false},
		{"desrt", []int64{}, false},     // too far
		{"deserts", []int64{2}, true},   // near
		{"lighthous", []int64{}, false}, // near, but in a description
		{"富士山", []int64{4}, true},       // a part of what has no spaces
		{"海と", []int64{}, false},        // fewer than three characters have no trigram
		{"0% l", []int64{6}, true},      // no wildcard
		{"linen_s", []int64{6}, true},
	} {
		page, err := s.Search(t.Context(), c.query, 0)
		if diff := cmp.Diff(c.want, ids(page.Photos)); err != nil || diff != "" || page.Similar != c.similar {
			t.Errorf("%q: similar %t, %v %s", c.query, page.Similar, err, diff)
		}
	}
}

func TestSearchFindsPeopleAndTags(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	people(t, pool)
	exec(t, pool, "INSERT INTO tags (name) VALUES ('barn'), ('barn owl'), ('big barns'), ('sea')",
		"INSERT INTO users (name, display_name) VALUES ('ansgar', 'A. Nielsen')")
	for _, c := range []struct{ query, people, tags string }{
		{"ans", "[ansel ansgar]", "[]"},
		{"Adams", "[ansel]", "[]"},
		{"maier", "[vivian]", "[]"},
		{"ANSEL ADAMS", "[ansel]", "[]"},
		{"barn", "[]", "[barn barn owl big barns]"},
		{"big barn", "[]", "[big barns barn barn owl]"},
		{"s", "[]", "[sea]"},
		{"", "[]", "[]"},
		{"~", "[]", "[]"},
	} {
		page, err := s.Search(t.Context(), c.query, 0)
		names := []string{}
		for _, p := range page.People {
			names = append(names, p.Name)
			if version(page.Depends, "user."+p.Name) <= 0 {
				t.Errorf("%q: %s is shown, and not in %v", c.query, p.Name, page.Depends)
			}
		}
		if fmt.Sprint(names) != c.people || fmt.Sprint(page.Tags) != c.tags || err != nil {
			t.Errorf("%q: people %v, tags %v, %v", c.query, names, page.Tags, err)
		}
	}
	page, err := s.Search(t.Context(), "ans", 5)
	if err != nil || len(page.People)+len(page.Tags) != 0 {
		t.Errorf("a further page shows people: %+v %v", page, err)
	}
}

// The three stages of a search, on words of known frequency: few matches, many new ones, many old ones. Each gives the newest.
func TestSearchStages(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	fillDataset(t, pool, 500, 70_000)
	for query, pattern := range map[string]string{
		"foxglove": "%foxglove%", "sunset": "%sunset%", "analog": "%analog%", "analog sunset": "sunset analog%",
	} {
		for _, before := range []int64{0, 60_000, 6000, 50} {
			page, err := s.Search(t.Context(), query, before)
			if err != nil {
				t.Fatal(err)
			}
			upper := before
			if before == 0 {
				upper = 1 << 40
			}
			want := one[[]int64](t, pool, `SELECT coalesce(array_agg(id), '{}') FROM (
				SELECT id FROM photos WHERE NOT private AND id < $1 AND title ILIKE $2 ORDER BY id DESC LIMIT $3) p`, upper, pattern, store.PageSize)
			if diff := cmp.Diff(want, ids(page.Photos)); diff != "" || page.Similar {
				t.Errorf("%s before %d: %s", query, before, diff)
			}
		}
	}
}
