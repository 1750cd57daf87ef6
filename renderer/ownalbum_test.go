package renderer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAlbumForms: what people type about their albums is read in one form, or refused with the reason.
func TestAlbumForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field, typed, want, problem string
	}{
		{"title", "  Cafe\u0301 ", "Café", ""},
		{"title", " ", "", "is missing"},
		{"title", "\u200b", "", "is missing"},
		{"title", strings.Repeat("x", 201), "", "201 characters: shorten it to 200"},
		{"title", "a\x00b", "", "control characters"},
		{"title", "a\u202eb", "", "change the direction"},
		{"label", "", "", ""},
		{"label", "A / B", "A / B", ""},
		{"label", strings.Repeat("x", 404), "", "404 characters: shorten it to 403"},
		{"label", "\u2060", "", "invisible"},
	} {
		f := form{c.field: c.typed}
		read := f.albumTitle
		if c.field == "label" {
			read = f.albumLabel
		}
		got, problem := read(c.field)
		if given(got) != c.want && c.problem == "" || (problem != nil) != (c.problem != "") ||
			problem != nil && !strings.Contains(problem.Problem, c.problem) {
			t.Errorf("%s %q: %q, %v, want %q, %q", c.field, c.typed, given(got), problem, c.want, c.problem)
		}
	}
	for _, c := range []struct{ do, at, problem string }{
		{"first", "", ""}, {"place", " 7 ", ""}, {"place", "0", "number of a place"}, {"before", "7", ""},
		{"after", "", "number of a place"}, {"place", "4294967296", "number of a place"},
		{"after", "4294967296", ""}, {"sort", "", "press one"},
	} {
		_, _, problem := form{"do": c.do, "at": c.at}.albumMove()
		if (problem != nil) != (c.problem != "") || problem != nil && !strings.Contains(problem.Problem, c.problem) {
			t.Errorf("%s %q: %v, want %q", c.do, c.at, problem, c.problem)
		}
	}
}

// album asks for the page of one's own album, and returns the ids of its photos.
func (m *member) album(id int64, pairs ...string) (ids []string, reply *wire.Reply) {
	m.t.Helper()
	return m.list(page.PrivateAlbum, append([]string{"id", fmt.Sprint(id)}, pairs...)...)
}

