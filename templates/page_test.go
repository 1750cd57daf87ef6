package templates

import (
	"net/url"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// What holds for every page.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for name, component := range everyPage(site) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := render(t, component)
			d.attribute("html", "lang", "en")
			d.count("h1", 1)
			d.count("main#main", 1)
			d.attribute("body > a.skip", "href", "#main")
			d.count("header a.name[href='/']", 1)
			d.count("form[role=search][action='/search'] input[name=q]", 1)
			d.count("label[for=q]", 1)
			d.count("head > script[defer][blocking=render]", 1+d.furtherScripts())
			d.count(".stale[role=status][hidden]", 1)
			d.count("a[rel]:not([href])", 0)
			d.attribute("link[rel=stylesheet]:not([href*='/blur.'], [href*='/organise.'], [href*='/albums.'], "+
				"[href*='/upload.'])", "href", site.Assets.Path("app.css"))
			d.attribute("script[src]:not([src*='/passkey.'], [src*='/organise.'], [src*='/albums.'], "+
				"[src*='/upload.'])", "src", site.Assets.Path("app.js"))
			for _, property := range []string{"og:title", "og:type", "og:site_name", "og:description"} {
				d.count("head > meta[property='"+property+"']:not([content=''])", 1)
			}
			d.count("meta[name=description]:not([content=''])", 1)
			d.count("[style], style, script:not([src]):not([type='application/ld+json']), [onclick], base, iframe, "+
				"object", 0)
			d.dataBlocks()
			d.noOtherHost(site)
			d.namesItsControls()
			d.idsAreUnique()
		})
	}
}

// furtherScripts counts those that a page has besides the one that all have.
func (d document) furtherScripts() int {
	return len(d.all("form[data-passkey], form[data-files], form[data-place], " +
		"link[rel=stylesheet][href*='/organise.']"))
}

// noOtherHost: everything the browser fetches comes from this site, and links elsewhere are ugc links.
func (d document) noOtherHost(site Site) {
	d.t.Helper()
	for _, n := range d.all("[src], link[href]:not([rel=canonical])") {
		for _, address := range []string{attr(n, "src"), attr(n, "href")} {
			address = strings.TrimPrefix(address, site.Base)
			if address != "" && (!strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//")) {
				d.t.Errorf("<%s> fetches %q", n.Data, address)
			}
		}
	}
	for _, n := range d.all("[srcset]") {
		for part := range strings.SplitSeq(attr(n, "srcset"), ",") {
			if !strings.HasPrefix(part, "/img/") && !strings.HasPrefix(part, "/me/pictures/") &&
				!strings.HasPrefix(part, page.PathShares) {
				d.t.Errorf("srcset has %q", part)
			}
		}
	}
	for _, n := range d.all("a[href]") {
		u, err := url.Parse(attr(n, "href"))
		if err != nil {
			d.t.Errorf("link to %q: %v", attr(n, "href"), err)
			continue
		}
		toLicence := attr(n, "rel") == "license" && u.Host == "creativecommons.org"
		if (u.Host != "" || u.Scheme != "") && attr(n, "rel") != "nofollow ugc noopener" && !toLicence {
			d.t.Errorf("link to %q has rel=%q", u, attr(n, "rel"))
		}
		if u.Host == "" && u.Path != "" {
			_, private := page.ParsePrivate(u.Path)
			_, _, original := page.ParseOriginal(u.Path)
			_, zip := page.ParseTakeout(u.Path)
			_, shared := page.ParseShare(u.Path)
			if _, err := page.ParsePath(u.RequestURI()); err != nil && !private && !original && !zip && !shared {
				d.t.Errorf("link to a page that is none: %v", err)
			}
		}
	}
}

func (d document) namesItsControls() {
	d.t.Helper()
	for _, n := range d.all("a, button") {
		if text(n) == "" && attr(n, "aria-label") == "" {
			d.t.Errorf("<%s href=%q> has no name", n.Data, attr(n, "href"))
		}
	}
	for _, n := range d.all("img") {
		if attr(n, "width") == "" || attr(n, "height") == "" {
			d.t.Errorf("picture %q has no size", attr(n, "src"))
		}
	}
	d.count("img:not([alt])", 0)
}

