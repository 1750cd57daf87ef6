package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/templates"
)

// closeAccount: an account that is closed in the database ends its sessions on every edge. Opened again, it takes the
// password, and the sessions of before stay ended.
func closeAccount(t *testing.T, s *peopleSite) {
	p, other := s.person("robert"), s.person("robert")
	p.signUp(0)
	other.signIn(1).expect(http.StatusSeeOther, "/me")
	for i := range s.urls {
		if !p.knows(i) || !other.knows(i) {
			t.Errorf("edge %d does not know who signed in", i)
		}
	}
	s.exec("UPDATE accounts SET disabled_at = now() WHERE user_id = (SELECT id FROM users WHERE name = 'robert')")
	for i := range s.urls {
		testenv.Eventually(t, "sessions end with their account", func() bool { return !p.knows(i) && !other.knows(i) })
	}
	s.person("robert").signIn(2).expect(http.StatusUnprocessableEntity, "")
	s.exec("UPDATE accounts SET disabled_at = NULL WHERE user_id = (SELECT id FROM users WHERE name = 'robert')")
	again := s.person("robert")
	again.signIn(3).expect(http.StatusSeeOther, "/me")
	if p.knows(0) || !again.knows(0) {
		t.Error("an account that is opened again: its old session counts, or the new one does not")
	}
	ended := again.form(0, "/me/sessions", url.Values{"key": {"none"}, "end": {strings.Repeat("a", 52)}})
	ended.expect(http.StatusSeeOther, "/me/sessions?notice=none")
}

