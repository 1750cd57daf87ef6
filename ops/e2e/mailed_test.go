package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// resetEndsAll: a mailed link sets a password once. It ends every session and token of before, at every edge, and signs
// in the browser that has opened it.
func resetEndsAll(t *testing.T, s *peopleSite, box *testenv.Postbox, _ context.Context) {
	const address = "berta@photos.example"
	p, other, lost := s.person("berta"), s.person("berta"), s.person("berta")
	p.signUp(0)
	other.signIn(1).expect(http.StatusSeeOther, "/me")
	reads := s.program(p.token(0, "a reader", "read"))
	p.form(0, "/me/email", url.Values{"email": {address}, "password": {p.password}}).
		expect(http.StatusSeeOther, "/me/email?notice=email-sent")
	confirm := box.Links(t, address, page.PrivateConfirm.Path(), 1)[0]
	p.form(1, "/confirm", url.Values{"token": {confirm}}).expect(http.StatusSeeOther, "/me?notice=email")
	lost.form(2, "/recover/link", url.Values{"name": {address}}).
		expect(http.StatusSeeOther, "/recover/link?notice=link")
	link := box.Links(t, address, page.PrivateReset.Path(), 1)[0]
	for i := range s.urls {
		if !p.knows(i) || !other.knows(i) || !reads.accepts(i) {
			t.Errorf("edge %d does not know who is signed in", i)
		}
	}
	set := url.Values{"token": {link}, "password": {"over the hills"}}
	lost.form(3, "/reset", set).expect(http.StatusSeeOther, "/me?notice=recovered")
	for i := range s.urls {
		testenv.Eventually(t, "sessions and tokens of before have ended", func() bool {
			return !p.knows(i) && !other.knows(i) && !reads.accepts(i)
		})
		if !lost.knows(i) {
			t.Errorf("edge %d does not know the browser that has set the password", i)
		}
	}
	p.signIn(0).expect(http.StatusUnprocessableEntity, "")
	p.password = "over the hills"
	p.signIn(0).expect(http.StatusSeeOther, "/me")
	s.person("").form(1, "/reset", url.Values{"token": {link}, "password": {"through the woods"}}).
		expect(http.StatusUnprocessableEntity, "")
	if !lost.knows(2) {
		t.Error("a link that was used has ended sessions")
	}
}

// hostileText: of hostile texts as names, labels and addresses of one person, and in fields and addresses of private
// pages, a browser runs nothing and loads nothing.
func hostileText(t *testing.T, s *peopleSite, _ *testenv.Postbox, chromium context.Context) {
	p := s.person("edith")
	p.signUp(0)
	hostile := testenv.HostileTexts()
	texts := make([]string, len(hostile))
	for i, text := range hostile {
		texts[i] = strings.ReplaceAll(text, "\x00", "") // PostgreSQL holds none
	}
	short := slices.DeleteFunc(slices.Clone(texts), func(s string) bool {
		return len(s) > 60 ||
			strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
	})
	for _, text := range short[:5] {
		p.token(0, text, "read")
	}
	for _, sql := range []string{
		`UPDATE users SET display_name = left($1[1], 100), bio = left(array_to_string($1, ' '), 2000) WHERE name = 'edith'`,
		`INSERT INTO passkeys (user_id, credential, host, label, sign_count, record)
			SELECT u.id, decode(lpad(to_hex(nr), 8, '0'), 'hex'), left(text, 100), left(text, 60), 0, '{}'
			FROM users u, unnest($1::text[]) WITH ORDINALITY AS h (text, nr) WHERE u.name = 'edith'`,
		`UPDATE accounts SET email = $1[1] WHERE user_id = (SELECT id FROM users WHERE name = 'edith')`,
	} {
		if _, err := s.pool.Exec(t.Context(), strings.ReplaceAll(sql, "$1[", "($1::text[])["), texts); err != nil {
			t.Fatal(err)
		}
	}
	photo := s.post("edith", 3)
	for _, sql := range []string{
		`UPDATE photos SET title = left(array_to_string($1::text[], ' '), 200),
			description = left(array_to_string($1::text[], ' '), 5000) WHERE title LIKE 'edith %'`,
		`INSERT INTO tags (name) SELECT DISTINCT t FROM (SELECT lower(trim(text)) COLLATE "C" AS t
				FROM unnest($1::text[]) AS h (text)) AS l WHERE octet_length(t) BETWEEN 1 AND 64
				AND t !~ '[\u0001-\u001f\u007f-\u009f]|  ' ON CONFLICT DO NOTHING`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql, texts); err != nil {
			t.Fatal(err)
		}
	}
	s.exec(fmt.Sprint("INSERT INTO photo_tags (photo_id, tag_id) SELECT ", photo, ", id FROM tags LIMIT 60"))
	b := newTab(t, chromium, s.urls[0])
	b.arm()
	show := func(path string) {
		t.Helper()
		b.do(chromedp.Navigate(b.base + path))
		if got := ask[string](b, attack); got != "0" {
			t.Errorf("%s: alerts and addresses: %s", path, got)
		}
	}
	b.setCookies([]*http.Cookie{{Name: "session", Value: "none"}}) // whoever used this browser before is signed out
	for _, text := range joined(texts, 400) {
		typed := url.QueryEscape(text)
		for _, path := range []string{"/signin?next=/", "/signup?next=/", "/reset?token=", "/signin?notice="} {
			show(path + typed)
		}
	}
	b.setCookies(p.cookies())
	for _, kind := range page.Privates() {
		if kind.NeedsSession() && kind != page.PrivatePhotoReceipt { // the person has deleted nothing
			show(s.ownPath(kind, photo))
		}
	}
	for path, shown := range map[string]string{
		"/me": texts[0], "/me/passkeys": texts[7], "/me/tokens": short[4], "/me/profile": texts[0],
		"/me/delete": texts[0],
	} {
		show(path)
		if !ask[bool](b, fmt.Sprintf(`[document.querySelector("main").textContent,
			...[...document.querySelectorAll("input, textarea")].map(i => i.value)].some(s => s.includes(%q))`, shown)) {
			t.Errorf("%s does not show %s", path, shown)
		}
	}
	b.noProblems()
	if len(b.noted.hosts) != 1 {
		t.Errorf("requests to %v", b.noted.hosts)
	}

	refused := newTab(t, chromium, s.urls[1]) // its answers are errors, by design
	refused.arm()
	refused.setCookies([]*http.Cookie{{Name: "session", Value: "none"}})
	for _, text := range short[:5] {
		refused.do(chromedp.Navigate(refused.base + "/signup"))
		ask[bool](refused, fmt.Sprintf(`(
			document.querySelector("#name").value = %q, document.querySelector("#password").value = "a long walk",
			document.querySelector("main button").click(), true)`, text))
		refused.becomes(`document.querySelectorAll(".problem").length > 0`)
		if got := ask[string](refused, attack); got != "0" {
			t.Errorf("a refused name %s: alerts and addresses: %s", text, got)
		}
		if got := ask[string](refused, `document.querySelector("#name").value`); got != text {
			t.Errorf("a refused name %s is shown as %s", text, got)
		}
	}
}
