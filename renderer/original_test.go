package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestSafeName: a title becomes the name of a file that every system takes.
func TestSafeName(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Half Dome":                   "Half Dome",
		" Zürich,  am See ":           "Zürich, am See",
		"../../etc/passwd":            "etc-passwd",
		`C:\a?b*c"d<e>f|g`:            "C--a-b-c-d-e-f-g",
		".hidden.":                    "hidden",
		"":                            "photo-7",
		"...":                         "photo-7",
		"a\u202egpj.exe":              "agpj.exe",
		"line\nbreak\x00":             "line break",
		"CON":                         "photo-7",
		"lpt1.txt":                    "photo-7",
		"conifer":                     "conifer",
		strings.Repeat("é", 200):      strings.Repeat("é", 75),
		"x" + strings.Repeat("é", 99): "x" + strings.Repeat("é", 74),
		"a\xffb":                      "ab",
	} {
		if got := safeName(title, "photo-7"); got != want {
			t.Errorf("%q becomes %q, want %q", title, got, want)
		}
	}
}

// original asks for an original as edges do.
func (st *site) original(t *testing.T, verb string, user, photo int64, pairs ...string) (*nats.Msg, error) {
	t.Helper()
	msg := nats.NewMsg(wire.OriginalSubject(verb, user, photo))
	for i := 0; i < len(pairs); i += 2 {
		msg.Header.Set(pairs[i], pairs[i+1])
	}
	reply, err := st.nc.RequestMsg(msg, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return reply, wire.ErrorOf(reply)
}

// whole reads an original in chunks.
func (st *site) whole(t *testing.T, user, photo int64) ([]byte, wire.OriginalFile, error) {
	t.Helper()
	reply, err := st.original(t, wire.OriginalHead, user, photo)
	if err != nil {
		return nil, wire.OriginalFile{}, err
	}
	file, err := wire.DecodeOriginalFile(reply.Data)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for int64(len(all)) < file.Bytes {
		reply, err := st.original(t, wire.OriginalChunk, user, photo, wire.HeaderFile, file.File, wire.HeaderOffset,
			fmt.Sprint(len(all)))
		if err != nil {
			return all, file, err
		}
		all = append(all, reply.Data...)
	}
	return all, file, nil
}

// TestOriginals: the owner of a photo gets its bytes; others get the picture without what its file says besides, if the
// owner allows it and they may see the photo.
func TestOriginals(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	const secret = "GPS 47.3769 N"
	plain := landscape(t, 900, 600)
	file := bytes.Join([][]byte{plain[:2], {0xff, 0xfe, 0, byte(len(secret) + 2)}, []byte(secret), plain[2:]}, nil)
	// so large that it takes several chunks
	file = append(file, bytes.Repeat([]byte("behind the picture "), 3*wire.MaxChunk/19)...)
	id := pictures.ID(file)
	if err := st.pictures.Put(t.Context(), id, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	st.scalar(t, fmt.Sprintf(`WITH i AS (INSERT INTO images (id, width, height, color, bytes)
			VALUES ('%s', 900, 600, 0, %d) RETURNING id)
		SELECT count(*) FROM i`, id, len(file)))
	st.scalar(t, fmt.Sprintf(`WITH p AS (UPDATE photos SET image_id = '%s', color = 0, title = 'Zürich / See'
		WHERE id IN (49, 50) RETURNING id) SELECT count(*) FROM p`, id))
	st.start(t, nil)
	ansel := &member{st: st, t: t, user: 1}

	got, head, err := st.whole(t, 1, 49)
	if err != nil || !bytes.Equal(got, file) || head.File != id || head.Type != "image/jpeg" ||
		head.Name != "Zürich - See.jpg" {
		t.Fatalf("the owner gets %d bytes, %+v, %v", len(got), head, err)
	}
	if _, _, err := st.whole(t, 1, 50); err != nil {
		t.Errorf("a private photo for its owner: %v", err)
	}
	for _, c := range []struct{ user, photo int64 }{{2, 49}, {0, 49}, {0, 50}, {0, 999}, {1, 999}} {
		if _, err := st.original(t, wire.OriginalHead, c.user, c.photo); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("photo %d for user %d: %v", c.photo, c.user, err)
		}
	}

	// Everybody may have it.
	shown := func() bool {
		return len(texts(t, st.get(t, page.Photo(49)), `a[href="/photo/49/original"]`)) > 0
	}
	if shown() {
		t.Error("the page has a link that leads nowhere")
	}
	reply := ansel.do(wire.ActionOwnPhotos, "open", "photos", "49,50", "do", "open")
	if done := changed(t, reply); len(done) != 1 || done[0].Scope != "user.ansel" {
		t.Fatalf("changed %v", done)
	}
	for _, extension := range []string{".heic", ".jpg"} { // a HEIC file has no form for others
		st.scalar(t, fmt.Sprintf("WITH i AS (UPDATE images SET extension = '%s' WHERE id = '%s' RETURNING id) "+
			"SELECT count(*) FROM i", extension, id))
		if shown() != (extension == ".jpg") {
			t.Errorf("of a file %s the page links to a form for others: %t", extension, shown())
		}
	}
	if !shown() {
		t.Error("the page has no link")
	}
	shared, head, err := st.whole(t, 0, 49)
	if err != nil || bytes.Contains(shared, []byte("GPS")) || bytes.Contains(shared, []byte("behind")) ||
		strings.Contains(head.File, id) {
		t.Fatalf("others get %d bytes, %+v, %v", len(shared), head, err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(shared)); err != nil {
		t.Error(err)
	}
	if _, err := st.original(t, wire.OriginalHead, 0, 50); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a private photo for everybody: %v", err)
	}
	part, err := st.original(t, wire.OriginalChunk, 1, 49, wire.HeaderFile, id, wire.HeaderOffset, "5",
		wire.HeaderLength, "7")
	if err != nil || !bytes.Equal(part.Data, file[5:12]) {
		t.Errorf("seven bytes are %x, %v", part.Data, err)
	}

	// What does not fit is refused.
	for name, pairs := range map[string][]string{
		"behind the end": {wire.HeaderFile, id, wire.HeaderOffset, fmt.Sprint(len(file))},
		"no place":       {wire.HeaderFile, id, wire.HeaderOffset, "-1"},
		"no length":      {wire.HeaderFile, id, wire.HeaderOffset, "0", wire.HeaderLength, "0"},
		"too long": {wire.HeaderFile, id, wire.HeaderOffset, "0", wire.HeaderLength,
			fmt.Sprint(wire.MaxChunk + 1)},
	} {
		if _, err := st.original(t, wire.OriginalChunk, 1, 49, pairs...); !errors.Is(err, wire.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := st.original(t, wire.OriginalChunk, 1, 49, wire.HeaderFile, st.image.ID, wire.HeaderOffset,
		"0"); !errors.Is(err, wire.ErrConflict) {
		t.Errorf("a photo that shows another original: %v", err)
	}

	// Somebody hides it while it is downloaded.
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnPhotos, "hide", "photos", "49", "do", "private")); err != nil {
		t.Fatal(err)
	}
	if _, err := st.original(t, wire.OriginalChunk, 0, 49, wire.HeaderFile, head.File, wire.HeaderOffset,
		"0"); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a chunk of a photo that is hidden by now: %v", err)
	}
}

