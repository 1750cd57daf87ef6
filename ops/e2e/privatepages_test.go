package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// withMail has the site send its mails to a postbox.
func withMail(box *testenv.Postbox) func(*roles.Config) {
	return func(c *roles.Config) { c.Renderer.SMTP, c.Renderer.BaseURL = box.URL, "https://photos.example" }
}

// TestPeopleWithMail is what people do on a site that sends mail, and how all their pages look.
func TestPeopleWithMail(t *testing.T) {
	t.Parallel()
	box := testenv.NewPostbox(t)
	s := newPeopleSite(t, withMail(box))
	chromium := browser(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *peopleSite, *testenv.Postbox, context.Context)
	}{{"private pages", privatePages}, {"hostile text", hostileText}, {"reset", resetEndsAll}} {
		t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.run(t, s, box, chromium)
		})
	}
}

// privatePages shows every private page in Chromium, with and without something wrong in it: at three widths, light and
// dark, nothing is wider than the window; axe-core finds no barrier; the keyboard reaches every control.
func privatePages(t *testing.T, s *peopleSite, box *testenv.Postbox, chromium context.Context) {
	p, gone := s.person("imogen_cunningham_of_portland"), s.person("gone")
	p.signUp(0)
	p.form(0, "/me/email", url.Values{"email": {"imogen.cunningham@photos.example"}, "password": {p.password}}).
		expect(http.StatusSeeOther, "/me/email?notice=email-sent")
	confirm := box.Links(t, "imogen.cunningham@photos.example", page.PrivateConfirm.Path(), 1)[0]
	gone.signUp(0)
	receipt := gone.form(0, "/me/delete", url.Values{"password": {gone.password}}).header.Get("Location")

	b := newTab(t, chromium, strings.Replace(s.urls[0], "127.0.0.1", "localhost", 1)) // allows passkeys
	b.addAuthenticator()
	seen := map[page.Private]bool{}
	first := s.post(p.name, 7)
	p.form(0, "/me/photos", url.Values{"photos": {fmt.Sprint(first+1, ",", first+3, ",", first+4)}, "do": {"bin"}})
	removed := p.form(0, "/me/bin", url.Values{"photos": {fmt.Sprint(first + 1)}, "do": {"remove"}}).
		header.Get("Location")
	look := func(kind page.Private, query string) {
		t.Helper()
		path := s.ownPath(kind, first)
		b.open(path + query)
		if at := ask[string](b, "location.pathname"); at != path {
			t.Errorf("%s leads to %s", path, at)
		}
		seen[kind] = true
		if kind != page.PrivatePicture { // the browser makes a page of it
			b.isForEverybody(kind.String())
		}
	}
	for _, kind := range page.Privates() {
		if !kind.NeedsSession() {
			look(kind, map[page.Private]string{
				page.PrivateReceipt: strings.TrimPrefix(receipt, page.PrivateReceipt.Path()),
				page.PrivateReset:   "?token=" + strings.Repeat("A", 43),
			}[kind])
		}
	}
	b.open("/signup")
	b.fill(map[string]string{"name": "root", "password": "password"})
	b.becomes(`document.querySelectorAll(".problem").length === 2`)
	b.isForEverybody("signup refused")
	b.open("/signup")
	b.fill(map[string]string{"name": "ruth", "password": "a long walk"})
	b.becomes(`document.querySelectorAll("main li code").length === 10`)
	b.isForEverybody("codes shown")

	b.setCookies(p.cookies())
	for _, kind := range page.Privates() {
		if kind.NeedsSession() {
			look(kind, map[page.Private]string{page.PrivateConfirm: "?token=" + confirm,
				page.PrivatePhotoReceipt: strings.TrimPrefix(removed, page.PrivatePhotoReceipt.Path())}[kind])
		}
	}
	b.open("/me/photos?taken=2026&q=imogen&camera=%3Cb%3E&untagged=1&from=1999-12-31")
	b.isForEverybody("photos, filtered, none")
	b.open("/me/photos?q=imogen&untagged=1&visibility=public")
	b.isForEverybody("photos, filtered")
	b.open("/me/photos")
	ask[bool](b, `(document.querySelector(".tools button").click(), true)`)
	b.becomes(`document.querySelectorAll(".problem").length === 1`)
	b.isForEverybody("photos refused")
	b.open("/me/tokens")
	b.fill(map[string]string{"name": "The laptop in the studio", "password": p.password})
	b.becomes(`document.querySelectorAll("main code").length === 1`)
	b.isForEverybody("token made")
	b.open("/me/passkeys/new")
	b.fill(map[string]string{"password": p.password})
	b.becomes(`!!document.querySelector("#label")?.checkVisibility()`)
	b.isForEverybody("passkey, second step")
	b.fill(map[string]string{"label": "Blue key"})
	b.becomes(`location.pathname === "/me/passkeys" && document.querySelector("h2").textContent === "Blue key"`)
	b.isForEverybody("passkeys, one")
	if len(seen) != len(page.Privates()) {
		t.Errorf("of %v only %v were looked at", page.Privates(), slices.Collect(maps.Keys(seen)))
	}
}

