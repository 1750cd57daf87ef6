package renderer

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/takeout"
	"flickrkillr/schema/wire"
	"flickrkillr/schema/zipfile"
)

// withAccount gives a user an account.
func (st *site) withAccount(t *testing.T, user int64) *member {
	t.Helper()
	st.scalar(t, fmt.Sprintf(`WITH a AS (INSERT INTO accounts (user_id, password) VALUES (%d,
		'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA') RETURNING 1)
		SELECT count(*) FROM a`, user))
	return &member{st: st, t: t, user: user}
}

func (m *member) takeout(verb, id string, nr int) ([]byte, error) {
	m.t.Helper()
	msg := nats.NewMsg(wire.TakeoutSubject(verb, m.user, id))
	msg.Header.Set(wire.HeaderOffset, fmt.Sprint(nr))
	reply, err := m.st.nc.RequestMsg(msg, 10*time.Second)
	if err != nil {
		m.t.Fatal(err)
	}
	return reply.Data, wire.ErrorOf(reply)
}

// zip asks for a zip file and makes it as an edge does. It returns what is in it.
func (m *member) zip(key string, pairs ...string) (*zip.Reader, wire.TakeoutFile, string) {
	m.t.Helper()
	changed(m.t, m.do(wire.ActionTakeout, key, pairs...))
	id := takeoutID(m.user, key)
	var file wire.TakeoutFile
	eventually(m.t, 20*time.Second, func() error {
		data, err := m.takeout(wire.TakeoutHead, id, 0)
		if err == nil {
			file, err = wire.DecodeTakeout[wire.TakeoutFile](data)
		}
		return err
	})
	var body, directory []byte
	var mark zipfile.Mark
	for nr, at := range file.Parts {
		if mark != at {
			m.t.Fatalf("part %d is at %+v, not at %+v", nr, mark, at)
		}
		data, err := m.takeout(wire.TakeoutPlan, id, nr)
		if err != nil {
			m.t.Fatal(err)
		}
		plan, err := wire.DecodeTakeout[wire.PlannedFiles](data)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, f := range plan.Files {
			entry := f.Entry()
			directory = entry.AppendDirectory(directory, mark.Local)
			body = entry.AppendLocal(body)
			mark.Add(&entry)
			body = append(body, m.content(id, f)...)
		}
	}
	if mark != file.End {
		m.t.Fatalf("it ends at %+v, not at %+v", mark, file.End)
	}
	whole := mark.AppendEnd(append(body, directory...))
	r, err := zip.NewReader(bytes.NewReader(whole), file.Bytes)
	if err != nil || int64(len(whole)) != file.Bytes {
		m.t.Fatalf("%d bytes, want %d, %v", len(whole), file.Bytes, err)
	}
	return r, file, id
}

