package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/cli"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// newPicture makes a JPEG that is unlike any other. Its size in bytes grows with the square of side.
func newPicture(t testing.TB, side int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, side*3/2, side))
	random := rand.NewPCG(rand.Uint64(), 1)
	for i := 0; i+8 <= len(m.Pix); i += 8 {
		binary.LittleEndian.PutUint64(m.Pix[i:], random.Uint64())
	}
	for x := range side { // something that a person can tell from noise
		for y := range side / 2 {
			m.Set(x, y, color.RGBA{R: uint8(random.Uint64()&15) + uint8(x*200/side), G: 90, B: 160, A: 255})
		}
	}
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}))
	return b.Bytes()
}

// writePictures writes pictures to files of these names and returns their paths.
func writePictures(t testing.TB, folder string, side int, names ...string) (paths []string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(folder, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, newPicture(t, side), 0o644))
		paths = append(paths, path)
	}
	return paths
}

// TestUploads is the way of files from people to pages, over four edges. Its parts share a site and a person.
func TestUploads(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	p := s.person("vivian")
	p.signUp(0)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *peopleSite, *person)
	}{
		{"resumed elsewhere", uploadResumed},
		{"by a form", uploadByForm},
		{"by killr", uploadByProgram},
		{"hostile files", uploadHostile},
		{"hostile names", uploadNamed},
		{"in a browser", uploadInBrowser},
		{"in a browser without script", uploadWithoutScript},
	} {
		t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.run(t, s, p)
		})
	}
}

// tus sends a request of tus.
func (p *person) tus(method string, edge int, path string, body []byte, fields ...string) *shown {
	p.s.t.Helper()
	one := *p
	one.header = http.Header{"Tus-Resumable": {"1.0.0"}, "Origin": {p.s.urls[edge]}}
	for i := 0; i < len(fields); i += 2 {
		one.header.Set(fields[i], fields[i+1])
	}
	return one.send(method, p.s.urls[edge]+path, "", string(body))
}

// isShown waits until each edge shows a photo and a small picture of it.
func (s *peopleSite) isShown(p *person, path, title string) {
	s.t.Helper()
	for edge := range s.urls {
		testenv.Eventually(s.t, fmt.Sprintf("edge %d shows %s", edge, path), func() bool {
			page := p.get(edge, path)
			return page.status == http.StatusOK && strings.Contains(page.attr("meta[property='og:title']", "content"),
				title) && p.get(edge, page.attr(".stage img", "src")).header.Get("Content-Type") == "image/jpeg"
		})
	}
}

// uploadResumed: a file that arrives in two parts, at two edges, is a photo at all of them.
func uploadResumed(t *testing.T, s *peopleSite, p *person) {
	file := newPicture(t, 1000)
	if len(file) < wire.MaxChunk+1000 {
		t.Fatalf("the picture has only %d bytes", len(file))
	}
	made := p.tus(http.MethodPost, 0, "/upload/files", nil, "Upload-Length", strconv.Itoa(len(file)),
		"Upload-Metadata", "filename TGFrZSBhdCBkYXduLmpwZw==")
	made.expect(http.StatusCreated, made.header.Get("Location"))
	path := made.header.Get("Location")
	const kind = "application/offset+octet-stream"
	p.tus(http.MethodPatch, 1, path, file[:wire.MaxChunk+1000], "Upload-Offset", "0", "Content-Type", kind)
	at := p.tus(http.MethodHead, 2, path, nil)
	if got := at.header.Get("Upload-Offset"); got != strconv.Itoa(wire.MaxChunk) {
		t.Errorf("another edge is at %s, want %d", got, wire.MaxChunk)
	}
	done := p.tus(http.MethodPatch, 2, path, file[wire.MaxChunk:], "Upload-Offset", strconv.Itoa(wire.MaxChunk),
		"Content-Type", kind)
	done.expect(http.StatusNoContent, "")
	s.isShown(p, done.header.Get("Killr-Photo"), "Lake at dawn")
	again := p.tus(http.MethodPost, 3, "/upload/files", file, "Upload-Length", strconv.Itoa(len(file)), "Content-Type",
		kind)
	if again.header.Get("Killr-Duplicate") != "1" ||
		again.header.Get("Killr-Photo") != done.header.Get("Killr-Photo") {
		t.Errorf("the same file: %d %v", again.status, again.header)
	}
	page := "<!doctype html><script>alert(1)</script>"
	refused := p.tus(http.MethodPost, 0, "/upload/files", []byte(page), "Upload-Length", strconv.Itoa(len(page)),
		"Content-Type", kind)
	if refused.status != http.StatusUnprocessableEntity || !strings.Contains(refused.body, "web page") {
		t.Errorf("a web page: %d %s", refused.status, refused.body)
	}
	nobody := s.person("")
	nobody.tus(http.MethodHead, 0, path, nil).expect(http.StatusUnauthorized, "")
}

