package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/setup"
	"flickrkillr/ops/testenv"
)

// browser is a headless Chromium with its own profile.
func browser(t testing.TB, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := setup.FindChromium()
	if err != nil {
		t.Fatal(err)
	}
	options := append(append([]chromedp.ExecAllocatorOption(nil), chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses to run as root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}

// visit is what a browser reported while it showed one page.
type visit struct {
	mu       sync.Mutex
	problems []string // console errors, exceptions, failed requests
	requests int
	bytes    int64 // of the page itself, uncompressed
	hosts    map[string]bool
}

// listen collects the problems in a tab. A status in allow is no problem.
func listen(ctx context.Context, allow ...int64) (*visit, error) {
	v := &visit{hosts: map[string]bool{}}
	note := func(format string, args ...any) { v.problems = append(v.problems, fmt.Sprintf(format, args...)) }
	return v, chromedp.Listen(ctx, func(event any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" || e.Type == "warning" {
				note("console.%s: %v", e.Type, e.Args)
			}
		case *runtime.EventExceptionThrown:
			said := ""
			if thrown := e.ExceptionDetails.Exception; thrown != nil {
				said = thrown.Description
			}
			// A visitor who goes on before a page is shown aborts the transition to it, before the page's script can
			// say that this is no error.
			if !strings.Contains(said, "Transition was aborted") {
				note("exception: %v %s", e.ExceptionDetails, said)
			}
		case *cdplog.EventEntryAdded:
			if len(allow) == 0 && e.Entry.Level == cdplog.EntryLevelError {
				note("log: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			v.requests++
			if rest, ok := strings.CutPrefix(e.Request.URL, "http://"); ok {
				host, _, _ := strings.Cut(rest, "/")
				v.hosts[host] = true
			}
		case *network.EventLoadingFailed:
			if !e.Canceled {
				note("failed: %s", e.ErrorText)
			}
		case *network.EventResponseReceived:
			ok := e.Response.Status < 400
			for _, status := range allow {
				ok = ok || e.Response.Status == status
			}
			if !ok {
				note("%d: %s", e.Response.Status, e.Response.URL)
			}
		}
	})
}

// openPage opens a page in a new tab at a width, light or dark, scrolls through it, and checks what must hold for every
// page. If KILLR_SCREENSHOTS names a folder, it leaves a screenshot there.
func openPage(t *testing.T, parent context.Context, url string, width int64, dark bool, allow ...int64) *visit {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	v, err := listen(ctx, allow...)
	if err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	// Layout shifts are summed from the start. Scrolling makes lazy pictures load; then all must be there.
	const watch = `window.__cls = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) if (!e.hadRecentInput) window.__cls += e.value }).observe({type: "layout-shift", buffered: true}); 0`
	const scroll = `(async () => {
		for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
			scrollTo({top: y, behavior: "instant"});
			// Pictures are requested when a frame is drawn, which takes a slow machine a while. A hidden tab draws none.
			await new Promise(r => { requestAnimationFrame(() => requestAnimationFrame(r)); setTimeout(r, 1000) });
		}
		// Pictures beyond the right edge of a strip rightly wait.
		const end = i => (i.closest(".reel") ?? document.documentElement).getBoundingClientRect().right;
		const pictures = [...document.images].filter(i => i.getBoundingClientRect().left < end(i));
		await Promise.race([Promise.all(pictures.map(i => i.complete ? 0 : new Promise(r => { i.onload = i.onerror = r }))), new Promise(r => setTimeout(r, 40000))]);
		scrollTo({top: 0, behavior: "instant"});
		return pictures.filter(i => !i.complete || !i.naturalWidth).map(i => i.currentSrc).join(" ");
	})()`
	steps := []chromedp.Action[chromedp.Void]{
		chromedp.EmulateViewport(
			width, 900,
			func(p *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
				p.Mobile = width < 600
			},
		),
		chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(
				ctx, tab, emulation.SetEmulatedMedia,
				emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				},
			)
			return err
		}),
		chromedp.Navigate(url),
	}
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](watch)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	missing, err := chromedp.Run(ctx, chromedp.Evaluate[string](scroll, chromedp.EvalAwaitPromise))
	if err != nil || missing != "" {
		t.Errorf("%s at %d: pictures that did not arrive: %q, %v", url, width, missing, err)
	}
	if shift, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`window.__cls`)); err != nil || shift != 0 {
		t.Errorf("%s at %d: layout shift %v, %v", url, width, shift, err)
	}
	if over, err := chromedp.Run(
		ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth - innerWidth`),
	); err != nil || over > 0 {
		t.Errorf("%s at %d: %v px wider than the window, %v", url, width, over, err)
	}
	if title, err := chromedp.Run(ctx, chromedp.Title()); err != nil || title == "" {
		t.Errorf("%s: title %q, %v", url, title, err)
	}
	if v.bytes, err = chromedp.Run(
		ctx, chromedp.Evaluate[int64](`performance.getEntriesByType("navigation")[0].decodedBodySize`),
	); err != nil {
		t.Errorf("%s: %v", url, err)
	}
	if options := barriersAt(width, dark); options != "" {
		for _, barrier := range barriers(t, ctx, options) {
			t.Errorf("%s at %d, %s: %s", url, width, scheme, barrier)
		}
	}
	if folder := os.Getenv("KILLR_SCREENSHOTS"); folder != "" {
		screenshot(t, ctx, filepath.Join(folder, fmt.Sprintf("%s-%d-%s.jpg", fileName(url), width, scheme)))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.problems {
		t.Errorf("%s at %d, %s: %s", url, width, scheme, p)
	}
	if len(v.hosts) != 1 {
		t.Errorf("%s: requests to %v", url, v.hosts)
	}
	return v
}

func screenshot(t testing.TB, ctx context.Context, path string) {
	t.Helper()
	b, err := chromedp.Run(ctx, chromedp.FullScreenshot(80))
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

func fileName(url string) string {
	_, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, "page-"+path)
}

// TestBrowsing: what visitors do on one site, in one browser, without changing anything.
func TestBrowsing(t *testing.T) {
	t.Parallel()
	s, chromium := newSite(t, 1, 2), browser(t)
	for name, test := range map[string]func(t *testing.T, s *site, chromium context.Context){
		"every page": everyPage, "keyboard": keyboard, "a photo follows its list": photoFollowsTheList,
		"quick keys": quickKeys, "dialog of keys": keysDialog,
	} {
		t.Run(name, func(t *testing.T) {
			own := *s
			own.t = t
			test(t, &own, chromium)
		})
	}
}

// everyPage opens each kind of page at several widths, light and dark.
func everyPage(t *testing.T, s *site, chromium context.Context) {
	t.Helper()
	tag := column[string](
		s,
		"SELECT t.name FROM tags t JOIN photo_tags pt ON pt.tag_id = t.id GROUP BY t.name ORDER BY count(*) DESC, t.name LIMIT 1",
	)[0]
	album := column[int64](
		s, "SELECT album_id FROM album_photos GROUP BY album_id ORDER BY count(*) DESC, album_id LIMIT 1",
	)[0]
	photo := column[int64](
		s, "SELECT max(p.id) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1 AND NOT private",
		s.names[0],
	)[0]
	older := column[int64](
		s,
		"SELECT id FROM photos p WHERE NOT private AND user_id = (SELECT id FROM users WHERE name = $1) ORDER BY id DESC OFFSET 60 LIMIT 1",
		s.names[0],
	)[0]
	day := column[string](
		s, "SELECT to_char(max(posted_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM photos WHERE NOT private",
	)[0]
	for _, page := range []struct {
		path   string
		status int64
	}{
		{"/", 200},
		{"/photos/" + s.names[0], 200},
		{fmt.Sprintf("/photos/%s/before/%d", s.names[0], older), 200},
		{fmt.Sprintf("/photo/%d", photo), 200},
		{"/tag/" + tag, 200},
		{fmt.Sprintf("/album/%d", album), 200},
		{"/search", 200},
		{"/search?q=light", 200},
		{"/search?q=zxqvjk", 200},
		{"/about", 200},
		{"/explore", 200},
		{"/explore/" + day, 200},
		{"/explore/1999-12-31", 404},
		{"/tags", 200},
		{"/photos/" + s.names[0] + "/albums", 200},
		{"/nowhere", 404},
		{"/photos/nobody-here", 404},
	} {
		var allow []int64
		if page.status != 200 {
			allow = []int64{page.status}
		}
		for i, width := range []int64{360, 800, 1440} {
			v := openPage(t, chromium, s.urls[0]+page.path, width, i%2 == 1, allow...)
			if v.bytes > 30<<10 || v.bytes == 0 {
				t.Errorf("%s: %d bytes of HTML, want at most 30 KiB", page.path, v.bytes)
			}
			if page.path == "/photos/"+s.names[0] {
				t.Logf("a user page at %d px: %d bytes of HTML, %d requests", width, v.bytes, v.requests)
			}
		}
	}
}

// keyboard navigates by keys: to a photo, to its neighbours, and to the search field.
func keyboard(t *testing.T, s *site, chromium context.Context) {
	t.Helper()
	ids := column[int64](
		s,
		"SELECT p.id FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1 AND NOT private ORDER BY p.id DESC LIMIT 3",
		s.names[0],
	)
	ctx, closeTab := chromedp.NewContext(chromium)
	defer closeTab()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate(fmt.Sprintf("%s/photo/%d", s.urls[0], ids[1]))); err != nil {
		t.Fatal(err)
	}
	arrive := func(keys string, id int64) {
		t.Helper()
		want := fmt.Sprintf("/photo/%d", id)
		if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, fmt.Sprintf("%q leads to %s", keys, want), func() bool {
			at, err := chromedp.Run(
				ctx, chromedp.Evaluate[string](`document.readyState == "complete" ? location.pathname : ""`),
			)
			return err == nil && at == want
		})
	}
	arrive("j", ids[2])
	arrive("k", ids[1])
	arrive("k", ids[0])
	if err := chromedp.Do(ctx, chromedp.KeyEvent("/")); err != nil {
		t.Fatal(err)
	}
	focus, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.activeElement.name`))
	if err != nil || focus != "q" {
		t.Errorf("the key / focuses %q, %v", focus, err)
	}
}