// deleteAccount: a person with two photos, one of whose files somebody else shows too, and a third one in the bin, is
// gone from every edge, and the receipt says so.
func deleteAccount(t *testing.T, s *peopleSite) {
	p, elsewhere, friend := s.person("tina"), s.person("tina"), s.person("edward")
	p.signUp(0)
	friend.signUp(0)
	elsewhere.signIn(1)
	own, shared := strings.Repeat("a", 26), strings.Repeat("b", 26)
	files := map[string]int{}
	for _, id := range []string{own, shared} {
		files[id] = s.storePicture(id)
		s.exec("INSERT INTO images (id, bytes, width, height, color) VALUES ('" + id + "', 9, 40, 30, 255)")
	}
	for _, photo := range [][2]string{{"tina", own}, {"tina", shared}, {"edward", shared}} {
		s.exec("INSERT INTO photos (user_id, image_id, width, height, color, title) SELECT id, '" + photo[1] +
			"', 40, 30, 255, 'of " + photo[0] + "' FROM users WHERE name = '" + photo[0] + "'")
	}
	s.exec("INSERT INTO photos (user_id, image_id, width, height, color, title, private, private_before, binned_at) " +
		"SELECT id, '" + own + "', 40, 30, 255, 'of tina', true, false, now() FROM users WHERE name = 'tina'")
	first, last := s.count("SELECT min(id) FROM photos WHERE title = 'of tina'"),
		s.count("SELECT max(id) FROM photos WHERE title = 'of edward'")
	s.exec("INSERT INTO albums (user_id, title) SELECT id, 'Mexico' FROM users WHERE name = 'tina'")
	album := s.count("SELECT max(id) FROM albums WHERE title = 'Mexico'")
	s.exec(fmt.Sprintf("INSERT INTO album_photos (album_id, photo_id, user_id, position) "+
		"SELECT %d, id, user_id, 1 FROM photos WHERE id = %d", album, first))
	paths := []string{"/photos/tina", fmt.Sprintf("/photo/%d", first), fmt.Sprintf("/album/%d", album),
		"/photos/tina/albums", "/photos/tina/feed"}
	visitor := s.person("")
	links := map[int]string{}
	for _, photo := range []int{first, first + 1, last} {
		links[photo] = pictureLink.FindString(visitor.get(0, fmt.Sprintf("/photo/%d", photo)).body)
	}
	paths = append(paths, links[first], links[first+1]) // the second one's file stays
	for i := range s.urls {                             // each edge keeps the pages
		for _, path := range paths {
			testenv.Eventually(t, path+" is shown", func() bool { return visitor.get(i, path).status == http.StatusOK })
		}
	}

	form := p.get(0, "/me/delete")
	if said := strings.Join(form.texts("dl div"), "|"); !strings.Contains(said, "3 photos") &&
		!strings.Contains(said, "3photos") {
		t.Errorf("the form says %q", said)
	}
	fields := url.Values{"password": {"not it"}, "sessions": {"2"}}
	refused := p.form(0, "/me/delete", fields)
	refused.expect(http.StatusUnprocessableEntity, "")
	if got := refused.texts(".problem"); len(got) != 1 || !strings.Contains(got[0], "Password is not the one") {
		t.Errorf("a wrong password: %q", got)
	}
	fields.Set("password", p.password)
	done := p.form(0, "/me/delete", fields)
	receipt := done.header.Get("Location")
	if !strings.HasPrefix(receipt, "/receipt?id=") || len(receipt) != len("/receipt?id=")+26 {
		t.Fatalf("deleted: %d to %q, %q", done.status, receipt, done.texts(".problem"))
	}
	p.secretsOf(receipt)
	for _, path := range paths {
		if got := p.get(0, path); got.status != http.StatusNotFound {
			t.Errorf("%s is still shown to who deleted it: %d", path, got.status)
		}
	}
	for i := range s.urls {
		for _, path := range paths {
			testenv.Eventually(t, path+" is gone", func() bool {
				return visitor.get(i, path).status == http.StatusNotFound
			})
		}
		testenv.Eventually(t, "nobody is signed in", func() bool { return !p.knows(i) && !elsewhere.knows(i) })
		if got := visitor.get(i, fmt.Sprintf("/photo/%d", last)); got.status != http.StatusOK {
			t.Errorf("edge %d shows the other photo of the file with %d", i, got.status)
		}
		if got := visitor.get(i, links[last]); got.status != http.StatusOK {
			t.Errorf("edge %d shows the picture of that photo with %d", i, got.status)
		}
	}
	for _, again := range []*person{p, s.person("")} { // a reload, whose answer was lost
		if got := again.form(1, "/me/delete", fields); got.header.Get("Location") != receipt {
			t.Errorf("sent again: %d to %q", got.status, got.header.Get("Location"))
		}
	}
	s.person("").form(2, "/me/delete", url.Values{"key": {strings.Repeat("k", 26)}, "password": {p.password}}).
		expect(http.StatusSeeOther, "/signin?next=%2Fme%2Fdelete")
	elsewhere.signIn(2).expect(http.StatusUnprocessableEntity, "")
	taken := s.person("tina").form(3, "/signup", url.Values{"name": {"Tina"}, "password": {"by the sea"}})
	if got := strings.Join(taken.texts(".problem"), ""); !strings.Contains(got, "taken") {
		t.Errorf("the name may be taken: %d, %q", taken.status, got)
	}

	var r templates.Receipt
	program := s.person("")
	program.header.Set("Accept", "application/json")
	testenv.Eventually(t, "the receipt is complete", func() bool {
		answer := program.get(2, receipt)
		r = templates.Receipt{}
		must(t, json.Unmarshal([]byte(answer.body), &r))
		return r.Complete && len(r.Edges) == len(s.urls)
	})
	want := templates.Holdings{Photos: 3, Albums: 1, Codes: 10, Files: 2}
	if r.Name != "tina" || r.Removed != want || r.FilesRemoved != 1 || r.FilesKept != 1 || r.Sessions != 2 ||
		!slices.Equal(r.Photos, []int64{int64(first), int64(first) + 1, int64(first) + 3}) {
		t.Errorf("the receipt is %+v", r)
	}
	for _, e := range r.Edges {
		if late := e.Since.Sub(r.DeletedAt); late > time.Minute || late < -time.Minute {
			t.Errorf("edge %s knows it %s after", e.Edge, late)
		}
	}
	if got := visitor.get(3, receipt); got.status != http.StatusOK || len(got.texts("h1")) != 1 {
		t.Errorf("the page of the receipt: %d", got.status)
	}
	visitor.get(0, "/receipt?id="+strings.Repeat("a", 26)).expect(http.StatusNotFound, "")
	if files[own] < 2 || s.files(own) != 0 || s.files(shared) != files[shared] {
		t.Errorf("files: %v, now %d of the own and %d of the shared picture", files, s.files(own), s.files(shared))
	}
	for _, rows := range []string{"users WHERE name = 'tina'", "photos WHERE title = 'of tina'", "revocations",
		"unused_images WHERE NOT again", "photo_search s WHERE s.photo_id = " + fmt.Sprint(first)} {
		if n := s.count("SELECT count(*) FROM " + rows); n != 0 {
			t.Errorf("%d rows are left of %s", n, rows)
		}
	}
}

// storePicture stores a picture under an id, and returns how many files that are.
func (s *peopleSite) storePicture(id string) int {
	s.t.Helper()
	var file bytes.Buffer
	must(s.t, jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, 40, 30)), nil))
	store, err := pictures.OpenDir(s.pictures)
	must(s.t, err)
	_, err = pictures.IngestAs(s.t.Context(), store, id, &file, pictures.Limits{})
	must(s.t, errors.Join(err, store.Close()))
	return s.files(id)
}

// files counts the files of a picture.
func (s *peopleSite) files(id string) int {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.pictures, id[:2], id+"*"))
	must(s.t, err)
	return len(files)
}

// secretsOf notes an address that only one person knows.
func (p *person) secretsOf(receipt string) {
	_, id, _ := strings.Cut(receipt, "=")
	p.s.secrets = append(p.s.secrets, id)
}

func (s *peopleSite) exec(sql string) {
	s.t.Helper()
	_, err := s.pool.Exec(s.t.Context(), sql)
	must(s.t, err)
}
