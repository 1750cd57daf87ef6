package e2e

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// at is an expression that is true when the tab shows the photo's page completely.
func at(photo string) string {
	return fmt.Sprintf(
		`document.readyState == "complete" && location.pathname == %q && !!document.querySelector(".stage img")`, photo,
	)
}

const (
	gridPaths = `[...document.querySelectorAll(".grid:not(.strip *) a")].map(a => a.pathname)`
	upText    = `document.querySelector(".up span").textContent`
)

// photoFollowsTheList: previous, next and up are those of the list that a visitor came from, beyond its page, after
// a reload and in another tab. An invalid list leaves those of the photo's owner.
func photoFollowsTheList(t *testing.T, s *site, chromium context.Context) {
	t.Helper()
	tag := column[string](
		s,
		"SELECT t.name FROM tags t JOIN photo_tags pt ON pt.tag_id = t.id GROUP BY t.name ORDER BY count(*) DESC, t.name LIMIT 1",
	)[0]
	list := "/tag/" + url.PathEscape(tag)
	b := newTab(t, chromium, s.urls[0])
	b.open(list)
	first := ask[[]string](b, gridPaths)
	older := ask[string](b, `document.querySelector(".pager a[rel=next]").pathname`)
	b.open(older)
	second := ask[[]string](b, gridPaths)
	last := len(first) - 1

	b.open(list)
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelectorAll(".grid a")[%d].click()`, last-1)))
	b.becomes(at(first[last-1]))
	back := "Back to " + tag
	if got := ask[string](b, upText); got != back {
		t.Errorf("the way up is %q, want %q", got, back)
	}
	b.do(chromedp.KeyEvent("j"))
	b.becomes(at(first[last]))
	b.becomes(fmt.Sprintf(`document.querySelector(".turn.next").pathname == %q`, second[0]))
	b.do(chromedp.KeyEvent("j"))
	b.becomes(at(second[0]))
	b.becomes(fmt.Sprintf(`document.querySelector(".turn.prev").pathname == %q`, first[last]))
	b.do(chromedp.Reload())
	b.becomes(fmt.Sprintf(`document.querySelector(".turn.next").pathname == %q`, second[1]))
	here := ask[string](b, `location.pathname + location.hash`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".turn.prev").click()`))
	b.becomes(at(first[last]))
	b.do(chromedp.KeyEvent("u"))
	b.becomes(fmt.Sprintf(
		`location.pathname.startsWith(%q) && !location.hash && document.activeElement.pathname == %q`, list,
		first[last],
	))
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.becomes(at(first[last]))
	b.becomes(fmt.Sprintf(`%s == %q`, upText, back))
	b.noProblems()

	other := newTab(t, chromium, s.urls[0]) // as by a copied link: its session storage is empty
	other.open(here)
	other.becomes(fmt.Sprintf(
		`%s == %q && document.querySelector(".turn.prev").pathname == %q`, upText, back, first[last],
	))

	other.open("/")
	liked := ask[[]string](other, `[...document.querySelectorAll("#liked .grid a")].map(a => a.pathname + a.hash)`)
	for i, fragment := range []string{
		"#in=//evil.example/", `#in=/\evil.example/`, "#in=/nowhere", "#nothing=/about", "#%", "#in=" + list,
	} {
		path := first[0]
		if fragment == "#in="+list {
			path = column[string](
				s,
				"SELECT '/photo/' || max(id) FROM photos WHERE NOT private AND id NOT IN (SELECT photo_id FROM photo_tags pt JOIN tags t ON t.id = pt.tag_id WHERE t.name = $1)",
				tag,
			)[0]
		}
		other.open(path + fragment)
		other.do(chromedp.KeyEvent("?"), chromedp.KeyEvent("?")) // proves that the script has run to its end
		if got := ask[string](
			other, `document.querySelector(".up").origin + document.querySelector(".up").pathname.slice(0, 8)`,
		); got != s.urls[0]+"/photos/" {
			t.Errorf("%d: %s: the way up is %s", i, fragment, got)
		}
	}
	other.open(liked[0])
	other.becomes(upText + ` == "Back to Most liked"`)
	if got := ask[bool](other, `document.querySelector(".turn.prev").hidden`); !got {
		t.Error("there is a photo before the first one of a list")
	}
	other.do(chromedp.KeyEvent("j"))
	other.becomes(`location.pathname + location.hash == "` + liked[1] + `"`)
}