// TestBadRequests: every answer is one of the site's own, whatever the request.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	client := newClient(t, 1)
	for path, want := range map[string]int{
		"/photos":                                 404,
		"/photos/":                                404,
		"/photos/..%2f..%2fetc%2fpasswd":          404,
		"/photo/0":                                404,
		"/photo/999999999999":                     404,
		"/photo/99999999999999999999":             404,
		"/photo/1%00":                             404,
		"/album/999999999":                        404,
		"/tag/%ff":                                400,
		"/tag/no-such-tag-here":                   404,
		"/search?q=%ff":                           400,
		"/search?q=" + strings.Repeat("x", 500):   414,
		"/" + strings.Repeat("a", 5000):           414,
		"/img/abcdefghijklmnopqrstuvwxyz/320.jpg": 404,
		"/img/abcdefghijklmnopqrstuvwxyz/321.jpg": 404,
		"/static/app.00000000.css":                404,
		"/static/..%2f..%2fmain.go":               404,
		"/.git/config":                            404,
		"/explore/2026-13-01":                     404,
		"/sitemap/photos/999.xml":                 404,
		"/oembed?url=/photo/999999999":            404,
		"/oembed?url=/photo/1&format=yaml":        400,
		"/humans.txt":                             404,
	} {
		var status int
		var header http.Header
		var body string
		var err error
		for range 10 { // a slow machine may answer 503, but nothing else
			status, header, body, err = testenv.Fetch(t.Context(), client, s.urls[0]+path)
			if status != http.StatusServiceUnavailable {
				break
			}
		}
		if err != nil || status != want {
			t.Errorf("%.60s: %d, %v; want %d", path, status, err, want)
			continue
		}
		if header.Get("X-Request-Id") == "" || header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(path, "/img/") && !strings.Contains(body, "Flickr Killr") {
			t.Errorf("%.60s: %v %.100q", path, header, body)
		}
	}
	for _, method := range []string{
		http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW",
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, s.urls[0]+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", method, resp.StatusCode, resp.Header)
		}
	}
}
