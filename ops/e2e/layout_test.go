package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
)

// box is the place of an element in the window, in CSS pixels.
type box struct{ Left, Top, Right, Bottom float64 }

func boxOf(selector string) string {
	return fmt.Sprintf(
		`(({left, top, right, bottom}) => ({left, top, right, bottom}))(document.querySelector(%q).getBoundingClientRect())`,
		selector,
	)
}

// TestLayout measures the layout in a browser whose scrollbars take space.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, 1)
	b := newTab(t, browser(t, chromedp.Flag("hide-scrollbars", false)), s.urls[0])
	headerStays(t, s, b)
	titleInSight(t, s, b)
	cameraFillsRows(t, s, b)
	monthsFlow(t, s, b)
	stripScrolls(t, s, b)
	largeTargets(t, s, b)
	b.noProblems()
}

// photo is the path of the newest public photo for which a condition in SQL holds.
func (s *site) photo(where string) string {
	s.t.Helper()
	return column[string](
		s, "SELECT '/photo/' || id FROM photos WHERE NOT private AND "+where+" ORDER BY id DESC LIMIT 1",
	)[0]
}

// openTitled reloads a photo's page until it has its new title.
func (b *tab) openTitled(path, title string) {
	b.t.Helper()
	testenv.Eventually(b.t, path+" has its new title", func() bool {
		b.open(path)
		return ask[string](b, `document.querySelector("h1").textContent`) == title
	})
}

