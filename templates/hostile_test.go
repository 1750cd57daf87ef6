package templates

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/net/html"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// pagesOf builds every page that shows what people wrote, with s in each field but those shown as prose, and prose in
// those.
func pagesOf(site Site, s, prose string) []templ.Component {
	who := Person{Name: s, Display: s}
	im := testImage(1)
	im.ID = s
	cards := []Card{{Photo: page.Photo(1), Title: s, Author: who, Image: im, Posted: testDate}}
	albums := []AlbumCard{{Album: page.Album(1), Title: s, Count: 1, Cover: im}}
	camera := Camera{Model: s, Lens: s, Exposure: s}
	pages := []templ.Component{
		Home(HomePage{Site: site, Self: page.Home(), Popular: cards, Recent: cards}),
		User(UserPage{Site: site, Self: page.User(s), User: who, Bio: prose, Joined: testDate, Albums: albums,
			Photos: cards, Older: page.User(s).Before(1)}),
		Photo(PhotoPage{Site: site, Photo: page.Photo(1), Title: s, Description: prose, Author: who, Image: im,
			Posted: testDate, Tags: []string{s, s},
			Camera: camera, Albums: albums}),
		Tag(TagPage{Site: site, Self: page.Tag(s), Photos: cards, Older: page.Tag(s).Before(1)}),
		Search(SearchPage{Site: site, Self: page.Search(s), Problem: s, Meant: s,
			Active:  []Choice{{Label: s, Ref: page.Search(s)}},
			Filters: []FilterGroup{{"Year", []Choice{{Label: s, Ref: page.Search(s)}}}},
			People:  []PersonCount{{Person: who, Photos: 1}}, Tags: []TagCount{{s, 1}}, Photos: cards,
			Older: page.Search(s).Before(1)}),
		Album(AlbumPage{Site: site, Self: page.Album(1), Title: s, Description: prose, Owner: who, Photos: cards}),
		Explore(ExplorePage{Site: site, Self: page.Explore(), Photos: cards}),
		Tags(TagsPage{Site: site, Tags: []TagCount{{s, 1}}}),
		Albums(AlbumsPage{Site: site, Self: page.Albums(s), User: who, Albums: albums}),
	}
	for _, kind := range page.Privates() {
		pages = append(pages, Private(testPrivate(site, kind, s, prose)))
	}
	return append(pages, Codes(CodesPage{Site: site, Person: who, Email: s}),
		Codes(CodesPage{Site: site, Person: who, Email: s, Unmailed: true}))
}

// shapeOf lists a page's elements with the names of their attributes, in order.
func shapeOf(d document) []string {
	var all []string
	for n := range d.root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			element := n.Data
			for _, a := range n.Attr {
				element += " " + a.Key
			}
			all = append(all, element)
		case html.CommentNode:
			all = append(all, "comment")
		}
	}
	return all
}

// Whatever people write, it makes no element and no attribute: the page has the same ones as with a plain word.
func TestHostileText(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	if n := len(testenv.HostileTexts()); n != 100 {
		t.Fatalf("%d payloads, want 100", n)
	}
	plain := pagesOf(site, "word", "word")
	for i := range plain {
		want := shapeOf(render(t, plain[i]))
		for _, s := range testenv.HostileTexts() {
			d := render(t, pagesOf(site, s, "word")[i])
			if got := shapeOf(d); !slices.Equal(got, want) {
				t.Fatalf("page %d with %q has other elements:\n%q\nwant\n%q", i, s, got, want)
			}
			d.noScriptAddress(s)
			d.dataBlocks()
		}
	}
}

// In prose a payload may become text, line breaks and links, and nothing else.
func TestHostileProse(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for _, s := range testenv.HostileTexts() {
		for _, component := range pagesOf(site, "word", s+"\n"+s) {
			d := render(t, component)
			d.count("script[src]", 1+d.furtherScripts())
			d.dataBlocks()
			d.count("p[dir=auto] :not(a):not(br)", 0)
			d.noScriptAddress(s)
			for _, n := range d.all("p[dir=auto] a") {
				if len(n.Attr) != 2 || attr(n, "rel") != "nofollow ugc noopener" || attr(n, "href") != text(n) {
					t.Errorf("%q makes the link %v", s, n.Attr)
				}
			}
		}
	}
}

