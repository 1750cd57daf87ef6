package templates

import (
	"encoding/json"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// dataBlocks gives the page's JSON-LD, at most one block, with what holds for every one: it is JSON that cannot end its
// element, and its addresses are this site's.
func (d document) dataBlocks() []map[string]any {
	d.t.Helper()
	blocks := d.all("script[type='application/ld+json']")
	if len(blocks) == 0 {
		return nil
	}
	raw := ""
	if child := d.one("script[type='application/ld+json']").FirstChild; child != nil {
		raw = child.Data
	}
	if strings.ContainsAny(raw, "<>&\u2028\u2029") {
		d.t.Errorf("data block %q", raw)
	}
	var data struct {
		Context string           `json:"@context"`
		Graph   []map[string]any `json:"@graph"`
	}
	if err := json.Unmarshal([]byte(raw), &data); err != nil || data.Context != "https://schema.org" ||
		len(data.Graph) == 0 {
		d.t.Fatalf("data block %q: %v", raw, err)
	}
	for _, thing := range data.Graph {
		if thing["@type"] == "" {
			d.t.Errorf("a thing without a type: %v", thing)
		}
		for _, name := range []string{"url", "contentUrl", "thumbnailUrl"} {
			if address, ok := thing[name]; ok && !strings.HasPrefix(address.(string), "https://photos.example/") {
				d.t.Errorf("%s is %v", name, address)
			}
		}
	}
	return data.Graph
}

func TestLinkedData(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	things := render(t, Photo(testPhoto(site))).dataBlocks()
	if len(things) != 2 || things[0]["@type"] != "ImageObject" || things[1]["@type"] != "BreadcrumbList" {
		t.Fatalf("photo: %v", things)
	}
	photo := things[0]
	if photo["name"] != "Morning over the fjord" || photo["url"] != "https://photos.example/photo/7" ||
		photo["width"] != "1280 px" ||
		photo["author"].(map[string]any)["url"] != "https://photos.example/photos/ansel" ||
		photo["keywords"] != "fjord, blue hour, 夜明け" ||
		photo["uploadDate"] != "2026-11-20T12:00:00Z" ||
		photo["contentUrl"] != "https://photos.example"+testImage(0).src(1280) {
		t.Errorf("photo: %v", photo)
	}
	crumbs := things[1]["itemListElement"].([]any)
	if len(crumbs) != 2 || crumbs[0].(map[string]any)["item"] != "https://photos.example/photos/ansel" ||
		crumbs[1].(map[string]any)["position"] != 2.0 {
		t.Errorf("crumbs %v", crumbs)
	}
	user := testUser(site)
	things = render(t, User(user)).dataBlocks()
	if len(things) != 1 || things[0]["@type"] != "ProfilePage" ||
		things[0]["mainEntity"].(map[string]any)["alternateName"] != "ansel" {
		t.Errorf("user: %v", things)
	}
	user.Self = page.User("ansel").Before(9)
	if things = render(t, User(user)).dataBlocks(); things != nil {
		t.Errorf("a further page of a user: %v", things)
	}
	for name, want := range map[string]string{"home": "WebSite", "tag": "BreadcrumbList", "album": "ImageGallery",
		"albums":      "BreadcrumbList",
		"explore day": "BreadcrumbList"} {
		if things := render(t, everyPage(site)[name]).dataBlocks(); len(things) == 0 || things[0]["@type"] != want {
			t.Errorf("%s: %v", name, things)
		}
	}
}

// Every page that has an address says which; those that show a picture have one for previews, with its size and what it
// is.
func TestPreviews(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for name, component := range everyPage(site) {
		d := render(t, component)
		if strings.HasPrefix(name, "error") || strings.HasPrefix(name, "private") || name == "codes" {
			d.count("link[rel=canonical], script:not([src])", 0)
			continue
		}
		canonical := attr(d.one("link[rel=canonical]"), "href")
		ref, err := page.ParsePath(strings.TrimPrefix(canonical, site.Base))
		if err != nil || !strings.HasPrefix(canonical, site.Base) || site.Base+ref.Path() != canonical {
			t.Errorf("%s: canonical %q, %v", name, canonical, err)
		}
		d.attribute("meta[property='og:url']", "content", canonical)
		d.count("meta[name='twitter:card']", 1)
		d.count("link[rel=search][href='/opensearch.xml'], link[rel=manifest], link[rel=apple-touch-icon]", 3)
		if len(d.all("meta[property='og:image']")) > 0 {
			d.count("meta[property='og:image:width'], meta[property='og:image:height'], "+
				"meta[property='og:image:alt']:not([content=''])", 3)
		} else if name != "about" && name != "tags" && name != "search" {
			t.Errorf("%s has no picture for previews", name)
		}
		for _, n := range d.all("link[type$=oembed]") {
			ref, err := page.ParsePath(strings.TrimPrefix(attr(n, "href"), site.Base))
			if err != nil || ref.Kind() != page.KindOEmbed || ref.ID() != 7 {
				t.Errorf("%s: oEmbed link %v, %v", name, n.Attr, err)
			}
		}
		feeds := 0
		if _, has := map[string]bool{"home": true, "user": true, "tag": true, "album": true, "album with albums": true,
			"albums": true}[name]; has {
			feeds = 1
		}
		d.count("link[rel=alternate][type='application/atom+xml'][href^='https://photos.example/']", feeds)
	}
	d := render(t, Photo(testPhoto(site)))
	d.count("link[type$=oembed]", 2)
	d.attribute("meta[property='og:image:alt']", "content", "Morning over the fjord")
}

func TestExploreAndTags(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	d := render(t, Explore(ExplorePage{Site: site, Self: page.ExploreDay(testDate), Photos: testCards(3),
		Earlier: testDate.AddDate(0, 0, -2), Later: testDate.AddDate(0, 0, 1)}))
	d.text("h1", "20 November 2026")
	d.attribute(".pager a[rel=prev]", "href", "/explore/2026-11-21")
	d.attribute(".pager a[rel=next]", "href", "/explore/2026-11-18")
	d.text(".pager a[rel=next]", "18 November 2026")
	d = render(t, Explore(ExplorePage{Site: site, Self: page.ExploreDay(testDate)}))
	d.attribute(".empty a", "href", "/explore")

	tags := render(t, Tags(TagsPage{Site: site, Tags: []TagCount{{"sea", 80_000}, {"sky", 300}, {"ant", 1}}}))
	for i, want := range [][2]string{{"x1", "ant 1"}, {"x5", "sea 80,000"}, {"x3", "sky 300"}} {
		if n := tags.all(".cloud li")[i]; attr(n, "class") != want[0] || text(n) != want[1] {
			t.Errorf("%s %q, want %q", attr(n, "class"), text(n), want)
		}
	}
	render(t, Tags(TagsPage{Site: site})).count(".empty a", 1)
}