// uploadByForm: the page of the form has a line for each file, and a form that is sent again makes nothing twice.
func uploadByForm(t *testing.T, s *peopleSite, p *person) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	must(t, w.WriteField("key", p.get(0, "/upload").attr("input[name=key]", "value")))
	must(t, w.WriteField("album", "Birds"))
	for name, data := range map[string][]byte{"Heron.jpg": newPicture(t, 300), "notes.jpg": []byte("Some notes.")} {
		part, err := w.CreateFormFile("file", name)
		must(t, err)
		_, err = part.Write(data)
		must(t, err)
	}
	must(t, w.Close())
	var photos []string
	for edge := range 2 {
		answer := p.send(http.MethodPost, s.urls[edge]+"/upload", w.FormDataContentType(), body.String())
		answer.expect(http.StatusOK, "")
		if lines := answer.texts(".sent li"); len(lines) != 2 || answer.attr(".sent a", "href") == "" ||
			len(answer.texts(".sent .problem")) != 1 {
			t.Fatalf("lines %q", lines)
		}
		photos = append(photos, answer.attr(".sent a", "href"))
	}
	if photos[0] != photos[1] {
		t.Errorf("photos %q", photos)
	}
	s.isShown(p, photos[0], "Heron")
	if got := p.get(1, photos[0]).texts(`main a[href^="/album/"]`); !slices.Equal(got, []string{"Birds"}) {
		t.Errorf("the photo is in the albums %q", got)
	}
}

// uploadByProgram: `killr upload` uploads a folder, and the second time nothing of it.
func uploadByProgram(t *testing.T, s *peopleSite, p *person) {
	folder, config := t.TempDir(), filepath.Join(t.TempDir(), "config")
	writePictures(t, folder, 300, "one.jpg", "trip/two.jpg", "trip/three.JPG")
	killr := func(input string, args ...string) string {
		var out bytes.Buffer
		program := cli.Program{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &out}
		args = append(args, "--config", config, "--edge", s.urls[1])
		if status := program.Run(t.Context(), args); status != 0 {
			t.Errorf("%q: status %d, %s", args, status, out.String())
		}
		return out.String()
	}
	killr(p.password, "login", "--name", p.name)
	first := killr("", "upload", folder)
	if !strings.HasSuffix(first, "3 uploaded, 0 there before, 0 failed\n") {
		t.Errorf("%s", first)
	}
	for line := range strings.Lines(first) {
		if address, path, ok := strings.Cut(strings.TrimSpace(line), " /"); ok {
			title := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			s.isShown(p, strings.TrimPrefix(address, s.urls[1]), title)
		}
	}
	for range 2 { // the second time nothing changes
		into := killr("", "upload", folder, "--album", "Three")
		if !strings.HasSuffix(into, "0 uploaded, 3 there before, 0 failed\n3 in the album Three\n") {
			t.Errorf("into an album: %s", into)
		}
	}
	album := p.get(2, "/photos/"+p.name+"/albums").attr(`.albums a`, "href")
	if got := p.get(3, album).texts("main .grid bdi"); !slices.Equal(got, []string{"one", "three", "two"}) {
		t.Errorf("the album has %q", got)
	}
	if again := killr("", "upload", folder); !strings.HasSuffix(again, "0 uploaded, 3 there before, 0 failed\n") {
		t.Errorf("again: %s", again)
	}
}

// signedInTab is a tab in which the person is signed in.
func (s *peopleSite) signedInTab(t testing.TB, parent context.Context, p *person) *tab {
	t.Helper()
	b := newTab(t, parent, s.urls[1])
	b.open("/signin?next=%2Fupload")
	b.do(chromedp.SendKeys("#name", p.name), chromedp.SendKeys("#password", p.password))
	ask[bool](b, `(document.querySelector("main button").click(), true)`)
	b.becomes(`location.pathname === "/upload" && document.readyState === "complete"`)
	return b
}