func (d document) noScriptAddress(payload string) {
	d.t.Helper()
	for _, n := range d.all("[href], [src], [action]") {
		for _, name := range []string{"href", "src", "action"} {
			address := strings.ToLower(strings.TrimSpace(attr(n, name)))
			if address == "" || strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") ||
				address == "#main" ||
				strings.HasPrefix(address, "https://photos.example/") {
				continue
			}
			if attr(n, "rel") != "nofollow ugc noopener" || !strings.HasPrefix(address, "http://") &&
				!strings.HasPrefix(address, "https://") {
				d.t.Errorf("%q reaches <%s %s=%q>", payload, n.Data, name, address)
			}
		}
	}
}

// Everything people wrote can be in a script that runs the other way, so it stands in a bdi or under dir=auto.
func TestDirections(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	const marker = "\u202eqqq"
	for i, component := range pagesOf(site, marker, marker) {
		for n := range render(t, component).root.Descendants() {
			if n.Type != html.TextNode || !strings.Contains(n.Data, marker) {
				continue
			}
			isolated := false
			for p := n.Parent; p != nil && !isolated; p = p.Parent {
				isolated = p.Data == "bdi" || attr(p, "dir") == "auto" || p.Data == "title" || p.Data == "script" ||
					p.Data == "p" && attr(p, "id") == "problem"
			}
			if !isolated {
				t.Errorf("page %d shows a text in <%s> without isolation", i, n.Parent.Data)
			}
		}
	}
}

// Some characters may not stand in HTML at all, not even escaped; browsers forgive them, validators do not.
func TestForbiddenCharacters(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	const bad = "\x00\x01\x0b\x1b\x7f\u0085\ufdd0\ufffe\uffff\U0001ffff"
	for i, component := range pagesOf(site, "a"+bad+"b", bad) {
		for n := range render(t, component).root.Descendants() {
			words := []string{attr(n, "alt"), attr(n, "value"), attr(n, "title")}
			if n.Type == html.TextNode {
				words = append(words, n.Data)
			}
			// addresses are made of names and ids, which the database keeps plain
			if !strings.HasPrefix(attr(n, "content"), "http") {
				words = append(words, attr(n, "content"))
			}
			if at := slices.IndexFunc(words, func(s string) bool {
				return strings.ContainsFunc(s,
					forbidden)
			}); at >= 0 {
				t.Errorf("page %d holds %q", i, words[at])
			}
		}
	}
	if titleOr(bad) != "Untitled" || (Person{Name: "bo", Display: bad}).Label() != "bo" {
		t.Error("what is nothing but forbidden is not nothing")
	}
}

// An error page must not depend on the clock or on its request.
func TestErrorPagesAreAlwaysTheSame(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	synctest.Test(t, func(t *testing.T) {
		first := render(t, Error(ErrorPage{Site: site, Status: 404})).body
		time.Sleep(400 * 24 * time.Hour) // of the bubble's clock: more than a year, so that no part of a date stays
		if !bytes.Equal(first, render(t, Error(ErrorPage{Site: site, Status: 404})).body) {
			t.Error("two error pages differ: something of the request or the clock is in them")
		}
	})
}

// What would let a text past templ's escaping is not used in this package.
func TestNothingIsDeclaredSafe(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := f.Name()
		if strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".templ") &&
			!strings.HasSuffix(name, ".go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		banned := []string{"templ.Raw", "templ.ComponentScript", "templ.JSFuncCall", "templ.JSUnsafeFuncCall",
			"templ.SafeCSS", "templ.FromGoHTML"}
		if !strings.HasSuffix(name, "_templ.go") { // the generator declares the type for what it has itself sanitised
			banned = append(banned, "SafeURL", "style={", "onclick={")
		}
		for _, word := range banned {
			if bytes.Contains(source, []byte(word)) {
				t.Errorf("%s uses %s, which goes past templ's escaping", name, word)
			}
		}
	}
}
