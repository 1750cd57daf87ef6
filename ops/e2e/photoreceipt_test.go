package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/templates"
)

// TestPhotoReceipts: people delete photos for good, one, several and all, with and without script and by a program, and
// read what has become of them.
func TestPhotoReceipts(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	p := s.person("berenice")
	p.signUp(0)
	t.Run("forms", func(t *testing.T) {
		s.t = t
		photoReceipts(t, s, p)
	})
	chromium := browser(t)
	for name, script := range map[string]bool{"script": true, "no script": false} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			receiptsInBrowser(t, chromium, s, p, script)
		})
	}
}

// alone gives a person photos, each with a file of its own, and returns the id of the first one and the ids of the
// files.
func (s *peopleSite) alone(name, title string, count int) (first int, files []string) {
	s.t.Helper()
	store, err := pictures.OpenDir(s.pictures)
	must(s.t, err)
	defer store.Close()
	for i := range count {
		im := image.NewGray(image.Rect(0, 0, 400, 300))
		copy(im.Pix, title+fmt.Sprint(i))
		var file bytes.Buffer
		must(s.t, jpeg.Encode(&file, im, &jpeg.Options{Quality: 100}))
		stored, err := pictures.Ingest(s.t.Context(), store, &file, pictures.Limits{})
		must(s.t, err)
		files = append(files, stored.ID)
		s.exec(fmt.Sprintf("INSERT INTO images (id, bytes, width, height, color) VALUES ('%s', %d, %d, %d, %d)",
			stored.ID, stored.Bytes, stored.Width, stored.Height, stored.Color))
		s.exec(fmt.Sprintf("INSERT INTO photos (user_id, image_id, width, height, color, title) "+
			"SELECT u.id, i.id, i.width, i.height, i.color, '%s %d' FROM users u, images i "+
			"WHERE u.name = '%s' AND i.id = '%s'", title, i, name, stored.ID))
	}
	return s.count("SELECT min(id) FROM photos WHERE title = '" + title + " 0'"), files
}

// done waits until a receipt is complete, and every edge is named in it unless nobody was shown the photos.
func (p *person) done(path string) (r templates.PhotoReceipt) {
	p.s.t.Helper()
	if !strings.HasPrefix(path, "/me/receipt?id=") {
		p.s.t.Fatalf("the form leads to %q", path)
	}
	p.header.Set("Accept", "application/json")
	defer p.header.Del("Accept")
	testenv.Eventually(p.s.t, "the receipt is complete", func() bool {
		answer := p.get(2, path)
		r = templates.PhotoReceipt{}
		must(p.s.t, json.Unmarshal([]byte(answer.body), &r))
		return r.Complete && (r.Version == 0 || len(r.Edges) == len(p.s.urls))
	})
	return r
}