// headerStays: the site's name is at the same place on every page, with or without a scrollbar.
func headerStays(t *testing.T, s *site, b *tab) {
	t.Helper()
	for _, width := range []int64{360, 800, 1440, 2560} {
		b.size(width, 900, width < 600)
		var first box
		for i, path := range []string{
			"/", "/photos/" + s.names[0], s.photo("true"), "/search", "/search?q=light", "/about",
		} {
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
}

// titleInSight: the photo leaves room for its title and author, on a desktop for a title of two lines.
func titleInSight(t *testing.T, s *site, b *tab) {
	t.Helper()
	short := "The last bus"
	long := "The last bus home, before the snow came down on all of us and the road was closed until April"
	for _, c := range []struct {
		width, height int64
		title         string
	}{
		{1440, 900, long}, {1280, 720, long}, {1920, 1080, long},
		{2560, 1300, long}, {800, 1100, long}, {360, 740, short}, {390, 844, short},
	} {
		b.size(c.width, c.height, c.width < 600)
		for _, shape := range []string{
			"width > 14 * height / 10 AND width < 16 * height / 10", "width * 14 < height * 10",
		} {
			path := s.photo(shape)
			s.exec("UPDATE photos SET title = $1 WHERE '/photo/' || id = $2", c.title, path)
			b.openTitled(path, c.title)
			if author := ask[box](b, boxOf(".story [rel=author]")); author.Bottom > float64(c.height) {
				t.Errorf("%s (%s) at %d x %d: the author ends at %v", path, shape, c.width, c.height, author.Bottom)
			}
			if picture := ask[box](b, boxOf(".stage img")); picture.Bottom-picture.Top < float64(c.height)/2 &&
				picture.Right-picture.Left < float64(c.width)*.8 {
				t.Errorf("%s (%s) at %d x %d: the photo is only %v", path, shape, c.width, c.height, picture)
			}
		}
	}
}

// cameraFillsRows: rows of camera data fill the column, whatever is known of a photo.
func cameraFillsRows(t *testing.T, s *site, b *tab) {
	t.Helper()
	for i, set := range []string{
		"camera = 'A', lens = 'B', focal_mm = 23, aperture = 2, exposure = '1/8', iso = 100, taken_at = posted_at",
		"iso = NULL", "lens = NULL", "aperture = NULL", "camera = NULL", "taken_at = NULL, exposure = NULL",
	} {
		path := s.photo("true")
		s.exec("UPDATE photos SET title = $1, "+set+" WHERE '/photo/' || id = $2", fmt.Sprint("Camera ", i), path)
		for _, width := range []int64{360, 800, 1440} {
			b.size(width, 900, width < 600)
			b.openTitled(path, fmt.Sprint("Camera ", i))
			for _, ragged := range ask[[]string](b, `[...document.querySelectorAll(".camera")].filter(list => list.children.length > 1).flatMap(list => {
				const edge = list.getBoundingClientRect(), rows = Map.groupBy(list.children, fact => fact.getBoundingClientRect().top);
				return [...rows.values()].filter(row => Math.abs(row[0].getBoundingClientRect().left - edge.left) > 1 || Math.abs(row.at(-1).getBoundingClientRect().right - edge.right) > 1)
					.map(row => row.map(fact => fact.textContent).join());
			})`) {
				t.Errorf("after %q at %d: a row of %q does not fill its column", set, width, ragged)
			}
		}
	}
}

// monthsFlow: months of one, two and three photos share rows: each row but the last is full, and the last is not higher
// than the others.
func monthsFlow(t *testing.T, s *site, b *tab) {
	t.Helper()
	// Those who post the fewest photos a month, and months of one photo among them.
	sparse := column[string](s, `WITH months AS (
			SELECT user_id, date_trunc('month', posted_at AT TIME ZONE 'UTC'), count(*) AS n FROM photos WHERE NOT private GROUP BY 1, 2)
		SELECT u.name FROM users u JOIN months m ON m.user_id = u.id
		GROUP BY u.name HAVING sum(n) BETWEEN 12 AND 48 AND min(n) = 1 ORDER BY avg(n), u.name LIMIT 3`)
	for _, name := range sparse {
		for _, width := range []int64{360, 800, 1440, 2560} {
			b.size(width, 900, width < 600)
			b.open("/photos/" + name)
			months := ask[[]string](b, `[...document.querySelectorAll("main h2 time")].map(t => t.dateTime)`)
			if !slices.IsSortedFunc(months, func(a, b string) int { return strings.Compare(b, a) }) || len(months) < 4 {
				t.Errorf("months %v", months)
			}
			for _, hole := range ask[[]string](b, `(() => {
				const grid = document.querySelector(".grid:not(.strip *)"), edge = grid.getBoundingClientRect();
				const rows = [...Map.groupBy(grid.children, item => Math.round(item.getBoundingClientRect().top)).values()].map(row => ({
					height: row[0].getBoundingClientRect().height, rest: edge.right - row.at(-1).getBoundingClientRect().right, gaps: row.length }));
				const last = rows.pop(), most = Math.max(...rows.map(row => row.height));
				return rows.filter(row => Math.abs(row.rest) > 2).map(row => "a hole of " + row.rest).concat(last.height > most * 1.1 && rows.length ? ["a last row of " + last.height] : []);
			})()`) {
				t.Errorf("%s at %d: %s", name, width, hole)
			}
		}
	}
}

// stripScrolls: the strip shows that it continues, scrolls by its buttons, and shows that it has ended.
func stripScrolls(t *testing.T, s *site, b *tab) {
	t.Helper()
	b.size(1440, 900, false)
	b.open("/")
	b.becomes(`document.querySelector("#liked .reel").matches(".more:not(.past)")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("#liked .slide")[1].click()`))
	b.becomes(`document.querySelector("#liked .reel").matches(".past")`)
	b.do(
		chromedp.Evaluate[chromedp.Void](
			`document.querySelector("#liked .reel").scrollTo({left: 1e6, behavior: "instant"})`,
		),
	)
	b.becomes(
		`document.querySelector("#liked .reel").matches(".past:not(.more)") && document.querySelectorAll("#liked .slide")[1].ariaDisabled == "true"`,
	)
}

// largeTargets: every link, field and button in the header is at least 44 px high and wide.
func largeTargets(t *testing.T, s *site, b *tab) {
	t.Helper()
	for _, width := range []int64{360, 390} {
		b.size(width, 800, true)
		for _, path := range []string{"/", s.photo("true")} {
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
}
