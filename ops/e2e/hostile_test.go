package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
)

// attack shows a page to an armed tab: it touches every element as a visitor might, and returns how often alert was
// called, and all addresses that are no web address.
const attack = `(() => {
	for (const e of document.querySelectorAll("*"))
		for (const type of ["mouseover", "pointerenter", "focus", "toggle"]) e.dispatchEvent(new Event(type));
	const addresses = [...document.querySelectorAll("[href], [src], [action], [formaction], [data]")].flatMap(e =>
		[e.href, e.src, e.action, e.formAction, e.data].filter(a => typeof a == "string" && a));
	return [top.alerts, ...addresses.filter(a => !/^https?:/.test(a))].join(" ");
})()`

// arm makes alert count its calls, in each document of the tab and its frames.
func (b *tab) arm() {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: `if (top == window) window.alerts = 0; window.alert = () => { top.alerts++ }`})
		return err
	}))
}

// TestHostileTextInABrowser: of 100 hostile texts as titles, descriptions, biographies, tags, albums' titles and
// queries, and of some of them in the other fields, a browser runs nothing and loads nothing. The
// Content-Security-Policy finds nothing to refuse either: that would be an error in the console. The same texts on a
// page without escaping do run.
func TestHostileTextInABrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	chromium := browser(t)
	hostile := testenv.HostileTexts()
	// Without those that leave the page at once: nobody could ask it then.
	staying := slices.DeleteFunc(slices.Clone(hostile), func(s string) bool { return strings.Contains(s, "refresh") })
	naive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>naive</title>", strings.Join(staying, "\n"))
	}))
	t.Cleanup(naive.Close)
	control := newTab(t, chromium, naive.URL)
	control.arm()
	control.open("/")
	control.becomes("top.alerts > 0")

	b := newTab(t, chromium, s.urls[0])
	b.arm()
	for _, path := range s.makeHostile(hostile) {
		b.do(chromedp.Navigate(b.base + path))
		if got := ask[string](b, attack); got != "0" {
			t.Errorf("%s: alerts and addresses: %s", path, got)
		}
	}
	b.noProblems()
	if len(b.noted.hosts) != 1 {
		t.Errorf("requests to %v", b.noted.hosts)
	}
}

// joined joins texts, in their order, to as few of at most so many bytes as possible.
func joined(texts []string, most int) (all []string) {
	for _, text := range texts {
		if last := len(all) - 1; last >= 0 && len(all[last])+1+len(text) <= most {
			all[last] += "\n" + text
		} else {
			all = append(all, text)
		}
	}
	return all
}

// makeHostile puts the texts into the rows of the newest photos and of others, and returns the pages that show them.
func (s *site) makeHostile(hostile []string) (paths []string) {
	s.t.Helper()
	texts, tags := make([]string, len(hostile)), make([]string, len(hostile))
	for i, text := range hostile {
		texts[i] = strings.ReplaceAll(text, "\x00", "") // PostgreSQL holds none
		printable := strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return ' '
			}
			return c
		}, strings.ToLower(fmt.Sprint(i, text)))
		tags[i] = strings.Join(strings.Fields(string([]rune(printable)[:min(60, len([]rune(printable)))])), " ")
	}
	prose, bios := joined(texts, 700), joined(texts, 1500)
	update := func(table, set string, of []string) {
		s.t.Helper()
		sql := `WITH h AS (SELECT text, nr FROM unnest($1::text[]) WITH ORDINALITY AS a (text, nr)),
			r AS (SELECT id, row_number() OVER (ORDER BY id DESC) AS nr FROM ` + table + `)
			UPDATE ` + strings.Fields(table)[0] + " AS x SET " + set + " FROM h JOIN r USING (nr) WHERE x.id = r.id"
		if _, err := s.pool.Exec(s.t.Context(), sql, of); err != nil {
			s.t.Fatal(err)
		}
	}
	update("photos WHERE NOT private", "title = text, camera = left(text, 100), lens = right(text, 100), "+
		"exposure = left(text, 20)", texts)
	update("photos WHERE NOT private", "description = text", prose)
	update("users WHERE photo_count > 0", "display_name = left(text, 100)", texts)
	update("users WHERE photo_count > 0", "bio = text", bios)
	newest := column[int64](s, "SELECT id FROM photos WHERE NOT private ORDER BY id DESC LIMIT 52")
	if _, err := s.pool.Exec(s.t.Context(), `
		WITH tagged AS (INSERT INTO tags (name) SELECT unnest($1::text[]) RETURNING id),
			album AS (INSERT INTO albums (user_id, title, description) SELECT p.user_id, text, text
				FROM photos p, unnest($2::text[]) AS text WHERE p.id = $3 RETURNING id, user_id),
			member AS (INSERT INTO album_photos (album_id, photo_id, user_id, position)
				SELECT id, $3, user_id, 1 FROM album)
		INSERT INTO photo_tags (photo_id, tag_id) SELECT $3, id FROM tagged`, tags, texts, newest[0]); err != nil {
		s.t.Fatal(err)
	}
	owners := column[string](s, "SELECT name FROM users WHERE photo_count > 0 ORDER BY id DESC LIMIT 100")
	paths = []string{"/", fmt.Sprint("/before/", newest[47]), "/explore", "/tags", "/photos/" + owners[0] + "/albums"}
	for _, id := range newest[:len(prose)] {
		paths = append(paths, fmt.Sprint("/photo/", id))
	}
	for _, name := range owners[:len(bios)] {
		paths = append(paths, "/photos/"+name)
	}
	for _, id := range column[int64](s, "SELECT id FROM albums ORDER BY id DESC LIMIT 3") {
		paths = append(paths, fmt.Sprint("/album/", id))
	}
	for _, tag := range tags[:4] {
		paths = append(paths, "/tag/"+url.PathEscape(tag))
	}
	for _, query := range joined(tags, 190) {
		paths = append(paths, "/search?q="+url.QueryEscape(strings.ReplaceAll(query, "\n", " ")))
	}
	s.t.Logf("%d pages", len(paths))
	return paths
}