// quickKeys: each press moves on by one photo, however fast, without exceptions; the same for fast clicks.
func quickKeys(t *testing.T, s *site, chromium context.Context) {
	t.Helper()
	photos := column[string](
		s,
		"SELECT '/photo/' || p.id FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1 AND NOT private ORDER BY p.id DESC LIMIT 8",
		s.names[0],
	)
	b := newTab(t, chromium, s.urls[0])
	b.open(photos[0])
	b.do(chromedp.KeyEvent("jjjjj"))
	b.becomes(at(photos[5]) + fmt.Sprintf(` && document.querySelector(".turn.next").pathname == %q`, photos[6]))
	if title := ask[bool](b, `document.title.startsWith(document.querySelector("h1").textContent)`); !title {
		t.Error("the title is another photo's")
	}
	b.do(chromedp.KeyEvent("kk"))
	b.becomes(at(photos[3]) + fmt.Sprintf(` && document.querySelector(".turn.next").pathname == %q`, photos[4]))
	b.do(chromedp.KeyEvent("j"))
	b.becomes(at(photos[4]) + fmt.Sprintf(` && document.querySelector(".turn.next").pathname == %q`, photos[5]))
	b.do(chromedp.Evaluate[chromedp.Void](`history.go(-3)`)) // one step for each photo that was shown
	b.becomes(at(photos[5]) + fmt.Sprintf(` && document.querySelector(".turn.next").pathname == %q`, photos[6]))
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
	b.becomes(at(photos[4]) + fmt.Sprintf(` && document.querySelector(".turn.next").pathname == %q`, photos[5]))

	b.open("/photos/" + s.names[0])
	for range 3 {
		b.do(
			chromedp.Evaluate[chromedp.Void](
				`document.querySelector(".grid a").click(); document.querySelectorAll(".grid a")[1].click()`,
			),
		)
		b.becomes(at(photos[1]))
		b.do(
			chromedp.Evaluate[chromedp.Void](
				`document.querySelector(".turn.next").click(); document.querySelector(".up").click()`,
			),
		)
		b.becomes(`!!document.querySelector(".grid") && document.readyState == "complete"`)
	}
	b.noProblems()
}

// keysDialog: "?" shows the keys in a dialog that holds the focus. Escape closes it and does nothing else.
func keysDialog(t *testing.T, s *site, chromium context.Context) {
	t.Helper()
	photo := column[string](s, "SELECT '/photo/' || max(id) FROM photos WHERE NOT private")[0]
	b := newTab(t, chromium, s.urls[0])
	for _, path := range []string{photo, "/"} {
		b.open(path)
		b.do(chromedp.KeyEvent("?"))
		b.becomes(`document.querySelector("dialog").open`)
		for range 3 {
			b.do(chromedp.KeyEvent(kb.Tab))
			if inside := ask[bool](
				b, `document.activeElement == document.body || !!document.activeElement.closest("dialog")`,
			); !inside {
				t.Errorf("%s: the focus left the dialog", path)
			}
		}
		b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Escape))
		b.becomes(`!document.querySelector("dialog").open`)
		if got := ask[string](b, "location.pathname"); got != path {
			t.Errorf("Escape in the dialog went from %s to %s", path, got)
		}
		b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".keys").click()`))
		b.becomes(`document.querySelector("dialog").open`)
		b.do(chromedp.KeyEvent(kb.Escape))
	}
	b.open(photo)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.becomes(`location.pathname.startsWith("/photos/") && document.readyState == "complete"`)
	b.noProblems()
}
