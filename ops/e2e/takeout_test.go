package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/cli"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/takeout"
)

// killr runs the program as a person who has a token. It returns what the program prints, and its status.
func (s *peopleSite) killr(config, input string, args ...string) (string, int) {
	s.t.Helper()
	var out bytes.Buffer
	program := cli.Program{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &out}
	status := program.Run(s.t.Context(), append(args, "--config", config, "--edge", s.urls[1]))
	return out.String(), status
}

// takeout has a zip file of everything of a person made, downloads it, and writes it to a file.
func (p *person) takeout(path string) takeout.Archive {
	t := p.s.t
	t.Helper()
	p.form(0, "/me/takeout", url.Values{"key": {p.get(0, "/me/takeout").attr("input[name=key]", "value")}}).
		expect(http.StatusSeeOther, "/me/takeout?notice=takeout")
	address := ""
	testenv.Eventually(t, "the zip file is ready", func() bool {
		address = p.get(2, "/me/takeout").attr("main li a[href$='.zip']", "href")
		return address != ""
	})
	body := p.get(3, address)
	body.expect(http.StatusOK, "")
	must(t, os.WriteFile(path, []byte(body.body), 0o600))
	r, err := zip.NewReader(strings.NewReader(body.body), int64(len(body.body)))
	must(t, err)
	file, err := r.Open(takeout.FileName)
	must(t, err)
	var a takeout.Archive
	must(t, json.NewDecoder(file).Decode(&a))
	if len(r.File) != len(a.Photos)+1 {
		t.Errorf("%d files, %d photos", len(r.File), len(a.Photos))
	}
	return a
}

// alike makes what differs from account to account the same.
func alike(a takeout.Archive) takeout.Archive {
	ids := map[string]string{}
	for i := range a.Photos {
		p := &a.Photos[i]
		ids[p.ID] = fmt.Sprint("photo ", i)
		p.ID, p.File, p.Posted = ids[p.ID], "", time.Time{}
	}
	albums := map[string]string{}
	for i := range a.Albums {
		albums[a.Albums[i].ID] = a.Albums[i].Title
	}
	for i := range a.Albums {
		album := &a.Albums[i]
		album.ID, album.Created = album.Title, time.Time{}
		album.Parent, album.Cover = albums[album.Parent], ids[album.Cover]
		for k, id := range album.Photos {
			album.Photos[k] = ids[id]
		}
	}
	a.Head = takeout.Head{}
	return a
}

// TestTakeoutAndImport: what a person takes out, another account imports: the same bytes, texts, tags, albums and
// dates. To import it again adds nothing, and completes what is missing.
func TestTakeoutAndImport(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	from, to := s.person("imogen"), s.person("berenice")
	from.signUp(0)
	to.signUp(1)
	folder := t.TempDir()
	pictures := writePictures(t, folder, 300, "one.jpg", "two.jpg", "three.jpg", "four.jpg")
	configs := [2]string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for i, p := range []*person{from, to} {
		if out, status := s.killr(configs[i], p.password, "login", "--name", p.name); status != 0 {
			t.Fatal(out)
		}
	}
	var ids []string
	for _, picture := range pictures { // one after the other, so that their order is known
		out, status := s.killr(configs[0], "", "upload", picture)
		address, _, ok := strings.Cut(out, " ")
		if status != 0 || !ok {
			t.Fatal(out)
		}
		ids = append(ids, address[strings.LastIndexByte(address, '/')+1:])
	}
	changes := 0
	change := func(path string, fields url.Values) {
		t.Helper()
		changes++
		fields.Set("key", fmt.Sprint("takeout-and-import-", changes))
		if got := from.form(0, path, fields); got.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, got.status, got.texts(".problem"))
		}
	}
	change("/me/photos/"+ids[0], url.Values{"title": {"Half / Dome & <more>"}, "description": {"First.\nSecond: é"},
		"tags": {"granite, blue hour"}, "taken": {"1927-04-10"}, "visibility": {"public"}, "licence": {"by-sa"},
		"download": {"everybody"}})
	change("/me/photos/"+ids[1], url.Values{"title": {"Hidden"}, "visibility": {"private"}})
	change("/me/photos/"+ids[2], url.Values{"title": {""}, "tags": {"alone"}, "visibility": {"public"}})
	change("/me/photos/"+ids[1], url.Values{"visibility": {"unlisted"}})
	change("/me/albums", url.Values{"do": {"make"}, "title": {"Yosemite"}, "description": {"The valley"}})
	change("/me/albums", url.Values{"do": {"make"}, "title": {"Secret"}})
	change("/me/albums", url.Values{"do": {"make"}, "title": {"Cliffs"}, "parent": {"Yosemite"}})
	change("/me/albums", url.Values{"do": {"add"}, "album": {"Yosemite"}, "photos": {ids[2] + "," + ids[0]}})
	change("/me/albums", url.Values{"do": {"add"}, "album": {"Yosemite / Cliffs"}, "photos": {ids[1]}})

	change("/me/albums", url.Values{"do": {"add"}, "album": {"Secret"}, "photos": {ids[0]}})
	for title, visibility := range map[string]string{"Secret": "private", "Cliffs": "unlisted"} {
		id := s.count("SELECT a.id FROM albums a WHERE a.title = '" + title + "'")
		change(fmt.Sprint("/me/albums/", id), url.Values{"do": {"show"}, "visibility": {visibility}})
	}

	exported := filepath.Join(folder, "imogen.zip")
	before := from.takeout(exported)
	if len(before.Photos) != 4 || len(before.Albums) != 3 || len(before.Albums[0].Photos) != 2 ||
		before.Albums[0].Visibility != "public" || before.Albums[1].Visibility != "private" ||
		before.Albums[2].Visibility != "unlisted" {
		t.Fatalf("taken out: %+v", before)
	}
	last := before.Photos[3].File

	out, status := s.killr(configs[1], "", "import", "--parallel", "1", exported)
	if status != 0 || !strings.HasSuffix(out, "4 imported, 0 there before, 0 failed, 3 albums\n") {
		t.Fatalf("%d: %s", status, out)
	}
	imported := filepath.Join(folder, "berenice.zip")
	if got, want := alike(to.takeout(imported)), alike(before); !reflect.DeepEqual(got, want) {
		t.Errorf("imported %+v, exported %+v", got, want)
	}

	// Somebody has changed a photo since; and a run that was cut short has left another one without its texts.
	count := s.count("SELECT count(*) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = 'berenice'")
	s.exec("UPDATE photos p SET title = 'Changed' FROM users u WHERE u.id = p.user_id AND u.name = 'berenice' " +
		"AND p.title = 'four'")
	s.exec("DELETE FROM photo_tags t USING photos p, users u WHERE p.id = t.photo_id AND u.id = p.user_id " +
		"AND u.name = 'berenice' AND p.title LIKE 'Half%'")
	s.exec("UPDATE photos p SET title = 'Half - Dome & <more>', description = '', taken_at = NULL, " +
		"licence = 'reserved', downloadable = false FROM users u WHERE u.id = p.user_id AND u.name = 'berenice' AND p.title LIKE 'Half%'")
	unpacked := filepath.Join(folder, "unpacked")
	unpack(t, exported, unpacked)
	out, status = s.killr(configs[1], "", "import", unpacked)
	if status != 0 || !strings.HasSuffix(out, "0 imported, 4 there before, 0 failed, 3 albums\n") {
		t.Fatalf("again, %d: %s", status, out)
	}
	if n := s.count("SELECT count(*) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = 'berenice'"); n !=
		count {
		t.Errorf("there are %d photos, and were %d", n, count)
	}
	if n := s.count("SELECT count(*) FROM photos WHERE title = 'Changed'"); n != 1 {
		t.Error("what the person has changed since is overwritten")
	}
	if got, want := alike(to.takeout(imported)).Photos[0], alike(before).Photos[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("a photo that was cut short is %+v, want %+v", got, want)
	}
	if n := s.count("SELECT count(*) FROM album_photos m JOIN users u ON u.id = m.user_id " +
		"WHERE u.name = 'berenice'"); n != 4 {
		t.Errorf("%d places in albums", n)
	}

	// A file that is damaged is named, and the others go through.
	must(t, os.WriteFile(filepath.Join(unpacked, last), []byte("damaged"), 0o600))
	if out, status := s.killr(configs[1], "", "import", unpacked); status != 1 ||
		!strings.Contains(out, "3 there before, 1 failed") || !strings.Contains(out, "damaged") {
		t.Errorf("a damaged file, %d: %s", status, out)
	}
}