// uploadInBrowser: the page's script uploads files, says why one is refused, and goes on after a reload.
func uploadInBrowser(t *testing.T, s *peopleSite, p *person) {
	parent := browser(t)
	b := s.signedInTab(t, parent, p)
	folder := t.TempDir()
	paths := writePictures(t, folder, 300, "a <b>.jpg", "c.jpg", "d.jpg", "e.jpg")
	bad := filepath.Join(folder, "f.jpg")
	must(t, os.WriteFile(bad, []byte("Some notes."), 0o644))
	// The longest time for which a script keeps the page busy, in ms.
	ask[int](b, `(window.longest = 0, new PerformanceObserver((l) => { for (const e of l.getEntries())
		longest = Math.max(longest, e.duration) }).observe({ type: "longtask" }), 0)`)
	ask[bool](b, `(document.querySelector("#album").value = "From a browser", true)`)
	b.do(chromedp.SetUploadFiles("#files", append(paths, bad)))
	b.becomes(`document.querySelectorAll(".row a").length === 4`)
	b.becomes(`document.querySelector(".row .problem")?.textContent.length > 10`)
	b.becomes(`document.querySelector(".all p").textContent === "4 of 5 uploaded, 1 refused."`)
	if href := ask[string](b, `document.querySelector(".row a").getAttribute("href")`); p.get(3, href).status != 200 {
		t.Errorf("the page of the new photo %s: %d", href, p.get(3, href).status)
	} else if got := p.get(3, href).texts(`main a[href^="/album/"]`); !slices.Equal(got, []string{"From a browser"}) {
		t.Errorf("the new photo is in the albums %q", got)
	}
	b.do(chromedp.SetUploadFiles("#files", paths[:1]))
	b.becomes(`document.querySelectorAll(".row").length === 5 || document.querySelectorAll(".row a").length === 5`)
	t.Logf("the longest task took %v ms", ask[float64](b, `longest`))
	uploadAfterReload(t, b, p)
	uploadLeftOut(t, b)
	uploadSignedOut(t, b)
	for _, width := range []int64{360, 1440} {
		for _, scheme := range []string{"light", "dark"} {
			shootUpload(t, b, width, scheme)
		}
	}
	if over := ask[float64](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("%v px wider than the window", over)
	}
	openPage(t, parent, s.urls[2]+"/upload", 360, false)
	openPage(t, parent, s.urls[2]+"/upload", 1440, true)
}

// uploadAfterReload: a file whose upload was cut goes on where it was, when it is chosen again in a new document.
func uploadAfterReload(t *testing.T, b *tab, p *person) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "long.jpg")
	data := newPicture(t, 1000)
	must(t, os.WriteFile(path, data, 0o644))
	at := time.Now().Truncate(time.Second)
	must(t, os.Chtimes(path, at, at))
	made := p.tus(http.MethodPost, 0, "/upload/files", nil, "Upload-Length", strconv.Itoa(len(data)),
		"Upload-Metadata", "filename bG9uZy5qcGc=")
	begun := made.header.Get("Location")
	p.tus(http.MethodPatch, 0, begun, data[:wire.MaxChunk], "Upload-Offset", "0", "Content-Type",
		"application/offset+octet-stream")
	ask[bool](b, fmt.Sprintf(`(localStorage["upload /upload/files long.jpg,%d,%d,visibility,public,album,"] =
		JSON.stringify({ path: %q, at: Date.now() }), true)`, len(data), at.UnixMilli(), begun))
	b.open("/upload")
	b.becomes(`document.querySelector(".all p")?.textContent.startsWith("1 unfinished")`)
	b.do(chromedp.SetUploadFiles("#files", []string{path}))
	b.becomes(`document.querySelectorAll(".row a").length === 1`)
	photo := ask[string](b, `document.querySelector(".row a").getAttribute("href")`)
	if got := p.tus(http.MethodHead, 0, begun, nil).header.Get("Killr-Photo"); got != photo {
		t.Errorf("the upload that was begun is %q, and the page shows %q", got, photo)
	}
	if left := ask[int](b, `Object.keys(localStorage).length`); left != 0 {
		t.Errorf("the browser still remembers %d uploads", left)
	}
}