// ownPath is where a private page is; that of a page about a photo is about this one.
func (s *peopleSite) ownPath(kind page.Private, photo int) string {
	switch kind {
	case page.PrivatePhoto:
		return page.OwnPhoto(int64(photo)).Path()
	case page.PrivatePicture:
		return page.OwnPicture(int64(photo), 640).Path()
	case page.PrivateAlbum:
		return page.OwnAlbum(s.album(photo)).Path()
	}
	return kind.Path()
}

// album makes an album of a photo and returns its id.
func (s *peopleSite) album(photo int) int64 {
	s.t.Helper()
	return int64(s.count(fmt.Sprintf(`WITH made AS (INSERT INTO albums (user_id, title)
			SELECT user_id, 'Of ' || id FROM photos WHERE id = %d RETURNING id, user_id),
		filled AS (INSERT INTO album_photos (album_id, photo_id, user_id, position)
			SELECT id, %d, user_id, 1 FROM made)
		SELECT id FROM made`, photo, photo)))
}

// fill types into fields, by id, and sends the first form of the page.
func (b *tab) fill(fields map[string]string) {
	b.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(fields)) {
		b.do(chromedp.SendKeys("#"+id, fields[id]))
	}
	ask[bool](b, `(document.querySelector("main button").click(), true)`)
}

// setCookies has the browser send these cookies to the site.
func (b *tab) setCookies(cookies []*http.Cookie) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for _, c := range cookies {
			if _, err := cdp.Call(ctx, tab, network.SetCookie,
				network.SetCookieParams{Name: c.Name, Value: c.Value, URL: b.base + "/"}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// scheme makes the tab prefer light or dark pages.
func (b *tab) scheme(name string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	}))
}

// isForEverybody checks the page that the tab shows: its width, by axe-core, and by the keyboard. If KILLR_SCREENSHOTS
// names a folder, it leaves screenshots there.
func (b *tab) isForEverybody(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		for _, width := range []int64{360, 800, 1440} {
			b.size(width, 900, width < 600)
			at := fmt.Sprintf("%s, %s, %d px", name, scheme, width)
			if over := ask[float64](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				b.t.Errorf("%s: %v px wider than the window", at, over)
			}
			if folder := os.Getenv("KILLR_SCREENSHOTS"); folder != "" {
				screenshot(b.t, b.ctx, filepath.Join(folder, fmt.Sprintf("%s-%d-%s.jpg",
					fileName("http://x/private/"+name), width, scheme)))
			}
			if options := barriersAt(width, scheme == "dark"); options != "" {
				for _, barrier := range barriers(b.t, b.ctx, options) {
					b.t.Errorf("%s: %s", at, barrier)
				}
			}
		}
	}
	b.keyboardReachesAll(name)
}

// keyboardReachesAll: the key Tab reaches every control in sight, and shows where it is.
func (b *tab) keyboardReachesAll(name string) {
	b.t.Helper()
	n := ask[int](b, `(() => {
		window.controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
			.filter(e => e.checkVisibility() && e.type !== "hidden");
		window.reached = new Set();
		window.plain = [];
		document.activeElement.blur();
		addEventListener("focusin", e => {
			reached.add(e.target);
			if (getComputedStyle(e.target).outlineStyle === "none") plain.push(e.target.outerHTML);
		});
		// Year, month, day and calendar of a date are four stops.
		return controls.length + 3 * document.querySelectorAll("[type=date]").length;
	})()`)
	b.do(chromedp.KeyEvent(strings.Repeat("\t", n+2)))
	b.becomes("reached.size >= controls.length")
	for _, lost := range ask[[]string](b, `controls.filter(c => !reached.has(c)).map(c => c.outerHTML)`) {
		b.t.Errorf("%s: the keyboard does not reach %s", name, lost)
	}
	for _, plain := range ask[[]string](b, `plain`) {
		b.t.Errorf("%s: nothing shows that this has the focus: %s", name, plain)
	}
}