// unpack writes what a zip file has into a folder.
func unpack(t *testing.T, file, folder string) {
	t.Helper()
	r, err := zip.OpenReader(file)
	must(t, err)
	defer r.Close()
	for _, f := range r.File {
		path := filepath.Join(folder, filepath.FromSlash(f.Name))
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		from, err := f.Open()
		must(t, err)
		data, err := io.ReadAll(from)
		must(t, err)
		must(t, os.WriteFile(path, data, 0o600))
	}
}

// TestTakeoutInBrowser: a person chooses a licence for photos, allows downloads, and has a zip file made, in a browser.
func TestTakeoutInBrowser(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	p := s.person("lee")
	p.signUp(0)
	first := s.post("lee", 6)
	parent := browser(t)
	b := s.signedInTab(t, parent, p)
	press := func(what string) {
		t.Helper()
		ask[bool](b, `([...document.querySelectorAll("main button")].find((b) => b.textContent === "`+what+
			`").click(), true)`)
	}
	choose := func() {
		t.Helper()
		const boxes = `[...document.querySelectorAll(".pick")]`
		b.becomes(boxes + `.length === 6 && !!document.querySelector(".tools [role=status]")`)
		ask[bool](b, `(`+boxes+`[5].click(), true)`) // the first one
		b.becomes(boxes + `.filter((box) => box.checked).length === 1`)
	}
	b.open("/me/photos")
	choose()
	ask[bool](b, `(document.querySelector(".tools select[name=licence]").value = "by-nc", true)`)
	press("Set licence")
	b.becomes(`location.search.includes("notice=changed")`)
	b.open("/me/photos")
	choose()
	press("Allow downloads")
	b.becomes(`location.search.includes("notice=changed")`)
	photo := fmt.Sprint("/photo/", first)
	b.open(photo)
	b.becomes(`document.querySelector("a[rel=license]")?.textContent === "CC BY-NC 4.0" &&
		!!document.querySelector("a[href='` + photo + `/original']")`)
	s.person("").get(1, photo+"/original").expect(http.StatusOK, "")
	b.open("/me/takeout")
	press("Make a zip file")
	b.becomes(`location.search === "?notice=takeout" && !!document.querySelector("main li")`)
	testenv.Eventually(t, "the zip file is ready", func() bool {
		b.open("/me/takeout")
		return ask[bool](b, `!!document.querySelector("main li a[download]")`)
	})
	b.noProblems()
	for i, path := range []string{"/me/takeout", photo, fmt.Sprint("/me/photos/", first), "/me/photos", "/me/profile"} {
		openPage(t, parent, s.urls[i%2]+path, 360, i%2 == 0)
		openPage(t, parent, s.urls[i%2]+path, 1440, i%2 == 1)
	}
}
