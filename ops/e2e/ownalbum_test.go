package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"flickrkillr/ops/testenv"
)

// ownAlbums: a person makes, fills, orders, nests and deletes their own albums over four edges, without script, and
// nobody else's; a program with a token does, too.
func ownAlbums(t *testing.T, s *peopleSite) {
	p, other, visitor := s.person("dorothea_lange"), s.person("gordon_parks"), s.person("")
	p.signUp(0)
	other.signUp(0)
	first := s.post("dorothea_lange", 10)
	ids := func(from ...int) (all []string) {
		for _, i := range from {
			all = append(all, fmt.Sprint(first+i))
		}
		return all
	}
	for _, path := range []string{"/me/albums", "/me/albums/1"} {
		visitor.get(1, path).expect(http.StatusSeeOther, "/signin?next="+url.QueryEscape(path))
	}

	made := p.form(0, "/me/albums", url.Values{"do": {"make"}, "title": {"Dust <bowl>"}})
	album, _, _ := strings.Cut(made.header.Get("Location"), "?")
	if made.status != http.StatusSeeOther || !strings.HasPrefix(album, "/me/albums/") {
		t.Fatalf("made: %d, %q", made.status, album)
	}
	public := "/album" + strings.TrimPrefix(album, "/me/albums")
	p.form(1, "/me/photos", url.Values{"photos": ids(3, 1, 2, 4), "do": {"album"}, "album": {"dust <BOWL>"}}).
		expect(http.StatusSeeOther, "/me/photos?notice=added")
	sees := func(edge int, from *person) string {
		return strings.Join(from.get(edge, public).texts("main .grid bdi"), ", ")
	}
	mine := func(edge int) []string {
		return strings.Fields(strings.Join(p.get(edge, album).texts("main .grid bdi"), " "))
	}
	name := func(of ...int) string {
		var all []string
		for _, i := range of {
			all = append(all, fmt.Sprint("dorothea_lange ", i))
		}
		return strings.Join(all, ", ")
	}
	for i := range s.urls {
		if got := sees(i, p); got != name(1, 2, 3) { // the fifth is private
			t.Errorf("edge %d shows the writer %q", i, got)
		}
		if got := mine(i); len(got) != 8 {
			t.Errorf("edge %d shows the owner %q", i, got)
		}
		testenv.Eventually(t, "everybody sees the album", func() bool { return sees(i, visitor) == name(1, 2, 3) })
	}
	p.form(2, album, url.Values{"do": {"place"}, "at": {"1"}, "photos": ids(3)}).
		expect(http.StatusSeeOther, album+"?notice=moved")
	p.form(3, album, url.Values{"do": {"later"}, "photos": ids(1)}).expect(http.StatusSeeOther, album+"?notice=moved")
	p.form(3, album, url.Values{"do": {"cover"}, "photos": ids(2)}).expect(http.StatusSeeOther, album+"?notice=cover")
	for i := range s.urls {
		if got := sees(i, p); got != name(3, 2, 1) {
			t.Errorf("edge %d shows the writer the order %q", i, got)
		}
	}
	refused := p.form(0, album, url.Values{"do": {"save"}, "title": {" "}, "description": {"By <night>"}})
	refused.expect(http.StatusUnprocessableEntity, "")
	if got := strings.Join(refused.texts("details[open] #description"), ""); got != "By <night>" {
		t.Errorf("what was typed is lost, or is not shown: %q", got)
	}

	inner := p.form(0, "/me/albums", url.Values{"title": {"Camps"}, "parent": {"Dust <bowl>"}}).header.Get("Location")
	p.form(0, "/me/photos", url.Values{"photos": ids(5), "do": {"album"}, "album": {"Dust <bowl> / Camps"}})
	if got := p.get(1, public).texts(".albums bdi"); !slices.Equal(got, []string{"Camps"}) {
		t.Errorf("the album has the albums %q", got)
	}
	up := p.get(2, "/album"+strings.TrimPrefix(inner, "/me/albums"))
	if up.attr(`.facts a[href="`+public+`"]`, "href") != public {
		t.Errorf("there is no way up: %q", up.texts(".facts"))
	}
	for _, path := range []string{"/photos/dorothea_lange", "/photos/dorothea_lange/albums"} {
		if got := p.get(3, path).texts(".albums bdi"); !slices.Equal(got, []string{"Dust <bowl>"}) {
			t.Errorf("%s has the albums %q", path, got)
		}
	}

	for _, path := range []string{album, "/me/albums/999999"} {
		other.get(0, path).expect(http.StatusNotFound, "")
		other.form(1, path, url.Values{"do": {"delete"}, "key": {strings.Repeat("k", 26)}}).
			expect(http.StatusNotFound, "")
	}
	reads, writes := s.program(p.token(0, "reads", "read")), s.program(p.token(0, "writes", "write"))
	asks := func(from *person, path string, fields url.Values) *shown {
		fields.Set("key", fields.Get("do")+strings.Repeat("0", 20))
		return from.send(http.MethodPost, s.urls[2]+path, "application/x-www-form-urlencoded", fields.Encode())
	}
	add := url.Values{"do": {"add"}, "album": {"By a program"}, "photos": {strings.Join(ids(8, 6, 7), ",")}}
	asks(reads, "/me/albums", add).expect(http.StatusForbidden, "")
	for range 2 { // and asked for again
		if got := asks(writes, "/me/albums", add); got.status != http.StatusOK ||
			!strings.Contains(got.body, `"album.`) {
			t.Errorf("a program: %d %s", got.status, got.body)
		}
	}
	var list struct {
		Albums []struct {
			ID    int64
			Title string
		}
	}
	if err := json.Unmarshal([]byte(reads.get(3, "/me/albums").body), &list); err != nil || len(list.Albums) != 2 ||
		list.Albums[0].Title != "By a program" {
		t.Fatalf("a program reads %+v, %v", list, err)
	}
	byProgram := fmt.Sprint("/me/albums/", list.Albums[0].ID)
	var one struct{ Photos []int }
	if err := json.Unmarshal([]byte(reads.get(1, byProgram).body), &one); err != nil ||
		!slices.Equal(one.Photos, []int{first + 8, first + 6, first + 7}) {
		t.Errorf("a program reads %v, %v", one, err)
	}
	asks(writes, byProgram, url.Values{"do": {"delete"}}).expect(http.StatusOK, "")
	asks(writes, byProgram, url.Values{"do": {"save"}, "title": {"New"}}).expect(http.StatusNotFound, "")

	p.form(1, album, url.Values{"do": {"delete"}}).expect(http.StatusSeeOther, "/me/albums?notice=album-deleted")
	for i := range s.urls {
		if got := p.get(i, public); got.status != http.StatusNotFound {
			t.Errorf("edge %d shows an album that is deleted: %d", i, got.status)
		}
		testenv.Eventually(t, "nobody sees it", func() bool { return visitor.get(i, public).status == 404 })
	}
	if got := p.get(0, "/photos/dorothea_lange/albums").texts(".albums bdi"); !slices.Equal(got, []string{"Camps"}) {
		t.Errorf("albums %q are left", got)
	}
	if got := p.get(0, fmt.Sprint("/photo/", first+1)); got.status != http.StatusOK {
		t.Errorf("a photo of the album that is deleted: %d", got.status)
	}
}