// photoReceipts: one photo, several, and all in the bin go for good; every edge has shown nothing of them by then,
// their files are gone, and nobody else reads the receipts.
func photoReceipts(t *testing.T, s *peopleSite, p *person) {
	visitor, other := s.person(""), s.person("lisette")
	other.signUp(1)
	first, files := s.alone(p.name, "Changing New York", 6)
	var addresses []string
	for i := range files {
		path := fmt.Sprint("/photo/", first+i)
		addresses = append(addresses, path, pictureLink.FindString(visitor.get(0, path).body))
	}
	for i := range s.urls { // each edge keeps a copy
		for _, address := range addresses {
			if got := visitor.get(i, address); got.status != http.StatusOK {
				t.Errorf("edge %d: %s has status %d", i, address, got.status)
			}
		}
	}
	size := 0
	for _, id := range files {
		size += s.files(id)
	}
	ids := make([]string, len(files))
	for i := range ids {
		ids[i] = fmt.Sprint(first + i)
	}
	p.form(0, "/me/photos", url.Values{"photos": ids, "do": {"bin"}})
	one := url.Values{"photos": ids[:1], "do": {"remove"}}
	removed := p.form(1, "/me/bin", one)
	if again := p.form(3, "/me/bin", one); again.header.Get("Location") != removed.header.Get("Location") {
		t.Errorf("sent again it leads to %q, not %q", again.header.Get("Location"), removed.header.Get("Location"))
	}
	receipts := []string{removed.header.Get("Location"),
		p.form(2, "/me/bin", url.Values{"photos": ids[1:3], "do": {"remove"}}).header.Get("Location")}
	writes, reads := s.program(p.token(0, "writer", "write")), s.program(p.token(0, "reader", "read"))
	var bin struct {
		Count    int
		Seen     string
		Receipts []struct{ ID int64 }
	}
	must(t, json.Unmarshal([]byte(reads.get(3, "/me/bin").body), &bin))
	if bin.Count != 3 || len(bin.Receipts) != 2 {
		t.Errorf("a program reads of the bin %+v", bin)
	}
	empty := url.Values{"do": {"empty"}, "seen": {bin.Seen}, "key": {"emptied-by-a-program"}}
	if got := reads.form(0, "/me/bin", empty); got.status != http.StatusForbidden {
		t.Errorf("a token that may only read: %d", got.status)
	}
	var emptied struct{ Receipt string }
	must(t, json.Unmarshal([]byte(writes.form(0, "/me/bin", empty).body), &emptied))
	receipts = append(receipts, emptied.Receipt)

	freed := 0
	for i, path := range receipts {
		r := p.done(path)
		if want := i + 1; r.Photos != want || r.Files != want || r.FilesRemoved != want || r.FilesKept != 0 {
			t.Errorf("of %d photos: %+v", want, r)
		}
		for _, e := range r.Edges {
			if e.Since.IsZero() || e.Since.Before(r.HiddenAt.Add(-time.Minute)) {
				t.Errorf("edge %s knows it since %s, they were hidden at %s", e.Edge, e.Since, r.HiddenAt)
			}
		}
		if r.FilesGoneAt.Before(r.DeletedAt) {
			t.Errorf("the disk was free at %s, deleted at %s", r.FilesGoneAt, r.DeletedAt)
		}
		freed += r.FreedFiles
		if got := p.get(3, path); got.status != http.StatusOK || len(got.texts("h1")) != 1 {
			t.Errorf("the page of the receipt: %d", got.status)
		}
		if got := other.get(1, path); got.status != http.StatusNotFound || !other.knows(1) {
			t.Errorf("somebody else gets the receipt with %d", got.status)
		}
		visitor.get(0, path).expect(http.StatusSeeOther, "/signin?next="+url.QueryEscape(path))
		must(t, json.Unmarshal([]byte(reads.get(1, path).body), &r))
		if r.Photos != i+1 {
			t.Errorf("a program reads %+v", r)
		}
	}
	if freed != size {
		t.Errorf("the receipts say that %d files are gone, there were %d", freed, size)
	}
	for _, id := range files {
		if n := s.files(id); n != 0 {
			t.Errorf("%d files of %s are left", n, id)
		}
	}
	for i := range s.urls {
		for _, address := range addresses {
			if got := visitor.get(i, address); got.status != http.StatusNotFound {
				t.Errorf("edge %d shows %s: %d", i, address, got.status)
			}
		}
	}
	if got := reads.get(0, "/me/receipt?id=999999"); got.status != http.StatusNotFound {
		t.Errorf("a program that asks for no receipt: %d", got.status)
	}
	p.send(http.MethodPost, s.urls[0]+receipts[0], "application/x-www-form-urlencoded", "key="+strings.Repeat("k", 26)).
		expect(http.StatusMethodNotAllowed, "")
}

// receiptsInBrowser: one photo, several, and all go for good in Chromium, and each time the receipt is shown.
func receiptsInBrowser(t *testing.T, chromium context.Context, s *peopleSite, p *person, script bool) {
	title := fmt.Sprint("Bowery ", script)
	first, files := s.alone(p.name, title, 6)
	ids := make([]string, len(files))
	for i := range ids {
		ids[i] = fmt.Sprint(first + i)
	}
	p.form(0, "/me/photos", url.Values{"photos": ids, "do": {"bin"}})
	b := newTab(t, chromium, s.urls[1])
	b.setCookies(p.cookies())
	if !script {
		b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled,
				emulation.SetScriptExecutionDisabledParams{Value: true})
			return err
		}))
	}
	click := func(selector string) {
		t.Helper()
		ask[bool](b, `(document.querySelector("`+selector+`").click(), true)`)
	}
	says := func(name, heading string) {
		t.Helper()
		b.becomes(`document.querySelector("h1")?.textContent === "` + heading + `"`)
		path := ask[string](b, `location.pathname + location.search`)
		r := p.done(path)
		b.open(path)
		b.becomes(`document.querySelector("main [role=status]").textContent.trim() === "Everything below is done."`)
		if r.FilesRemoved != r.Photos {
			t.Errorf("%s: %+v", name, r)
		}
		if script {
			b.isForEverybody(name)
		}
		b.open("/me/bin")
	}
	b.open("/me/bin")
	b.pick(0)
	click("button[value=remove]")
	says("receipt of one photo", "1 photo is deleted for good")
	b.pick(0, 1)
	click("button[value=remove]")
	says("receipt of several photos", "2 photos are deleted for good")
	click("details.sure summary")
	click("button[value=empty]")
	says("receipt of an emptied bin", "3 photos are deleted for good")
	b.becomes(`document.querySelector(".empty p").textContent === "The bin is empty."`)
	if script {
		click("details.sure summary")
		b.isForEverybody("bin with receipts")
	}
	b.noProblems()
}
