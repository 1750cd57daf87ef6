package e2e

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// post gives a person photos of several shapes, of which every fifth is private, and returns the id of the first one.
func (s *peopleSite) post(name string, count int) (first int) {
	s.t.Helper()
	store, err := pictures.OpenDir(s.pictures)
	must(s.t, err)
	defer store.Close()
	shapes := [...][2]int{{1200, 800}, {800, 1000}, {1000, 1000}, {1400, 600}}
	ids := make([]string, len(shapes))
	for i, shape := range shapes {
		picture := image.NewRGBA(image.Rect(0, 0, shape[0], shape[1]))
		for y := range shape[1] {
			for x := range shape[0] {
				down, right := byte(255*y/shape[1]), byte(255*x/shape[0])
				picture.SetRGBA(x, y, color.RGBA{byte(40 + 50*i), down, right, 255})
			}
		}
		var file bytes.Buffer
		must(s.t, jpeg.Encode(&file, picture, nil))
		stored, err := pictures.Ingest(s.t.Context(), store, &file, pictures.Limits{})
		must(s.t, err)
		ids[i] = stored.ID
		s.exec(fmt.Sprintf("INSERT INTO images (id, bytes, width, height, color) VALUES ('%s', %d, %d, %d, %d) "+
			"ON CONFLICT DO NOTHING", stored.ID, stored.Bytes, stored.Width, stored.Height, stored.Color))
	}
	for i := range count {
		s.exec(fmt.Sprintf("INSERT INTO photos (user_id, image_id, width, height, color, title, private) "+
			"SELECT u.id, i.id, i.width, i.height, i.color, '%s %d', %t FROM users u, images i "+
			"WHERE u.name = '%s' AND i.id = '%s'", name, i, i%5 == 4, name, ids[i%len(ids)]))
	}
	return s.count("SELECT min(id) FROM photos WHERE title = '" + name + " 0'")
}

