package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// guestAlbum is a private album with one photo of its owner's, and a link by which guests add photos.
type guestAlbum struct {
	*peopleSite
	owner  *person
	link   string // its path
	secret string // its password

	ownersTab, guestsTab *tab // each in a browser of its own
}

// TestGuests: in Chromium, an owner lets people add photos to a private album by a link. A guest without an account
// does, with script and without. The owner sees who has, deletes what they added, and revokes the link.
func TestGuests(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	a := &guestAlbum{peopleSite: s, owner: s.person("minor_white"), secret: "by the tide pool"}
	a.owner.signUp(0)
	guests := browser(t)
	a.ownersTab, a.guestsTab = newTab(t, browser(t), s.urls[0]), newTab(t, guests, s.urls[1])
	a.ownersTab.setCookies(a.owner.cookies())
	a.makeLink()
	a.addByScript()
	a.addWithoutScript(newTab(t, guests, s.urls[2]))
	added := []string{"Kelp", "Sand dollar", "Tide pool"}
	a.isInAlbumAlone(added)
	a.deleteAdded(len(added))
	a.revoke()
}

// makeLink: the owner hides an album, and ticks the box by which people may add photos.
func (a *guestAlbum) makeLink() {
	t := a.t
	first := a.post(a.owner.name, 1)
	made := a.owner.form(0, "/me/albums", url.Values{"do": {"make"}, "title": {"Point Lobos"}})
	album, _, _ := strings.Cut(made.header.Get("Location"), "?")
	key := func() []string {
		return []string{a.owner.get(0, "/me/albums").attr("input[name=key]", "value")}
	}
	a.owner.form(0, album, url.Values{"do": {"show"}, "visibility": {"private"}, "key": key()}).
		expect(http.StatusSeeOther, album+"?notice=album-shown")
	a.owner.form(0, "/me/photos", url.Values{"photos": {fmt.Sprint(first)}, "do": {"album"}, "album": {"Point Lobos"}}).
		expect(http.StatusSeeOther, "/me/photos?notice=added")

	b := a.ownersTab
	b.open("/me/shares?album=" + strings.TrimPrefix(album, "/me/albums/"))
	b.becomes(`!!document.querySelector("[name=adds]")`)
	ask[bool](b, `(document.querySelector("[name=adds]").click(), true)`)
	b.isForEverybody("share an album that takes photos")
	b.fill(map[string]string{"name": "For the workshop", "password": a.secret})
	b.becomes(`location.search.includes("notice=shared") &&
		document.querySelector(".facts").textContent.includes("People can add photos")`)
	b.becomes(`[...document.querySelectorAll("button")].some((b) => b.textContent === "Copy")`)
	b.isForEverybody("links of an album that takes photos")
	if to := ask[string](b, `document.querySelector(".facts a").getAttribute("href")`); to != album {
		t.Errorf("the link's album is at %q, want %q", to, album)
	}
	a.link = ask[string](b, `new URL(document.querySelector(".link").value).pathname`)
	a.secrets = append(a.secrets, strings.TrimPrefix(a.link, page.PathShares))
	if _, ok := page.ParseShare(a.link); !ok {
		t.Fatalf("the link is %q", a.link)
	}
}

// addByScript: a guest opens the link by its password, gives a name, and adds two photos. What is no picture is
// refused by its name.
func (a *guestAlbum) addByScript() {
	t, b := a.t, a.guestsTab
	b.open(a.link)
	b.becomes(`!!document.querySelector("[type=password]")`)
	if got := ask[string](b, `document.body.textContent`); strings.Contains(got, "Point Lobos") {
		t.Errorf("without the password a guest reads %q", got)
	}
	b.fill(map[string]string{"password": a.secret})
	b.becomes(`document.querySelector("h1").textContent === "Point Lobos"`)
	ask[bool](b, `([...document.querySelectorAll("main a")].find((a) => a.textContent === "Add photos").click(), true)`)
	const isReady = `document.querySelector(".all p")?.textContent.startsWith("Choose, drop")`
	b.becomes(`location.pathname === "` + a.link + `/add" && ` + isReady)
	b.isForEverybody("add photos by a link")
	b.do(chromedp.SendKeys("#guest", "Mia <M>"))
	folder := t.TempDir()
	paths := writePictures(t, folder, 300, "Tide pool.jpg", "Kelp.jpg")
	notes := filepath.Join(folder, "Notes.txt")
	must(t, os.WriteFile(notes, []byte("Some notes."), 0o644))
	b.do(chromedp.SetUploadFiles("#files", append(paths, notes)))
	b.becomes(`document.querySelector(".all p").textContent === "2 of 3 uploaded, 1 refused."`)
	b.becomes(`[...document.querySelectorAll(".row")].filter((row) => row.querySelector(".problem"))
		.map((row) => row.querySelector("bdi").textContent).join() === "Notes.txt"`)
	b.isForEverybody("photos added by a link")
	got := ask[[]string](b, `[...document.querySelectorAll(".row a")].map((a) => a.getAttribute("href"))`)
	if len(got) != 2 || !strings.HasPrefix(got[0], a.link+"/") || !strings.HasPrefix(got[1], a.link+"/") {
		t.Errorf("the page leads to %q", got)
	}
	if names := b.cookieNames(); slices.Contains(names, "session") {
		t.Errorf("a guest has the cookies %q", names)
	}
}