// leaveOut adds a file to the page, and presses its button "Leave out" once the script has sent a request of a method,
// or, with answered, once that has an answer. The page then shows so many rows.
func leaveOut(t *testing.T, b *tab, method string, answered bool, rows int) {
	t.Helper()
	path := writePictures(t, t.TempDir(), 300, "left.jpg")[0]
	// The button is pressed before the script has the answer.
	ask[bool](b, fmt.Sprintf(`(() => {
		const { open, send } = XMLHttpRequest.prototype;
		window.left = "";
		window.deleted = false;
		const press = () => {
			XMLHttpRequest.prototype.send = send;
			[...document.querySelectorAll(".row button")].at(-1).click();
		};
		XMLHttpRequest.prototype.open = function (method, path) {
			this.method = method;
			if (method === "PATCH" || method === "DELETE") window.left = path;
			if (method === "DELETE") this.addEventListener("loadend", () => { window.deleted = this.status === 204; });
			open.call(this, method, path);
		};
		XMLHttpRequest.prototype.send = function (body) {
			if (this.method !== %q) return send.call(this, body);
			if (!%t) { send.call(this, body); press(); return; }
			fetch(window.left, { method: "PATCH", body, headers: { "Tus-Resumable": "1.0.0", "Upload-Offset": "0",
				"Content-Type": "application/offset+octet-stream" } }).then(press);
		};
		return true;
	})()`, method, answered))
	b.do(chromedp.SetUploadFiles("#files", []string{path}))
	b.becomes(`window.deleted`)
	b.becomes(fmt.Sprintf(`document.querySelectorAll(".row").length === %d`, rows))
}

// uploadLeftOut: a file that is left out while its upload begins leaves no open upload. One that is a photo by then
// keeps its row, which says so.
func uploadLeftOut(t *testing.T, b *tab) {
	t.Helper()
	b.open("/upload")
	leaveOut(t, b, "POST", false, 0)
	if left := ask[int](b, `Object.keys(localStorage).length`); left != 0 {
		t.Errorf("the browser remembers %d uploads that were left out", left)
	}
	b.open("/upload")
	leaveOut(t, b, "PATCH", true, 1)
	b.becomes(`document.querySelectorAll(".row a").length === 1`)
	b.becomes(`document.querySelector(".all p").textContent === "1 of 1 uploaded."`)
}

// uploadSignedOut: a file that is refused because the session has ended, or the disk is full, goes on where it was.
func uploadSignedOut(t *testing.T, b *tab) {
	t.Helper()
	ask[bool](b, `(localStorage["upload /upload/files damaged"] = "{", true)`)
	b.open("/upload")
	b.becomes(`document.querySelector(".all p")?.textContent.startsWith("Choose, drop")`)
	ask[bool](b, `(() => {
		const { open } = XMLHttpRequest.prototype;
		window.begun = [];
		let refused = 0;
		XMLHttpRequest.prototype.open = function (method, path) {
			if (method === "POST") begun.push(path);
			if (method !== "PATCH" || refused === 2) return open.call(this, method, path);
			const status = [507, 401][refused++];
			Object.defineProperty(this, "status", { get: () => status });
			open.call(this, "GET", "/about");
		};
		return true;
	})()`)
	b.do(chromedp.SetUploadFiles("#files", writePictures(t, t.TempDir(), 300, "full.jpg")))
	b.becomes(`document.querySelector(".row .problem")?.textContent.startsWith("Sign in again")`)
	if left := ask[int](b, `Object.keys(localStorage).length`); left != 1 {
		t.Errorf("the browser remembers %d uploads, want the one that goes on", left)
	}
	ask[bool](b, `([...document.querySelectorAll(".all button")].at(-1).click(), true)`)
	b.becomes(`document.querySelectorAll(".row a").length === 1`)
	if n := ask[int](b, `begun.length`); n != 1 {
		t.Errorf("the file began %d times", n)
	}
}

// shootUpload makes a window so wide, and leaves a screenshot where KILLR_SCREENSHOTS says.
func shootUpload(t *testing.T, b *tab, width int64, scheme string) {
	t.Helper()
	b.size(width, 900, width < 600)
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	}))
	if folder := os.Getenv("KILLR_SCREENSHOTS"); folder != "" {
		screenshot(t, b.ctx, filepath.Join(folder, fmt.Sprintf("uploading-%d-%s.jpg", width, scheme)))
	}
}

// uploadWithoutScript: the page's form does it, too.
func uploadWithoutScript(t *testing.T, s *peopleSite, p *person) {
	b := s.signedInTab(t, browser(t), p)
	paths := writePictures(t, t.TempDir(), 300, "g.jpg", "h.jpg")
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.open("/upload")
	b.do(chromedp.SetUploadFiles("#files", paths), chromedp.Click("main form button"))
	b.becomes(`document.querySelectorAll(".sent a").length === 2`)
	b.noProblems()
	if folder := os.Getenv("KILLR_SCREENSHOTS"); folder != "" {
		screenshot(t, b.ctx, filepath.Join(folder, "uploaded-by-form.jpg"))
	}
}
