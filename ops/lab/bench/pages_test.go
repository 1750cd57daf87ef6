package bench

import (
	"slices"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

func TestReadPages(t *testing.T) {
	t.Parallel()
	got, err := ReadPages(strings.NewReader(
		"/photos/ansel\n\n# a remark\n  /photos/ansel/before/7\n/photo/7\n/search?q=a+b\n/anything/else",
	))
	want := []Page{
		{"/photos/ansel", "ansel"}, {"/photos/ansel/before/7", "ansel"}, {"/photo/7", ""}, {"/search?q=a+b", ""},
		{"/anything/else", ""},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := ReadPages(strings.NewReader("photos/ansel")); err == nil ||
		!strings.Contains(err.Error(), "begin with a slash") {
		t.Errorf("error %v, want one about the slash", err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	if _, err := testenv.Pool(t, url).Exec(
		t.Context(),
		"INSERT INTO users (name, display_name, photo_count) VALUES ('few', 'Few', 1), ('none', 'None', 0), ('many', 'Many', 9)",
	); err != nil {
		t.Fatal(err)
	}
	got, err := Users(t.Context(), url)
	if want := []Page{{"/photos/many", "many"}, {"/photos/few", "few"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