// addWithoutScript: the plain form takes a photo, too, and says why it refuses another file.
func (a *guestAlbum) addWithoutScript(b *tab) {
	t := a.t
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	folder := t.TempDir()
	paths := writePictures(t, folder, 300, "Sand dollar.jpg")
	notes := filepath.Join(folder, "More notes.txt")
	must(t, os.WriteFile(notes, []byte("More notes."), 0o644))
	b.open(a.link + "/add")
	b.do(chromedp.SendKeys("#guest", "Mia <M>"), chromedp.SetUploadFiles("#files", append(paths, notes)),
		chromedp.Click("main form button"))
	b.becomes(`document.querySelectorAll(".sent a").length === 1 &&
		document.querySelectorAll(".sent .problem").length === 1 &&
		document.querySelector(".sent").textContent.includes("More notes.txt") &&
		document.querySelector("#guest").value === "Mia <M>"`)
	b.noProblems()
	ask[bool](b, `(document.querySelector(".sent a").click(), true)`)
	b.becomes(`document.querySelector("h1").textContent === "Sand dollar"`)
}

// isInAlbumAlone: what guests have added is in the album for those who have the link, at once and with its picture.
// Nobody else sees it.
func (a *guestAlbum) isInAlbumAlone(added []string) {
	t, visitor, stranger := a.t, a.person(""), a.person("")
	for edge := range 2 {
		if edge == 0 { // who wants to add photos comes there by the password
			asked := stranger.get(edge, a.link+"/add")
			next := asked.attr("input[name=next]", "value")
			visitor.form(edge, a.link, url.Values{"password": {"by the thames"}, "next": {next}}).
				expect(http.StatusUnprocessableEntity, "")
			visitor.form(edge, a.link, url.Values{"password": {a.secret}, "next": {next}}).
				expect(http.StatusSeeOther, a.link+"/add")
		}
		album := visitor.get(edge, a.link)
		titles := album.texts("main .grid bdi")
		for _, title := range added {
			if !slices.Contains(titles, title) {
				t.Errorf("by the link edge %d shows %q without %s", edge, titles, title)
			}
		}
		if len(titles) != len(added)+1 {
			t.Errorf("by the link edge %d shows %q", edge, titles)
		}
	}
	rows, err := a.pool.Query(t.Context(), "SELECT photo_id FROM guest_photos")
	must(t, err)
	for rows.Next() {
		var id int64
		must(t, rows.Scan(&id))
		for edge := range a.urls {
			if got := stranger.get(edge, page.Photo(id).Path()); got.status != http.StatusNotFound {
				t.Errorf("edge %d shows everybody photo %d: %d", edge, id, got.status)
			}
			picture := fmt.Sprintf("%s/%d/640.jpg", a.link, id)
			testenv.Eventually(t, fmt.Sprintf("edge %d shows the picture by the link", edge), func() bool {
				return visitor.get(edge, picture).status == http.StatusOK
			})
			stranger.get(edge, picture).expect(http.StatusNotFound, "")
		}
	}
	must(t, rows.Err())
	for edge := range a.urls {
		for _, path := range []string{"/", "/explore", "/photos/minor_white", "/photos/minor_white/albums",
			"/photos/minor_white/feed.atom", "/search?q=kelp", "/search?q=tide+pool", a.link, a.link + "/add"} {
			got := stranger.get(edge, path)
			for _, title := range append(added, "Point Lobos") {
				if strings.Contains(got.body, title) {
					t.Errorf("edge %d: %s shows everybody %s", edge, path, title)
				}
			}
		}
	}
}

// deleteAdded: the owner sees who has added photos, and deletes them all at once.
func (a *guestAlbum) deleteAdded(count int) {
	b := a.ownersTab
	b.open("/me/photos?guests=1")
	b.becomes(fmt.Sprintf(`[...document.querySelectorAll(".badge")].filter((badge) =>
		badge.textContent === "From Mia <M>").length === %d && !!document.querySelector(".tools [role=status]")`, count))
	b.becomes(fmt.Sprintf(`[...document.querySelectorAll(".grid img")].filter((i) => i.naturalWidth > 0).length === %d`,
		count))
	b.isForEverybody("photos that guests added")
	for at := range count {
		b.pick(at)
	}
	b.press("Delete")
	b.becomes(`location.search.includes("notice=binned") && !document.querySelector(".pick")`)
	g := a.guestsTab
	g.open(a.link)
	g.becomes(`document.querySelectorAll("main .grid bdi").length === 1`)
}

// revoke: once the owner has revoked the link, a page that was open adds nothing, and there is none any more.
func (a *guestAlbum) revoke() {
	t, b, g := a.t, a.ownersTab, a.guestsTab
	g.open(a.link + "/add")
	g.becomes(`document.querySelector(".all p")?.textContent.startsWith("Choose, drop")`)
	b.open("/me/shares")
	b.press("Revoke")
	b.becomes(`location.search.startsWith("?notice=unshared&undo=") && !document.querySelector(".link")`)
	b.noProblems()
	g.do(chromedp.SetUploadFiles("#files", writePictures(t, t.TempDir(), 300, "Too late.jpg")))
	g.becomes(`document.querySelector(".all p").textContent === "0 of 1 uploaded, 1 refused."`)
	for edge := range a.urls {
		for _, path := range []string{a.link, a.link + "/add"} {
			a.person("").get(edge, path).expect(http.StatusNotFound, "")
		}
	}
	g.open(a.link + "/add")
	g.becomes(`!!document.querySelector("h1") && !document.querySelector("form[data-files]") &&
		!document.querySelector("[type=password]") && !document.body.textContent.includes("Point Lobos")`)
}