// ownPhotos: a person changes and deletes their own photos over four edges, without script, and nobody else's.
func ownPhotos(t *testing.T, s *peopleSite) {
	p, other, visitor := s.person("consuelo"), s.person("minor"), s.person("")
	p.signUp(0)
	other.signUp(0)
	first := s.post("consuelo", 10)
	photo, form := fmt.Sprint("/photo/", first), fmt.Sprint("/me/photos/", first)
	picture, hidden := fmt.Sprintf("/me/pictures/%d/640.jpg", first), fmt.Sprintf("/me/pictures/%d/640.jpg", first+4)
	shows := func(edge int, path, text string) bool {
		got := visitor.get(edge, path)
		return got.status == http.StatusOK && strings.Contains(got.body, text)
	}
	for i := range s.urls { // each edge keeps the pages of before
		testenv.Eventually(t, "the photo is shown", func() bool { return shows(i, photo, "consuelo 0") })
	}

	for _, path := range []string{"/me/photos", form, "/me/bin", picture} {
		visitor.get(1, path).expect(http.StatusSeeOther, "/signin?next="+url.QueryEscape(path))
	}
	for _, path := range []string{form, picture, hidden, "/me/photos/999999"} {
		other.get(1, path).expect(http.StatusNotFound, "")
	}
	mine := url.Values{"title": {"Mine"}, "tags": {"mine"}, "visibility": {"public"}, "key": {strings.Repeat("k", 26)}}
	other.form(1, form, mine).expect(http.StatusNotFound, "")
	other.form(1, "/me/photos", url.Values{"photos": {fmt.Sprint(first)}, "do": {"bin"},
		"key": {strings.Repeat("l", 26)}}).expect(http.StatusUnprocessableEntity, "")
	for _, path := range []string{picture, hidden} {
		got := p.get(2, path)
		got.expect(http.StatusOK, "")
		if im, err := jpeg.DecodeConfig(strings.NewReader(got.body)); err != nil || im.Width != 640 ||
			got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: %v, %v, %v", path, got.header, im, err)
		}
	}
	p.send(http.MethodPost, s.urls[0]+picture, "application/x-www-form-urlencoded", "key="+strings.Repeat("k", 26)).
		expect(http.StatusMethodNotAllowed, "")

	refused := p.form(0, form, url.Values{"title": {strings.Repeat("x", 201)}, "tags": {"sea, Lake"},
		"description": {"By <night>"}, "visibility": {"private"}})
	refused.expect(http.StatusUnprocessableEntity, "")
	if refused.attr("#tags", "value") != "sea, Lake" || refused.attr("option[selected]", "value") != "private" ||
		strings.Join(refused.texts("#description"), "") != "By <night>" || len(refused.texts(".problem")) != 1 {
		t.Errorf("something that was typed is lost: %q", refused.texts(".problem"))
	}
	p.form(0, form, url.Values{"title": {"Farm <noon>"}, "description": {""}, "tags": {"Sea, blue  hour"},
		"taken": {"1944-05-01"}, "visibility": {"public"}}).expect(http.StatusSeeOther, photo)
	for i := range s.urls {
		got := p.get(i, photo)
		if said := strings.Join(got.texts("h1, .tags li, dd"), "|"); said != "Farm <noon>|blue hour|sea|1 May 1944" {
			t.Errorf("edge %d shows the writer %q", i, said)
		}
		testenv.Eventually(t, "everybody sees the change", func() bool { return shows(i, photo, "Farm &lt;noon&gt;") })
	}
	p.form(1, form, url.Values{"title": {"Farm"}, "visibility": {"private"}}).
		expect(http.StatusSeeOther, form+"?notice=saved")
	for i := range s.urls {
		if got := p.get(i, photo); got.status != http.StatusNotFound {
			t.Errorf("edge %d shows a photo that is private now: %d", i, got.status)
		}
		testenv.Eventually(t, "nobody sees it", func() bool { return visitor.get(i, photo).status == 404 })
	}

	list := p.get(0, "/me/photos")
	if got := len(list.texts(".badge")); got != 3 {
		t.Errorf("%d photos are marked as private", got)
	}
	several := []string{fmt.Sprint(first + 1), fmt.Sprint(first + 2), fmt.Sprint(first + 4)}
	tagged := func(edge int, do, tag string) {
		t.Helper()
		notice := map[string]string{"tag": "tagged", "untag": "untagged"}[do]
		p.form(edge, "/me/photos", url.Values{"photos": several, "do": {do}, "tag": {tag}}).
			expect(http.StatusSeeOther, "/me/photos?"+url.Values{"notice": {notice}, "undo-tag": {tag},
				"undo": {strings.Join(several, ",")}}.Encode())
	}
	tagged(0, "tag", "Barn")
	back := p.get(1, "/me/photos?"+url.Values{"notice": {"tagged"}, "undo": {strings.Join(several, ",")},
		"undo-tag": {"Barn"}}.Encode())
	if do, tag := back.attr(".undo button", "value"), back.attr(".undo [name=tag]", "value"); do != "untag" ||
		tag != "Barn" {
		t.Errorf("what takes a tag back does %q with %q", do, tag)
	}
	tagged(1, "untag", "Barn")
	tagged(0, "tag", "Farm")
	if got := p.get(3, fmt.Sprint("/photo/", first+2)).texts(".tags li"); strings.Join(got, "") != "farm" {
		t.Errorf("tags %q", got)
	}
	gone := fmt.Sprint("/photo/", first+1)
	picture = pictureLink.FindString(p.get(2, gone).body)
	for i := range s.urls {
		if got := p.get(i, picture); got.status != http.StatusOK {
			t.Errorf("edge %d: %s has status %d", i, picture, got.status)
		}
	}
	deleted := p.form(2, "/me/photos", url.Values{"photos": several, "do": {"bin"},
		"list": {"visibility=private"}})
	undo := "/me/photos?" + url.Values{"notice": {"binned"}, "visibility": {"private"},
		"undo": {strings.Join(several, ",")}}.Encode()
	deleted.expect(http.StatusSeeOther, undo)
	for i := range s.urls {
		for _, path := range []string{gone, picture} {
			if got := p.get(i, path); got.status != http.StatusNotFound {
				t.Errorf("edge %d shows %s, of a photo in the bin: %d", i, path, got.status)
			}
		}
	}
	offered := p.get(3, undo)
	p.form(3, "/me/bin", url.Values{"photos": {offered.attr(".undo [name=photos]", "value")}, "do": {"restore"},
		"to": {"photos"}, "key": {offered.attr(".undo [name=key]", "value")}}).
		expect(http.StatusSeeOther, "/me/photos?notice=restored")
	for i := range s.urls {
		if got := p.get(i, gone); got.status != http.StatusOK {
			t.Errorf("edge %d does not show a photo that is back: %d", i, got.status)
		}
		testenv.Eventually(t, "everybody sees it again", func() bool { return visitor.get(i, gone).status == 200 })
	}
	p.form(0, "/me/photos", url.Values{"photos": several, "do": {"bin"}})
	bin := p.get(1, "/me/bin")
	if got := len(bin.texts(".organise li")); got != 3 {
		t.Errorf("%d photos are in the bin", got)
	}
	empty := url.Values{"do": {"empty"}, "seen": {bin.attr("[name=seen]", "value")}}
	if got := p.form(1, "/me/bin", empty).header.Get("Location"); !strings.HasPrefix(got, "/me/receipt?id=") {
		t.Errorf("emptying the bin leads to %q", got)
	}
	if n := s.count("SELECT count(*) FROM photos WHERE title LIKE 'consuelo %'"); n != 6 { // one is called Farm now
		t.Errorf("%d photos are left", n)
	}
}

