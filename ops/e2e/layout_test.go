package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// box is where an element is in the window, in CSS pixels.
type box struct{ Left, Top, Right, Bottom float64 }

func boxOf(selector string) string {
	return fmt.Sprintf(`(({left, top, right, bottom}) => ({left, top, right, bottom}))(document.querySelector(%q).getBoundingClientRect())`, selector)
}

// TestLayout measures, in a browser with scrollbars that take room, what a style sheet promises.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	b := newTab(t, browser(t, chromedp.Flag("hide-scrollbars", false)), s.urls[0])
	photo := func(sql string) string {
		return column[string](s, "SELECT '/photo/' || id FROM photos WHERE NOT private AND "+sql+" ORDER BY id DESC LIMIT 1")[0]
	}

	// The sign stands at the same place on every page, whether there is a scrollbar or not.
	for _, width := range []int64{360, 800, 1440, 2560} {
		b.size(width, 900, width < 600)
		var first box
		for i, path := range []string{"/", "/photos/" + s.names[0], photo("true"), "/search", "/search?q=light", "/about"} {
			b.open(path)
			at := ask[box](b, boxOf(".top .name"))
			if i == 0 {
				first = at
			}
			if at != first || at.Left <= 0 {
				t.Errorf("%s at %d: the sign is at %v, on the front page at %v", path, width, at, first)
			}
			if over := ask[float64](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s at %d: %v px wider than the window", path, width, over)
			}
		}
	}

	// A photo leaves room for its title and author, on a desktop for two lines of title.
	short, long := "The last bus", "The last bus home, before the snow came down on all of us and the road was closed"
	for _, c := range []struct {
		width, height int64
		title         string
	}{
		{1440, 900, long}, {1280, 720, long}, {1920, 1080, long}, {2560, 1300, long}, {800, 1100, long}, {360, 740, short}, {390, 844, short},
	} {
		b.size(c.width, c.height, c.width < 600)
		for _, shape := range []string{"width > 14 * height / 10 AND width < 16 * height / 10", "width * 14 < height * 10"} {
			path := photo(shape)
			s.exec("UPDATE photos SET title = $1 WHERE '/photo/' || id = $2", c.title, path)
			b.open(path)
			for ask[string](b, `document.querySelector("h1").textContent`) != c.title {
				b.open(path) // the change is on its way
			}
			if author := ask[box](b, boxOf(".story [rel=author]")); author.Bottom > float64(c.height) {
				t.Errorf("%s (%s) at %d x %d: the author ends at %v", path, shape, c.width, c.height, author.Bottom)
			}
			if picture := ask[box](b, boxOf(".stage img")); picture.Bottom-picture.Top < float64(c.height)/2 && picture.Right-picture.Left < float64(c.width)*.85 {
				t.Errorf("%s (%s) at %d x %d: the photo is only %v", path, shape, c.width, c.height, picture)
			}
		}
	}

	// Rows of camera data fill the column, whatever is known.
	for i, set := range []string{"camera = 'A', lens = 'B', focal_mm = 23, aperture = 2, exposure = '1/8', iso = 100, taken_at = posted_at", "iso = NULL", "lens = NULL", "aperture = NULL", "camera = NULL", "taken_at = NULL, exposure = NULL"} {
		path := photo("true")
		s.exec("UPDATE photos SET title = $1, "+set+" WHERE '/photo/' || id = $2", fmt.Sprint("Camera ", i), path)
		for _, width := range []int64{360, 800, 1440} {
			b.size(width, 900, width < 600)
			b.open(path)
			for ask[string](b, `document.querySelector("h1").textContent`) != fmt.Sprint("Camera ", i) {
				b.open(path)
			}
			for _, ragged := range ask[[]string](b, `[...document.querySelectorAll(".camera")].flatMap(list => {
				const edge = list.getBoundingClientRect(), rows = Map.groupBy(list.children, fact => fact.getBoundingClientRect().top);
				return [...rows.values()].filter(row => Math.abs(row[0].getBoundingClientRect().left - edge.left) > 1 || Math.abs(row.at(-1).getBoundingClientRect().right - edge.right) > 1)
					.map(row => row.map(fact => fact.textContent).join());
			})`) {
				t.Errorf("after %q at %d: a row of %q does not fill its column", set, width, ragged)
			}
		}
	}

	// Months of one, two and three photos flow on: each row but the last is full, and the last is no higher than the others.
	for i, posted := range []string{"i", "i / 2", "i / 3", "i * i / 7"} {
		name := s.names[10+i]
		s.exec(`UPDATE photos SET posted_at = '2026-06-15 12:00Z'::timestamptz - (`+posted+`) * interval '1 month' FROM (SELECT p.id AS photo, row_number() OVER (ORDER BY p.id DESC) AS i FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1) n WHERE id = photo`, name)
		for _, width := range []int64{360, 800, 1440, 2560} {
			b.size(width, 900, width < 600)
			b.open("/photos/" + name)
			months := ask[[]string](b, `[...document.querySelectorAll("main h2 time")].map(t => t.dateTime)`)
			if !slices.IsSortedFunc(months, func(a, b string) int { return strings.Compare(b, a) }) || len(months) < 3 && i < 3 {
				t.Errorf("months %v", months)
			}
			for _, hole := range ask[[]string](b, `(() => {
				const grid = document.querySelector(".grid:not(.strip *)"), edge = grid.getBoundingClientRect();
				const rows = [...Map.groupBy(grid.children, item => Math.round(item.getBoundingClientRect().top)).values()].map(row => ({
					height: row[0].getBoundingClientRect().height, rest: edge.right - row.at(-1).getBoundingClientRect().right, gaps: row.length }));
				const last = rows.pop(), most = Math.max(...rows.map(row => row.height));
				return rows.filter(row => Math.abs(row.rest) > 2).map(row => "a hole of " + row.rest).concat(last.height > most + 1 && rows.length ? ["a last row of " + last.height] : []);
			})()`) {
				t.Errorf("%s at %d: %s", posted, width, hole)
			}
		}
	}

	// The strip says that it goes on, scrolls by its buttons, and says that it has ended.
	b.size(1440, 900, false)
	b.open("/")
	b.becomes(`document.querySelector("#liked .reel").matches(".more:not(.past)")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("#liked .slide")[1].click()`))
	b.becomes(`document.querySelector("#liked .reel").matches(".past")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#liked .reel").scrollTo({left: 1e6, behavior: "instant"})`))
	b.becomes(`document.querySelector("#liked .reel").matches(".past:not(.more)") && document.querySelectorAll("#liked .slide")[1].ariaDisabled == "true"`)

	// Whatever is touched in the header is 44 px high and wide.
	for _, width := range []int64{360, 390} {
		b.size(width, 800, true)
		for _, path := range []string{"/", photo("true")} {
			b.open(path)
			for _, small := range ask[[]string](b, `[...document.querySelectorAll(".top a, .top input, .bar a, .slide")].filter(e => {
				const {width, height} = e.getBoundingClientRect();
				return Math.min(width, height) < 44;
			}).map(e => e.outerHTML)`) {
				t.Errorf("%s at %d: too small to touch: %s", path, width, small)
			}
			if field := ask[box](b, boxOf("#q")); field.Right-field.Left < 300 {
				t.Errorf("%s at %d: the search field is %v wide", path, width, field.Right-field.Left)
			}
		}
	}
	b.noProblems()
}