func (m *member) content(id string, f wire.PlannedFile) (all []byte) {
	m.t.Helper()
	if f.Text != "" {
		return []byte(f.Text)
	}
	for nr := 0; int64(len(all)) < f.Bytes; nr++ {
		var data []byte
		var err error
		if f.Photo == 0 {
			data, err = m.takeout(wire.TakeoutJSON, id, nr)
		} else {
			var reply *nats.Msg
			reply, err = m.st.original(m.t, wire.OriginalChunk, m.user, f.Photo, wire.HeaderFile, f.File,
				wire.HeaderOffset, fmt.Sprint(len(all)))
			data = reply.Data
		}
		if err != nil {
			m.t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// inZip reads a file of a zip file, whose checksum archive/zip compares.
func inZip(t *testing.T, r *zip.Reader, name string) []byte {
	t.Helper()
	f, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func archiveOf(t *testing.T, r *zip.Reader) (a takeout.Archive) {
	t.Helper()
	if err := json.Unmarshal(inZip(t, r, takeout.FileName), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestTakeout: people get a zip file with their originals and what they wrote about them: of everything, or of an
// album, in its order. What is in it stays as it was.
func TestTakeout(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('tags', 'id'), 2)`) // the rows have ids of their own
	lost := strings.Repeat("a", 26)
	st.scalar(t, fmt.Sprintf(`WITH i AS (INSERT INTO images (id, width, height, color, bytes)
			VALUES ('%s', 900, 600, 0, 7) RETURNING id)
		SELECT count(*) FROM i`, lost))
	st.scalar(t, fmt.Sprintf(`WITH p AS (UPDATE photos SET image_id = '%s', color = 0 WHERE id = 3 RETURNING id)
		SELECT count(*) FROM p`, lost))
	ansel, dorothea := st.withAccount(t, 1), st.withAccount(t, 2)
	st.start(t, nil)
	original := inStore(t, st.pictures, st.image.ID)
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "edit", "id", "7", "title", "Half / Dome", "description",
		"From\nbelow & <above>", "tags", "granite, blue hour", "taken", "1927-04-10", "licence", "by", "download",
		"everybody")); err != nil {
		t.Fatal(err)
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnPhotos, "bin", "photos", "100", "do", "bin")); err != nil {
		t.Fatal(err)
	}

	r, file, id := ansel.zip("everything")
	if !strings.HasPrefix(file.Name, "ansel 20") || !strings.HasSuffix(file.Name, ".zip") {
		t.Errorf("it is called %s", file.Name)
	}
	a := archiveOf(t, r)
	if len(r.File) != 100 || len(a.Photos) != 99 || a.Format != takeout.Format || a.Name != "ansel" ||
		a.DisplayName != "Ansel <Adams>" || len(a.Albums) != 1 {
		t.Fatalf("%d files, %d photos, %d albums, %+v", len(r.File), len(a.Photos), len(a.Albums), a.Head)
	}
	half := a.Photos[6]
	if half.ID != "7" || half.File != "photos/Half - Dome-7.jpg" || half.Title != "Half / Dome" ||
		half.Description != "From\nbelow & <above>" || !slices.Equal(half.Tags, []string{"blue hour", "granite"}) ||
		half.Taken == nil || half.Taken.Format(time.DateOnly) != "1927-04-10" || half.Licence != "by" ||
		!half.Download || half.Visibility != "public" || half.Camera == nil || half.Camera.Model != "Graflex" {
		t.Errorf("photo 7 is %+v", half)
	}
	if a.Photos[2].File != "" || a.Photos[2].ID != "3" {
		t.Errorf("a photo whose original is lost: %+v", a.Photos[2])
	}
	if text := inZip(t, r, "photos/Moonrise 3-3 is missing.txt"); !strings.Contains(string(text), "photo 3 ") {
		t.Errorf("in its place is %s", text)
	}
	if a.Photos[49].Visibility != "private" || a.Photos[48].Visibility != "public" {
		t.Errorf("photo 50 is %s", a.Photos[49].Visibility)
	}
	for _, p := range []takeout.Photo{half, a.Photos[49]} {
		if got := inZip(t, r, p.File); !bytes.Equal(got, original) || p.Bytes != int64(len(original)) ||
			pictures.ID(got) != st.image.ID {
			t.Errorf("%s has %d bytes", p.File, len(got))
		}
	}
	if album := a.Albums[0]; album.Title != "Yosemite" || album.Description != "The valley" ||
		len(album.Photos) != 60 || album.Photos[0] != "1" || album.Photos[59] != "60" {
		t.Errorf("the album is %+v", album)
	}

	// Asked again it is the same, whatever has changed.
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "edit2", "id", "7", "title", "Another")); err != nil {
		t.Fatal(err)
	}
	if again, _, _ := ansel.zip("everything"); archiveOf(t, again).Photos[6].Title != "Half / Dome" {
		t.Error("a zip file changes")
	}
	for name, asked := range map[string]func() error{
		"of somebody else": func() error { _, err := dorothea.takeout(wire.TakeoutHead, id, 0); return err },
		"its parts":        func() error { _, err := dorothea.takeout(wire.TakeoutJSON, id, 0); return err },
		"no such part":     func() error { _, err := ansel.takeout(wire.TakeoutPlan, id, 99); return err },
		"of no album": func() error {
			return wire.ErrorOf(dorothea.do(wire.ActionTakeout, "album", "album", "1"))
		},
	} {
		if err := asked(); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}

	r, file, _ = ansel.zip("album", "album", "1")
	if a := archiveOf(t, r); len(r.File) != 61 || len(a.Photos) != 60 || a.Photos[6].Title != "Another" ||
		len(a.Albums) != 1 || !strings.HasPrefix(file.Name, "ansel Yosemite 20") {
		t.Errorf("the album has %d files, %d photos, and is called %s", len(r.File), len(a.Photos), file.Name)
	}
	view, err := ansel.ask(page.PrivateRef{Private: page.PrivateTakeout}, wire.PrivateRequest{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(t, view, "li bdi"); !slices.Equal(got, []string{"Yosemite", "All your photos"}) {
		t.Errorf("the page lists %q", got)
	}
	if len(texts(t, view, `a[href="`+page.TakeoutPath(id)+`"]`)) != 1 ||
		!slices.Contains(texts(t, view, "option"), "Yosemite") {
		t.Error("the page has no link, or no album to choose")
	}
	if reply := ansel.do(wire.ActionTakeout, "bad", "album", "x"); ansel.problems(reply) == "" {
		t.Error("an album that is no number")
	}

	// An original that is lost although its checksums are known is left out of what is made then.
	another := st.ingest(t, 800, 600)
	st.exec(t, fmt.Sprintf("INSERT INTO images (id, width, height, color, bytes) VALUES ('%s', %d, %d, %d, %d)",
		another.ID, another.Width, another.Height, another.Color, another.Bytes))
	st.exec(t, fmt.Sprintf("UPDATE photos SET image_id = '%s', width = %d, height = %d, color = %d WHERE id = 7",
		another.ID, another.Width, another.Height, another.Color))
	ansel.zip("with-its-original")
	if err := st.pictures.Delete(t.Context(), another.ID); err != nil {
		t.Fatal(err)
	}
	r, _, _ = ansel.zip("without-its-original")
	if a := archiveOf(t, r); len(r.File) != 100 || len(a.Photos) != 99 || a.Photos[6].File != "" {
		t.Errorf("%d files, %d photos, photo 7 is %+v", len(r.File), len(a.Photos), a.Photos[6])
	}

	// Of many the newest stay.
	for i := range wire.MaxTakeouts {
		changed(t, ansel.do(wire.ActionTakeout, fmt.Sprint("more", i)))
	}
	if n := st.scalar(t, "SELECT count(*) FROM takeouts WHERE user_id = 1"); n != wire.MaxTakeouts {
		t.Errorf("%d zip files are kept", n)
	}
	if _, err := ansel.takeout(wire.TakeoutHead, id, 0); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("the oldest one: %v", err)
	}
}

// TestTakeoutOfMany: a plan of several parts, and a photos.json of several chunks.
func TestTakeoutOfMany(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ansel := st.withAccount(t, 1)
	const photos = 1700
	st.scalar(t, fmt.Sprintf(`WITH p AS (INSERT INTO photos (user_id, image_id, width, height, color, title, description,
			private) SELECT 1, id, width, height, color, 'Photo & more', repeat('é<', 500), n %% 3 = 0
			FROM images, generate_series(1, %d) AS n RETURNING 1) SELECT count(*) FROM p`, photos))
	st.start(t, nil)
	changed(t, ansel.do(wire.ActionTakeout, "many"))
	id := takeoutID(1, "many")
	var file wire.TakeoutFile
	eventually(t, 30*time.Second, func() error {
		data, err := ansel.takeout(wire.TakeoutHead, id, 0)
		if err == nil {
			file, err = wire.DecodeTakeout[wire.TakeoutFile](data)
		}
		return err
	})
	var mark zipfile.Mark
	names := map[string]bool{}
	for nr := range file.Parts {
		data, err := ansel.takeout(wire.TakeoutPlan, id, nr)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := wire.DecodeTakeout[wire.PlannedFiles](data)
		if err != nil || file.Parts[nr] != mark {
			t.Fatalf("part %d: %v, %+v", nr, err, file.Parts[nr])
		}
		for _, f := range plan.Files {
			entry := f.Entry()
			mark.Add(&entry)
			names[f.Name] = true
			if f.Photo != 0 {
				continue
			}
			var a takeout.Archive
			if err := json.Unmarshal(ansel.content(id, f), &a); err != nil || len(a.Photos) != photos+100 {
				t.Errorf("photos.json has %d photos, %v", len(a.Photos), err)
			}
			if f.Bytes < 2*wire.MaxChunk {
				t.Errorf("photos.json has %d bytes, which tests too little", f.Bytes)
			}
		}
	}
	if mark != file.End || len(names) != photos+101 || len(file.Parts) != 4 {
		t.Errorf("it ends at %+v, not at %+v; %d names, %d parts", mark, file.End, len(names), len(file.Parts))
	}
}

// TestTakeoutsEnd: a zip file is there for a week, and goes with the account.
func TestTakeoutsEnd(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.withAccount(t, 1)
	st.withAccount(t, 2)
	for user, id := range map[int]string{1: strings.Repeat("a", 26), 2: strings.Repeat("b", 26)} {
		st.scalar(t, fmt.Sprintf(`WITH t AS (INSERT INTO takeouts (user_id, id, title, made_at, ready_at)
			VALUES (%d, '%s', '', now() - interval '%d days', now()) RETURNING id),
			p AS (INSERT INTO takeout_parts (takeout_id, kind, nr, data) SELECT id, 'plan', 0, '' FROM t)
			SELECT count(*) FROM t`, user, id, 5+user))
	}
	st.start(t, nil)
	eventually(t, 20*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM takeouts"); n != 1 {
			return fmt.Errorf("%d zip files are there", n)
		}
		return nil
	})
	st.scalar(t, "WITH d AS (DELETE FROM accounts WHERE user_id = 1 RETURNING 1) SELECT count(*) FROM d")
	if n := st.scalar(t, "SELECT count(*) FROM takeout_parts"); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

func inStore(t *testing.T, from pictures.Store, id string) []byte {
	t.Helper()
	r, err := from.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkTakeout prepares zip files of 100,000 photos with a description and a tag each, and reports how much memory
// the renderer has taken from the system more than before.
func BenchmarkTakeout(b *testing.B) {
	st := newSite(b)
	const photos = 100_000
	st.scalar(b, `WITH a AS (INSERT INTO accounts (user_id, password) VALUES (1,
		'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA') RETURNING 1)
		SELECT count(*) FROM a`)
	st.scalar(b, fmt.Sprintf(`WITH p AS (INSERT INTO photos (user_id, image_id, width, height, color, title, description)
			SELECT 1, id, width, height, color, 'A photo with a title', repeat('A description. ', 10)
			FROM images, generate_series(1, %d) AS n RETURNING id),
			t AS (INSERT INTO photo_tags (photo_id, tag_id) SELECT id, 1 FROM p RETURNING 1)
		SELECT count(*) FROM t`, photos))
	s := st.service(b, nil)
	var before, after runtime.MemStats
	most := uint64(0)
	for b.Loop() {
		b.StopTimer()
		st.scalar(b, `WITH t AS (INSERT INTO takeouts (user_id, id, title)
			VALUES (1, translate(left(md5(random()::text), 26), '0189', 'wxyz'), '') RETURNING 1) SELECT count(*) FROM t`)
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		if more, err := s.prepareTakeout(b.Context()); err != nil || !more {
			b.Fatal(more, err)
		}
		b.StopTimer()
		runtime.ReadMemStats(&after)
		most = max(most, after.Sys-before.Sys)
		b.ReportMetric(float64(most)/(1<<20), "MiB-more")
		b.StartTimer()
	}
	if n := st.scalar(b, "SELECT count(*) FROM takeouts WHERE photos > 100000"); n == 0 {
		b.Error("no zip file is ready")
	}
}