// TestRights: people say what others may do with their photos, one, several or those to come; pages and programs say
// so, too.
func TestRights(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `WITH a AS (INSERT INTO accounts (user_id, password) VALUES (1,
		'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA') RETURNING 1)
		SELECT count(*) FROM a`)
	st.start(t, func(c *Config) { c.BaseURL = "https://photos.example" })
	ansel := &member{st: st, t: t, user: 1}
	licence := func(photo int64) []string { return texts(t, st.get(t, page.Photo(photo)), `a[rel=license]`) }

	if got := licence(49); got != nil {
		t.Errorf("photo 49 has the licence %q", got)
	}
	version := scopesOf(st.get(t, page.Photo(49)))["user.ansel"]
	keys := st.scalar(t, "SELECT count(*) FROM action_keys") + 1 // of the edit that follows
	set := []string{"id", "49", "title", "Half Dome", "licence", "by-sa", "download", "owner"}
	done := changed(t, ansel.do(wire.ActionOwnEdit, "edit", set...))
	if again := changed(t, ansel.do(wire.ActionOwnEdit, "edit", set...)); !slices.Equal(done, again) ||
		len(done) != 1 || done[0].Version <= version {
		t.Errorf("changes %v, then %v; the version was %d", done, again, version)
	}
	if got := scopesOf(st.get(t, page.Photo(49)))["user.ansel"]; got != done[0].Version {
		t.Errorf("the version is %d, the action said %v", got, done)
	}
	if got := licence(49); !slices.Equal(got, []string{"CC BY-SA 4.0"}) {
		t.Errorf("photo 49 has the licence %q", got)
	}
	shown := st.get(t, page.Photo(49))
	const address = "https://creativecommons.org/licenses/by-sa/4.0/"
	if !bytes.Contains(shown.Body, []byte(`"license":"`+address+`"`)) {
		t.Error("JSON-LD does not name the licence")
	}
	embed := st.get(t, page.OEmbed(49, "json", 0, 0))
	if !bytes.Contains(embed.Body, []byte(`"license":"CC BY-SA 4.0","license_url":"`+address+`"`)) {
		t.Errorf("oEmbed says %s", embed.Body)
	}
	form, err := ansel.ask(page.OwnPhoto(49), wire.PrivateRequest{})
	if err != nil || !bytes.Contains(form.Body, []byte(`<option value="by-sa" selected>`)) ||
		!bytes.Contains(form.Body, []byte(`name="was-licence" value="by-sa"`)) {
		t.Errorf("the form does not show it: %v", err)
	}
	// Who may see it and who may download it change at once: in one transaction, which the row tells.
	seen := []string{"id", "49", "visibility", "private", "download", "everybody", "licence", "by-nd"}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "both", seen...)); err != nil {
		t.Fatal(err)
	}
	if n := st.scalar(t, `SELECT count(*) FROM photos
			WHERE id = 49 AND private AND downloadable AND licence = 'by-nd'`); n != 1 {
		t.Error("not both have changed")
	}
	if n := st.scalar(t, "SELECT count(*) FROM action_keys"); n != keys+1 {
		t.Errorf("the action took %d transactions", n-keys)
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "back", "id", "49", "visibility", "public", "download", "owner",
		"licence", "by-sa")); err != nil {
		t.Fatal(err)
	}
	// a form that was opened before, and changes something else
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "old", "id", "49", "title", "Half Dome again", "licence",
		"reserved", "was-licence", "reserved", "download", "owner", "was-download", "owner")); err != nil {
		t.Fatal(err)
	}
	if got := licence(49); !slices.Equal(got, []string{"CC BY-SA 4.0"}) {
		t.Errorf("an older form sets the licence %q", got)
	}
	if reply := ansel.do(wire.ActionOwnEdit, "bad", "id", "49", "licence", "mine"); reply.Header.Get(
		wire.HeaderStatus) != "422" || !bytes.Contains(reply.Data, []byte("licence-problem")) {
		t.Errorf("a licence that does not exist: %s", reply.Header.Get(wire.HeaderStatus))
	}

	if err := wire.ErrorOf(ansel.do(wire.ActionOwnPhotos, "bulk", "photos", "99,100,101", "do", "licence", "licence",
		"cc0")); err != nil {
		t.Fatal(err)
	}
	if got := licence(100); !slices.Equal(got, []string{"CC0 1.0"}) {
		t.Errorf("photo 100 has the licence %q", got)
	}
	if got := licence(101); got != nil {
		t.Errorf("somebody else's photo has the licence %q", got)
	}
	feed := st.get(t, page.Feed(page.User("ansel")))
	if !bytes.Contains(feed.Body, []byte("<rights>CC0 1.0</rights>")) || !bytes.Contains(feed.Body,
		[]byte(`<link rel="license" href="https://creativecommons.org/publicdomain/zero/1.0/">`)) ||
		!bytes.Contains(feed.Body, []byte("<rights>All rights reserved</rights>")) {
		t.Errorf("the feed says %s", feed.Body[:2000])
	}
	for name, pairs := range map[string][]string{
		"none": {"photos", "99", "do", "licence", "licence", ""}, "other": {"photos", "101", "do", "open"},
	} {
		if reply := ansel.do(wire.ActionOwnPhotos, name, pairs...); ansel.problems(reply) == "" {
			t.Errorf("%s: %v", name, wire.ErrorOf(reply))
		}
	}

	profile := []string{"display", "Ansel", "bio", "", "licence", "by-nc", "download", "everybody"}
	if done := changed(t, ansel.do(wire.ActionProfileEdit, "profile", profile...)); len(done) != 1 {
		t.Errorf("changed %v", done)
	}
	asked := wire.PrivateRequest{JSON: true}
	if got, err := ansel.ask(page.PrivateRef{Private: page.PrivateProfile}, asked); err != nil ||
		!bytes.Contains(got.Body, []byte(`"licence": "by-nc"`)) {
		t.Errorf("the profile is %s, %v", got.Body, err)
	}
	if n := st.scalar(t, `WITH p AS (INSERT INTO photos (user_id, image_id, width, height, color)
			SELECT 1, id, width, height, color FROM images LIMIT 1 RETURNING licence, downloadable)
		SELECT count(*) FROM p WHERE licence = 'by-nc' AND downloadable`); n != 1 {
		t.Error("a new photo does not get what its owner gives new photos")
	}
	if n := st.scalar(t, `WITH p AS (INSERT INTO photos (user_id, image_id, width, height, color, licence, downloadable)
			SELECT 1, id, width, height, color, 'reserved', false FROM images LIMIT 1 RETURNING licence, downloadable)
		SELECT count(*) FROM p WHERE licence = 'reserved' AND NOT downloadable`); n != 1 {
		t.Error("a new photo does not have the rights that it is given")
	}
	if n := st.scalar(t, "SELECT count(*) FROM photos WHERE licence = 'by-nc'"); n != 1 {
		t.Errorf("%d photos have the licence of new ones", n)
	}
	if reply := st.get(t, page.Photo(50)); reply.Status != http.StatusNotFound {
		t.Errorf("photo 50: %d", reply.Status)
	}
}