// TestOwnAlbums: people make, fill, order, nest and delete their own albums on the bus, and nobody else's. Everybody
// sees what is public of them.
func TestOwnAlbums(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('albums', 'id'), 9)`) // the rows have ids of their own
	st.start(t, nil)
	ansel, dorothea := &member{st: st, t: t, user: 1}, &member{st: st, t: t, user: 2}
	do := func(action, key string, pairs ...string) []wire.Change {
		t.Helper()
		return changed(t, ansel.do(action, key, pairs...))
	}
	public := func(ref page.Ref) string {
		t.Helper()
		shown := "main h1, main .albums bdi, main .facts span, main .grid bdi"
		return strings.Join(texts(t, st.get(t, ref), shown), "|")
	}

	made := do(wire.ActionOwnAlbums, "make", "title", "Trips")
	if len(made) != 2 || made[1].Scope != "album.10" {
		t.Fatalf("changed %v", made)
	}
	do(wire.ActionOwnAlbums, "make-2", "title", "Valley", "parent", "trips", "description", "From\r\nabove")
	do(wire.ActionOwnPhotos, "add", "photos", "60,58,50", "do", "album", "album", "Trips / Valley")
	do(wire.ActionOwnAlbums, "add-2", "photos", "57,59", "do", "add", "album", "trips / VALLEY")
	if ids, reply := ansel.album(11); !slices.Equal(ids, []string{"50", "58", "60", "57", "59"}) ||
		!bytes.Contains(reply.Body, []byte("/me/pictures/50/640.jpg")) || len(texts(t, reply, ".badge")) != 1 ||
		!strings.Contains(strings.Join(texts(t, reply, ".facts"), ""), "in Trips") {
		t.Errorf("the album has %v", ids)
	}
	if got := public(page.Album(11)); got != "Valley|by Ansel <Adams>|4 photos|in Trips|Moonrise 58|Moonrise 60|"+
		"Moonrise 57|Moonrise 59" {
		t.Errorf("the public page says %q", got)
	}
	if got := texts(t, st.get(t, page.Album(10)), ".albums small"); !slices.Equal(got, []string{"4 photos"}) {
		t.Errorf("the album's albums have %q", got)
	}
	if got := texts(t, st.get(t, page.Albums("ansel")), ".albums bdi"); !slices.Contains(got, "Trips") ||
		slices.Contains(got, "Valley") {
		t.Errorf("everybody's list has %q", got)
	}

	do(wire.ActionOwnAlbum, "move", "id", "11", "do", "place", "at", "2", "photos", "59")
	do(wire.ActionOwnAlbum, "move-2", "id", "11", "do", "last", "photos", "50,58")
	do(wire.ActionOwnAlbum, "move-3", "id", "11", "do", "before", "at", "57", "photos", "50")
	if ids, _ := ansel.album(11); !slices.Equal(ids, []string{"59", "60", "50", "57", "58"}) {
		t.Errorf("the order is %v", ids)
	}
	do(wire.ActionOwnAlbum, "cover", "id", "11", "do", "cover", "photos", "57")
	const origin = "https://photos.example"
	cover := st.get(t, page.Album(11).At(origin))
	if ids, reply := ansel.album(11); len(ids) != 5 || !slices.Contains(texts(t, reply, ".badge"), "Cover") {
		t.Error("the cover is not marked")
	}
	first := st.get(t, page.Photo(57).At(origin))
	key := func(reply *wire.Reply) string {
		_, after, _ := strings.Cut(string(reply.Body), `property="og:image" content="`)
		address, _, _ := strings.Cut(after, `"`)
		return address
	}
	if key(cover) == "" || key(cover) != key(first) {
		t.Errorf("the preview of the album shows %q, that of its cover %q", key(cover), key(first))
	}
	do(wire.ActionOwnAlbum, "uncover", "id", "11", "do", "uncover")
	if got := st.get(t, page.Album(11).At(origin)); key(got) == key(first) {
		t.Error("the cover is still the one that was chosen")
	}

	do(wire.ActionOwnAlbum, "save", "id", "11", "do", "save", "title", "Yosemite Valley", "description", "",
		"parent", "")
	// A form that was opened before that changes what was typed alone.
	do(wire.ActionOwnAlbum, "stale", "id", "11", "do", "save", "title", "Yosemite", "was-title", "Yosemite",
		"description", "Since then", "was-description", "", "parent", "Trips", "was-parent", "Trips")
	if _, reply := ansel.album(11); !strings.Contains(string(reply.Body), `name="was-title" value="Yosemite Valley"`) ||
		!strings.Contains(string(reply.Body), "Since then</textarea>") {
		t.Error("a form that was opened earlier has taken back what was changed since")
	}
	do(wire.ActionOwnAlbum, "take", "id", "11", "do", "take", "photos", "60,50")
	do(wire.ActionOwnPhotos, "unalbum", "photos", "59", "do", "unalbum", "album", "yosemite valley")
	if ids, reply := ansel.album(11); !slices.Equal(ids, []string{"57", "58"}) ||
		!slices.Equal(texts(t, reply, "h1"), []string{"Yosemite Valley"}) {
		t.Errorf("the album has %v", ids)
	}
	_, list := ansel.list(page.PrivateAlbums)
	if got := texts(t, list, ".albums bdi"); got[0] != "Yosemite Valley" || got[1] != "Trips" {
		t.Errorf("the list has %q", got)
	}

	const albums, photos, album = wire.ActionOwnAlbums, wire.ActionOwnPhotos, wire.ActionOwnAlbum
	for name, c := range map[string]struct {
		action, problem string
		pairs           []string
	}{
		"no title":   {albums, "Title is missing", []string{"do", "make"}},
		"taken":      {albums, "Title is that of another", []string{"title", "TRIPS"}},
		"no parent":  {albums, "In the album is none of", []string{"title", "New", "parent", "None"}},
		"no album":   {photos, "Album is missing", []string{"do", "album", "photos", "57"}},
		"none":       {photos, "Album is none of", []string{"do", "unalbum", "photos", "57", "album", "N"}},
		"no photo":   {photos, "Choose at least", []string{"do", "album", "album", "N"}},
		"theirs":     {photos, "here any more", []string{"do", "album", "photos", "999", "album", "N"}},
		"long":       {photos, "too long for", []string{"do", "album", "photos", "57", "album", long}},
		"no place":   {album, "number of a place", []string{"id", "11", "do", "place", "photos", "57"}},
		"no move":    {album, "press one", []string{"id", "11", "do", "x", "photos", "57"}},
		"no cover":   {album, "Choose one photo first", []string{"id", "11", "do", "cover"}},
		"two covers": {album, "Choose one", []string{"id", "11", "do", "cover", "photos", "57,58"}},
		"not in it":  {album, "Reload", []string{"id", "11", "do", "first", "photos", "60"}},
		"bad title":  {album, "Title is missing", []string{"id", "11", "do", "save", "title", " "}},
	} {
		reply := ansel.do(c.action, "refused-"+strings.ReplaceAll(name, " ", "-"), c.pairs...)
		got := ansel.problems(reply)
		if reply.Header.Get(wire.HeaderStatus) != "422" || !strings.Contains(got, c.problem) {
			t.Errorf("%s: %q, want %q", name, got, c.problem)
		}
	}
	for _, id := range []string{"11", "99"} {
		for i, pairs := range [][]string{{"do", "delete"}, {"do", "save", "title", "Mine"}, {"do", "uncover"}} {
			key := fmt.Sprint("other", id, i)
			err := wire.ErrorOf(dorothea.do(wire.ActionOwnAlbum, key, append(pairs, "id", id)...))
			if !errors.Is(err, wire.ErrNotFound) {
				t.Errorf("%v of album %s: %v", pairs, id, err)
			}
		}
		asked := wire.PrivateRequest{Values: url.Values{"id": {id}}}
		_, err := dorothea.ask(page.PrivateRef{Private: page.PrivateAlbum}, asked)
		if !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("the page of %s: %v", id, err)
		}
	}

	asked := wire.PrivateRequest{JSON: true, Values: url.Values{"id": {"11"}}}
	said, err := ansel.ask(page.PrivateRef{Private: page.PrivateAlbum}, asked)
	var one struct {
		Title  string
		Photos []int64
	}
	if err == nil {
		err = json.Unmarshal(said.Body, &one)
	}
	if err != nil || one.Title != "Yosemite Valley" || !slices.Equal(one.Photos, []int64{57, 58}) {
		t.Errorf("JSON says %+v, %v", one, err)
	}
	var all struct{ Albums []struct{ ID int64 } }
	said, err = ansel.ask(page.PrivateRef{Private: page.PrivateAlbums}, wire.PrivateRequest{JSON: true})
	if err == nil {
		err = json.Unmarshal(said.Body, &all)
	}
	if err != nil || len(all.Albums) < 2 || all.Albums[0].ID != 11 {
		t.Errorf("JSON says %+v, %v", all, err)
	}

	gone := do(wire.ActionOwnAlbum, "delete", "id", "11", "do", "delete")
	if len(gone) != 2 || gone[1].Scope != "album.11" {
		t.Errorf("changed %v", gone)
	}
	if reply := st.get(t, page.Album(11)); reply.Status != 404 {
		t.Errorf("the album that was deleted: %d", reply.Status)
	}
	if reply := st.get(t, page.Photo(57)); reply.Status != 200 {
		t.Errorf("a photo of the album that was deleted: %d", reply.Status)
	}
}

// long is the label of no album, and too long for a new one.
var long = strings.Repeat("x", 201)