func (d document) idsAreUnique() {
	d.t.Helper()
	seen := map[string]bool{}
	for _, n := range d.all("[id]") {
		if id := attr(n, "id"); seen[id] {
			d.t.Errorf("id %q twice", id)
		} else {
			seen[id] = true
		}
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	cards := testCards(20)
	d := render(t, Home(HomePage{Site: site, Self: page.Home(), Popular: cards[:5], Recent: cards[5:],
		Older: page.Home().Before(4)}))
	d.text("title", Name)
	d.count(".band", 2)
	d.count("#liked .reel[role=region][tabindex='0'][aria-labelledby=most] .grid > li", 5)
	d.count(".grid > li > a", 20)
	d.count(".grid .cap small", 20)
	d.count("img[fetchpriority=high]", urgent)
	d.count("img:not([loading])", eager)
	d.count("img[loading=lazy]", 20-eager)
	d.attribute(".pager a[rel=next]", "href", "/before/4")
	d.attribute("meta[property='og:url']", "content", "https://photos.example/")
	d.attribute("meta[property='og:image']", "content", "https://photos.example"+cards[0].Image.src(1280))

	d = render(t, Home(HomePage{Site: site, Self: page.Home().Before(9), Recent: cards, Newer: page.Home()}))
	d.text("title", "Newest photos · "+Name)
	d.count(".band", 1)
	d.attribute(".pager a[rel=prev]", "href", "/")

	d = render(t, Home(HomePage{Site: site, Self: page.Home()}))
	d.count(".grid, .pager", 0)
	d.text(".empty p:first-child", "There are no photos here yet.")
	d.count(".empty a", 1)
}

func TestUser(t *testing.T) {
	t.Parallel()
	p := testUser(testSite(t))
	d := render(t, User(p))
	d.text("h1", "Ansel Okafor")
	d.text(".intro .facts > span:first-child", "12,345 photos")
	d.count(".intro p br", 1)
	d.attribute(".intro p a[rel~=ugc]", "href", "https://prints.example/")
	d.count(".albums li a[href^='/album/']", 10)
	d.count(".grid > li > h2 > time", monthsOf(p.Photos))
	d.attribute(".grid > li:first-child > h2 > time", "datetime", "2026-11")
	d.text(".grid > li:first-child > h2", "November 2026")
	d.count(".grid", 1) // months flow on in one grid
	d.count(".grid > li > a", 48)
	d.count(".grid .cap small", 0)
	d.count(".albums .reel[role=region][tabindex='0'][aria-labelledby=albums] > ul", 1)
	d.attribute("link[type='application/atom+xml']", "href", "https://photos.example/photos/ansel/feed")
	d.attribute(".intro .facts a[href$='/albums']", "href", "/photos/ansel/albums")
	d.attribute("link[rel=next]", "href", p.Older.Path())

	p.Self, p.Albums, p.Newer = p.Older, nil, page.User("ansel")
	d = render(t, User(p))
	d.attribute("h1 a", "href", "/photos/ansel")
	d.count(".intro p[dir]", 0)
	d.count(".pager a", 2)

	d = render(t, User(UserPage{Site: p.Site, Self: page.User("bo"), User: Person{Name: "bo"}}))
	d.text("h1", "bo")
	d.text(".intro .facts > span:first-child", "0 photos")
	d.count(".grid, .albums, .pager", 0)
	d.text(".empty p:first-child", "There are no photos here yet.")
}

func TestPhoto(t *testing.T) {
	t.Parallel()
	p := testPhoto(testSite(t))
	d := render(t, Photo(p))
	d.text("title", "Morning over the fjord · "+Name)
	d.attribute(".stage img", "alt", "Morning over the fjord")
	d.attribute(".stage img", "class", p.Image.shape())
	d.attribute(".stage img", "fetchpriority", "high")
	d.attribute(".stage a[rel=prev]", "href", "/photo/8")
	d.attribute(".stage a[rel=next]", "href", "/photo/6")
	d.attribute(".story a[rel=author]", "href", "/photos/ansel")
	d.attribute(".story .facts time", "datetime", "2026-11-20")
	d.count(".story > p[dir=auto]", 2)
	d.attribute(".story > p[dir=auto] a", "href", "http://fjord.example/?a=1&b=2")
	d.count(".tags a[rel=tag]", 3)
	d.attribute(".tags li:nth-child(2) a", "href", "/tag/blue%20hour")
	d.text(".camera:not(.camera + .camera)", "Taken20 October 2026CameraX-T5LensXF 23mm")
	d.text(".camera + .camera", "Focal length23.5 mmApertureƒ/2.8Exposure1/250 sISO12,800")
	d.attribute(".bar a.up", "href", "/photos/ansel")
	d.text(".bar a.up span", "Photos by Ansel Okafor")
	d.attribute("meta[property='og:image:height']", "content", "853")
	d.attribute("meta[property='og:type']", "content", "article")

	for title, long := range map[string]int{strings.Repeat("a", 70): 0, strings.Repeat("a", 71): 1,
		strings.Repeat("海", 36): 1} {
		p.Title = title
		render(t, Photo(p)).count("h1.long", long)
	}

	d = render(t, Photo(PhotoPage{Site: p.Site, Photo: page.Photo(7), Author: Person{Name: "bo"}, Image: testImage(1),
		Posted: testDate}))
	d.text("h1", "Untitled")
	d.attribute(".stage img", "alt", "Untitled photo by bo")
	d.count(".tags, .camera, .story > p[dir=auto], .turn[href]", 0)
	d.count(".turn[hidden]:not([rel])", 2) // in HTML a link without an address has no relation either
}

func monthsOf(cards []Card) int {
	all := map[string]bool{}
	for _, c := range cards {
		all[c.Posted.UTC().Format("2006-01")] = true
	}
	return len(all)
}

func TestTagSearchAlbum(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	d := render(t, Tag(TagPage{Site: site, Self: page.Tag("青い"), Photos: testCards(3), Newer: page.Tag("青い")}))
	d.text("h1 bdi", "青い")
	d.count(".grid li", 3)
	d = render(t, Tag(TagPage{Site: site, Self: page.Tag("青い")}))
	d.attribute(".empty a", "href", page.Search("青い").Path())

	d = render(t, Search(SearchPage{Site: site, Self: page.Search("")}))
	d.count(".empty, .grid, header form", 0)
	d.count("main form label[for=q] ~ div input[autofocus]", 1)
	d = render(t, Search(SearchPage{Site: site, Self: page.Search("zzz")}))
	d.attribute("#q", "value", "zzz")
	d.count(".empty a", 1)
	d.count("meta[name=robots][content='noindex,follow']", 1)
	d = render(t, Search(SearchPage{Site: site, Self: page.Search("a"), Problem: "Two letters at least."}))
	d.count("#q[aria-invalid=true][aria-describedby=problem]", 1)
	d.text("#problem", "Two letters at least.")
	d.count(".empty", 0)
	d = render(t, Search(SearchPage{Site: site, Self: page.Search("b"),
		People: []PersonCount{{Person: ansel, Photos: 3}}, Tags: []TagCount{{"b", 0}}}))
	d.text("#people + ul a", "Ansel Okafor ansel · 3 photos")
	d.count("#tags + ul a small", 0)

	b := page.Search("b")
	d = render(t, Search(SearchPage{
		Site: site, Self: b, Meant: "c", Verbatim: page.Search(`"b"`), Total: Number{N: 1000, AtLeast: true},
		Photos: testCards(3),
		Active: []Choice{{Label: "year:2020", Ref: page.Search("")}},
		Filters: []FilterGroup{{"Year", []Choice{{Label: "2021", Ref: page.Search("b year:2021"),
			Count: Number{N: 300, About: true}}}}},
		Orders: []Choice{{Label: "Best match", Ref: b, Current: true},
			{Label: "Newest", Ref: b.Sorted(page.SortNewest)}},
	}))
	d.text(".intro p.quiet:not(.unseen)", "Showing results for c. Search instead for b.")
	d.text(".band h2", "1,000+ photos")
	d.text("details a", "2021 about 300")
	d.attribute("details a", "href", "/search?q=b+year%3A2021")
	d.text("[aria-label=Filters] > ul > li:first-child > a", "Without year:2020 ×")
	d.attribute("[aria-label=Order] a:not([aria-current])", "href", "/search?q=b&sort=newest")
	d.count("[aria-label=Order] [aria-current]", 1)
	d = render(t, Tag(TagPage{Site: site, Self: page.Tag("sea"), Related: []string{"coast"}, Photos: testCards(1)}))
	d.attribute("#related + ul a", "href", "/tag/coast")

	d = render(t, Album(AlbumPage{Site: site, Self: page.Album(3), Owner: ansel}))
	d.text("h1", "Untitled")
	d.attribute(".empty a", "href", "/photos/ansel")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for _, status := range []int{400, 404, 410, 414, 418, 451, 500, 501, 503, 504, 507} {
		d := render(t, Error(ErrorPage{Site: site, Status: status}))
		d.count("main h1", 1)
		d.count("main a.way", 1)
		d.count("link[rel=canonical], meta[property='og:url']", 0)
		retries := 0
		if status == 503 || status == 504 {
			retries = 1
		}
		d.count("[data-retry]", retries)
		d.count("main [href='']", 0) // it would lose the form that was sent
		if again := strings.Contains(string(d.body), "Reload this page"); again != (status >= 500) {
			t.Errorf("%d: a reload is offered: %t", status, again)
		}
	}
}

// A site that does not know its own address leaves out what must be absolute.
func TestNoBase(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	site.Base = ""
	d := render(t, User(testUser(site)))
	d.count("link[rel=canonical], meta[property='og:url'], meta[property='og:image'], link[rel=search], "+
		"script:not([src])", 0)
	d.attribute("link[type='application/atom+xml']", "href", "/photos/ansel/feed")
	d.count("meta[property='og:title']", 1)
}