// order is an expression for the numbers in the titles of the photos that the page shows.
const order = `[...document.querySelectorAll("main .grid bdi")].map((e) => e.textContent.split(" ").pop()).join(" ")`

// pick chooses photos of a page by their places, from 0.
func (b *tab) pick(places ...int) {
	b.t.Helper()
	for _, at := range places {
		ask[bool](b, fmt.Sprintf(`(document.querySelectorAll(".pick")[%d].click(), true)`, at))
	}
}

// press waits for a button that is not hidden, and presses it, by what is written on it.
func (b *tab) press(what string) {
	b.t.Helper()
	is := `((e) => !e.hidden && e.textContent.trim() === "` + what + `")`
	b.becomes(`[...document.querySelectorAll("main button")].some` + is)
	ask[bool](b, `([...document.querySelectorAll("main button")].find`+is+`.click(), true)`)
}

// mouse moves the mouse to the middle of an element, plus some pixels, and does something there.
func (b *tab) mouse(what input.DispatchMouseEventType, selector string, dx float64) {
	b.t.Helper()
	at := ask[[]float64](b, `(() => { const r = document.querySelector(`+"`"+selector+"`"+`).getBoundingClientRect();
		return [r.left + r.width / 2, r.top + r.height / 2] })()`)
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: what,
			X: at[0] + dx, Y: at[1], Button: input.MouseButtonLeft, ClickCount: 1})
		return err
	}))
}

