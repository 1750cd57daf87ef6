package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

// archive gives somebody so many photos of twelve years, of which every seventh has no known time.
func (s *peopleSite) archive(name string, photos int) {
	s.t.Helper()
	s.post(name, 4)
	s.exec(fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color, title, private, taken_at, camera)
		SELECT u.id, i.id, i.width, i.height, i.color, 'Frame ' || g, g %% 5 = 0,
			CASE WHEN g %% 7 > 0 THEN '2012-01-01Z'::timestamptz + g * 4380 * interval '1 day' / %[2]d END, 'Leica M' || g %% 4
		FROM users u, generate_series(1, %[2]d) g, LATERAL (SELECT * FROM images ORDER BY id OFFSET g %% 4 LIMIT 1) i
		WHERE u.name = '%[1]s'`, name, photos))
	s.exec("VACUUM ANALYZE photos")
}

// TestArchive: a person with 100,000 photos scrolls through thousands of them, jumps to a month, finds some of them,
// and empties a bin of many pages; with and without script.
func TestArchive(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	p := s.person("eugene_atget")
	p.signUp(0)
	s.archive(p.name, 100_000)
	t.Run("without script", func(t *testing.T) { s.t = t; archiveWithoutScript(t, s, p) })
	t.Run("in Chromium", func(t *testing.T) { s.t = t; archiveInBrowser(t, s, p) })
	t.Run("bin", func(t *testing.T) { s.t = t; archiveBin(t, s, p) })
}

// archiveWithoutScript: the links lead through all of a month and to other ones, and no page has more than 30 KB.
func archiveWithoutScript(t *testing.T, s *peopleSite, p *person) {
	largest := 0
	get := func(path string) *shown {
		t.Helper()
		got := p.get(1, path)
		got.expect(http.StatusOK, "")
		largest = max(largest, len(got.body))
		return got
	}
	newest := get("/me/photos")
	if years := newest.texts(".dates > ol > li > a"); len(years) < 12 || !strings.HasSuffix(years[2], "7,143") {
		t.Errorf("the years are %q", years)
	}
	begun := get("/me/photos?taken=2015-03")
	if got := begun.texts(".organise h2")[0]; got != "March 2015" ||
		begun.attr(".dates [aria-current]", "href") != "/me/photos?taken=2015-03" {
		t.Errorf("March 2015 begins with %s", got)
	}
	older := get(begun.attr(".pager [rel=next]", "href"))
	back := get(older.attr(".pager [rel=prev]", "href"))
	if got, want := back.texts(".cap"), begun.texts(".cap"); strings.Join(got, "|") != strings.Join(want, "|") ||
		len(got) != 26 {
		t.Errorf("older and back again: %q, want %q", got, want)
	}
	newer := get(begun.attr(".pager [rel=prev]", "href"))
	if got := newer.texts(".organise h2"); got[len(got)-1] != "April 2015" {
		t.Errorf("what is newer is of %q", got)
	}
	found := get("/me/photos?q=frame+4242&camera=m2&visibility=public")
	for n := 0; len(found.texts(".cap")) == 0; n++ {
		if n > 20 {
			t.Fatal("the photo is not found")
		}
		found = get(found.attr(".pager [rel=next]", "href"))
	}
	if got := strings.Join(found.texts(".cap"), "|"); !strings.Contains(got, "4242") {
		t.Errorf("found %q", got)
	}
	if got := found.texts("[aria-label=Filters] li"); len(got) != 3 {
		t.Errorf("the filters are %q", got)
	}
	t.Logf("the largest page has %d bytes", largest)
	if largest > 30<<10 {
		t.Errorf("a page has %d bytes", largest)
	}
}

// scrolled is how far a person scrolls, in photos, by 100 pixels a frame: more than five screens a second.
const scrolled = 600

// archiveInBrowser: the list goes on by itself, the dates and the address follow, and what is chosen stays so.
func archiveInBrowser(t *testing.T, s *peopleSite, p *person) {
	parent := browser(t)
	b := s.signedInTab(t, parent, p)
	b.open("/me/photos")
	const photos, current = `document.querySelectorAll(".organise .pick").length`, `.dates [aria-current]`
	ask[bool](b, `(document.querySelector(".pick").click(), true)`)
	watch := `(window.tasks = [], new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration)))
		.observe({ type: "longtask" }), true)`
	ask[bool](b, watch)
	got := ask[map[string]float64](b, fmt.Sprintf(`new Promise((done) => {
		const begun = performance.now();
		const step = () => {
			const n = %s;
			if (n >= %d || performance.now() - begun > 120000) return done({ photos: n, took: performance.now() - begun });
			scrollBy(0, 100);
			requestAnimationFrame(step);
		};
		step();
	})`, photos, scrolled))
	report := func(what string) {
		t.Helper()
		tasks := ask[[]float64](b, `tasks`)
		t.Logf("%s: %d tasks of more than 50 ms, in ms: %.0f", what, len(tasks), tasks)
	}
	t.Logf("%.0f photos in %.1f s, %.0f pixels a second", got["photos"], got["took"]/1000,
		ask[float64](b, "scrollY")/got["took"]*1000)
	report("scrolling")
	if got["photos"] < scrolled {
		t.Errorf("the list stops after %v photos", got["photos"])
	}
	metrics := ask[map[string]float64](b, `({ heap: performance.memory.usedJSHeapSize / 2**20 })`)
	t.Logf("the script's heap is %.0f MiB", metrics["heap"])
	if n := ask[int](b, `new Set([...document.querySelectorAll(".pick")].map((box) => box.value)).size`); n < scrolled {
		t.Errorf("%d different photos", n)
	}
	b.becomes(`location.search.startsWith("?before=")`)
	b.becomes(`!!document.querySelector("` + current + `")`)
	// No row but the last one ends before the edge.
	if ragged := ask[int](b, `[...document.querySelectorAll(".organise .grid")].slice(0, -1).filter((grid) => {
		const last = grid.lastElementChild.getBoundingClientRect(), box = grid.getBoundingClientRect();
		return last.height > 0 && Math.abs(box.right - last.right) > 2;
	}).length`); ragged > 0 {
		t.Errorf("%d pages end in the middle of a row", ragged)
	}
	b.becomes(`document.querySelector(".tools [role=status]").textContent === "1 chosen"`)
	ask[bool](b, `(scrollTo(0, 0), true)`)
	b.becomes(`location.search === "" && document.querySelector(".pick").checked`)

	ask[bool](b, `([...document.querySelectorAll(".dates a")].`+
		`find((a) => a.textContent.startsWith("2014")).click(), true)`)
	b.becomes(`location.search === "?taken=2014" && document.readyState === "complete"`)
	ask[bool](b, watch)
	b.becomes(`document.querySelector("` + current + `")?.textContent.startsWith("December")`)
	ask[bool](b, `([...document.querySelectorAll(".dates a")].`+
		`find((a) => a.textContent.startsWith("May")).click(), true)`)
	b.becomes(`location.search === "?taken=2014-05" && document.querySelector(".grid h2").textContent === "May 2014"`)
	ask[bool](b, watch)
	ask[bool](b, `(scrollTo(0, 900), true)`)
	b.becomes(photos + ` >= 52`)
	report("after a jump")
	for _, width := range []int64{360, 800, 1440} {
		for _, dark := range []bool{false, true} {
			openPage(t, parent, s.urls[0]+"/me/photos?q=42&from=2014-05-01&to=2014-05-02", width, dark)
		}
	}
	b.noProblems()
}

// archiveBin: a bin of many pages is shown in all of them, and emptied in steps, by one press of the button.
func archiveBin(t *testing.T, s *peopleSite, p *person) {
	s.exec(`UPDATE photos SET private_before = private, private = true, binned_at = now() - interval '1 hour'
		WHERE id IN (SELECT id FROM photos WHERE title LIKE 'Frame %' ORDER BY id LIMIT 250)`)
	bin := p.get(0, "/me/bin")
	second := p.get(0, bin.attr(".pager [rel=next]", "href"))
	if got := len(second.texts(".organise li")); got != 48 ||
		!strings.Contains(strings.Join(bin.texts(".intro p"), " "), "250 photos are in the bin") {
		t.Errorf("the second page has %d photos, and the first says %q", got, bin.texts(".intro p"))
	}
	empty := map[string][]string{"do": {"empty"}, "seen": {bin.attr("[name=seen]", "value")}}
	receipt := p.form(2, "/me/bin", empty).header.Get("Location")
	testenv.Eventually(t, "the receipt says that all are gone", func() bool {
		return strings.Contains(strings.Join(p.get(3, receipt).texts("h1"), ""), "250 photos are deleted for good")
	})
	if n := s.count("SELECT count(*) FROM photos WHERE binned_at IS NOT NULL"); n != 0 {
		t.Errorf("%d photos are left", n)
	}
	p.get(3, "/me/bin").expect(http.StatusOK, "")
	p.form(2, "/me/bin", empty).expect(http.StatusSeeOther, receipt) // what was seen is deleted already
}