// ownInBrowser: somebody finds the form of their photo from its page, chooses many photos at once, and takes a deletion
// back, in Chromium.
func ownInBrowser(t *testing.T, parent context.Context, s *peopleSite, name string) {
	other := s.post("sally", 1)
	first := s.post(name, 14)
	b := newTab(t, parent, s.urls[3])
	b.open(fmt.Sprint("/photo/", other))
	b.becomes(`!!document.querySelector(".keys")`) // the last thing that the script adds
	if ask[bool](b, `[...document.querySelectorAll(".facts a")].some((a) => a.textContent === "Edit")`) {
		t.Error("somebody else's photo has a link to its form")
	}
	b.open(fmt.Sprint("/photo/", first))
	edit := `[...document.querySelectorAll(".facts a")].find((a) => a.textContent === "Edit")`
	b.becomes(`!!` + edit)
	ask[bool](b, `(`+edit+`.click(), true)`)
	b.becomes(fmt.Sprintf(`location.pathname === "/me/photos/%d"`, first) + ` &&
		!!document.querySelector("#tags")?.list`)
	ask[bool](b, `(document.querySelector("#title").value += " in the park", true)`)
	// Not by SendKeys: a node that it has found may be another one when it types.
	ask[bool](b, `(document.querySelector("#tags").focus(), true)`)
	b.do(chromedp.KeyEvent("park, "))
	ask[bool](b, `(document.querySelector("main button").click(), true)`)
	b.becomes(fmt.Sprintf(`location.pathname === "/photo/%d" && document.querySelector("h1").textContent === "%s" &&
		document.querySelector(".tags").textContent.trim() === "park"`, first, name+" 0 in the park"))

	b.open("/me/photos")
	const boxes = `[...document.querySelectorAll(".pick")]`
	b.becomes(boxes + `.length === 14 && !!document.querySelector(".tools [role=status]")`)
	ask[bool](b, `(`+boxes+`[1].click(), `+boxes+`[4].dispatchEvent(new MouseEvent("click",
		{ shiftKey: true, bubbles: true, cancelable: true })), true)`)
	b.becomes(boxes + `.filter((box) => box.checked).length === 4 &&
		document.querySelector(".tools [role=status]").textContent === "4 chosen"`)
	openPage(t, parent, s.urls[0]+"/me/photos", 360, true)
	openPage(t, parent, s.urls[0]+"/me/photos", 1440, false)
	openPage(t, parent, fmt.Sprint(s.urls[0], "/me/photos/", first), 360, false)
	openPage(t, parent, fmt.Sprint(s.urls[0], "/me/photos/", first+4), 1440, true)
	press := func(what string) {
		t.Helper()
		ask[bool](b, `([...document.querySelectorAll("main button")].find((b) => b.textContent === "`+what+
			`").click(), true)`)
	}
	press("Delete")
	b.becomes(`location.search.includes("notice=binned") && ` + boxes + `.length === 10`)
	openPage(t, parent, s.urls[0]+"/me/bin", 360, false)
	openPage(t, parent, s.urls[0]+"/me/bin", 1440, true)
	press("Undo")
	b.becomes(`location.search === "?notice=restored" && ` + boxes + `.length === 14`)
	press("Choose all")
	press("Make private")
	b.becomes(`location.search.startsWith("?notice=hidden&undo=") &&
		document.querySelectorAll(".badge").length === 14`)
	press("Undo") // the two that were private before stay so
	b.becomes(`location.search.startsWith("?notice=shown") && document.querySelectorAll(".badge").length === 2`)
	b.noProblems()
}