// albumsInBrowser: somebody makes an album in Chromium, puts many photos into it, orders them by keys, by drag and by
// buttons, chooses a cover, puts the album into another, and deletes it; and again without script.
func albumsInBrowser(t *testing.T, s *peopleSite) {
	parent := browser(t)
	b := newTab(t, parent, s.urls[2])
	b.open("/signup")
	b.do(chromedp.SendKeys("#name", "tina_modotti"), chromedp.SendKeys("#password", "a long walk"))
	ask[bool](b, `(document.querySelector("main button").click(), true)`)
	b.becomes(`document.querySelectorAll("main li code").length === 10`)
	s.post("tina_modotti", 12)
	fill := func(selector, text string) {
		t.Helper()
		ask[bool](b, `((e) => (e.value = "`+text+`", true))(document.querySelector("`+selector+`"))`)
	}
	rows := func() (saved string) {
		must(t, s.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(split_part(p.title, ' ', 2), ' '
			ORDER BY m.position), '') FROM album_photos m JOIN photos p ON p.id = m.photo_id
			JOIN albums a ON a.id = m.album_id WHERE a.title = 'Mexico'`).Scan(&saved))
		return saved
	}
	becomesOrder := func(want string) {
		t.Helper()
		b.becomes(order + ` === "` + want + `"`)
		testenv.Eventually(t, "the order "+want+" is saved", func() bool { return rows() == want })
	}
	inAlbum := `location.pathname.startsWith("/me/albums/") && !!document.querySelector(".moved")`

	b.open("/me/albums")
	openPage(t, parent, s.urls[0]+"/me/albums", 360, true)
	fill("#title", "Mexico")
	b.press("Make it")
	b.becomes(`location.pathname.startsWith("/me/albums/") && document.querySelector("h1").textContent === "Mexico"`)
	path := ask[string](b, `location.pathname`)
	b.open("/me/photos")
	b.becomes(`document.querySelectorAll(".pick").length === 12 && !!document.querySelector(".tools [role=status]")`)
	b.pick(11, 10, 9, 8, 7, 6)
	fill("[name=album]", "Mexico")
	b.press("Add to album")
	b.becomes(`location.search === "?notice=added"`)
	b.open(path)
	b.becomes(inAlbum + ` && ` + order + ` === "0 1 2 3 4 5"`)

	// By keys: the third photo goes one place to the front, and then to the end.
	key := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			b.do(chromedp.KeyEvent(k))
		}
	}
	handle := func(at int) string { return fmt.Sprintf(".grid li:nth-child(%d) .handle", at) }
	focus := func(at int) {
		t.Helper()
		b.becomes(`(document.querySelector("` + handle(at) + `").focus(), document.activeElement.matches(".handle"))`)
	}
	saysPlace := func(place int) {
		t.Helper()
		b.becomes(fmt.Sprintf(`document.querySelector(".moved [role=status]").textContent.includes("place %d of 6")`,
			place))
	}
	focus(3)
	key("\r", kb.ArrowLeft)
	saysPlace(2)
	if !ask[bool](b, `document.activeElement.matches(".handle") && !!document.activeElement.closest(".held")`) {
		t.Error("a photo that is moved by keys has lost the focus")
	}
	key("\r")
	becomesOrder("0 2 1 3 4 5")
	b.becomes(`!document.querySelector(".moved button").hidden`) // the answer has come, and says nothing later
	focus(1)
	key("\r", kb.End, "\r")
	becomesOrder("2 1 3 4 5 0")
	saysPlace(6)
	b.press("Undo")
	becomesOrder("0 2 1 3 4 5")
	focus(2)
	key("\r", kb.ArrowRight, kb.ArrowRight, kb.Escape)
	becomesOrder("0 2 1 3 4 5")

	// By drag: the last photo goes between the first and the second.
	ask[bool](b, `(document.querySelector(".grid").scrollIntoView({ block: "center", behavior: "instant" }), true)`)
	b.mouse(input.DispatchMouseEventTypeMousePressed, handle(6), 0)
	b.mouse(input.DispatchMouseEventTypeMouseMoved, ".grid li:nth-child(1)", 10)
	b.becomes(`!!document.querySelector(".into.behind")`)
	b.mouse(input.DispatchMouseEventTypeMouseReleased, ".grid li:nth-child(1)", 10)
	becomesOrder("0 5 2 1 3 4")
	b.open(path)
	b.becomes(inAlbum + ` && ` + order + ` === "0 5 2 1 3 4"`)

	// By buttons, which work without script.
	b.pick(0, 1)
	b.press("Last")
	b.becomes(`location.search === "?notice=moved" && ` + order + ` === "2 1 3 4 0 5"`)
	b.pick(1)
	b.press("Make cover")
	b.becomes(`location.search === "?notice=cover" && document.querySelector(".badge").textContent === "Cover"`)
	b.pick(5)
	b.press("Remove from album")
	b.becomes(`location.search === "?notice=taken" && ` + order + ` === "2 1 3 4 0"`)
	for _, width := range []int64{360, 800, 1440} {
		for _, dark := range []bool{false, true} {
			openPage(t, parent, s.urls[0]+path, width, dark)
		}
	}

	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.open("/me/albums")
	fill("#title", "Travels")
	b.press("Make it")
	b.becomes(`document.querySelector("h1").textContent === "Travels"`)
	b.open(path)
	b.becomes(order + ` === "2 1 3 4 0" && !document.querySelector(".handle")`)
	b.pick(4)
	fill("[name=at]", "2")
	b.press("Move there")
	b.becomes(`location.search === "?notice=moved" && ` + order + ` === "2 0 1 3 4"`)
	ask[bool](b, `(document.querySelector("details").open = true)`)
	fill("#parent", "travels")
	b.press("Save")
	b.becomes(`location.search === "?notice=album" && ` +
		`document.querySelector(".facts").textContent.includes("in Travels")`)
	b.open("/me/albums")
	b.becomes(`document.querySelector(".inside").textContent.trim() === "Mexico"`)
	for _, width := range []int64{360, 800, 1440} {
		openPage(t, parent, s.urls[0]+"/me/albums", width, width == 800)
	}
	ask[bool](b, `(document.querySelector(".albums a").click(), true)`)
	b.becomes(`document.querySelector("h1").textContent === "Travels"`)
	outer := ask[string](b, `location.pathname`)
	openPage(t, parent, s.urls[0]+"/album"+strings.TrimPrefix(outer, "/me/albums"), 800, false)
	openPage(t, parent, s.urls[0]+"/album"+strings.TrimPrefix(path, "/me/albums"), 360, true)
	b.press("Delete the album")
	b.becomes(`location.search === "?notice=album-deleted" && !document.querySelector(".inside") &&
		document.querySelector(".albums bdi").textContent === "Mexico"`)
	b.noProblems()
}
