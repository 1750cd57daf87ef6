package templates

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for _, name := range page.Files() {
		body, kind, ok, err := File(site, name)
		if !ok || err != nil || len(body) == 0 || kind == "" {
			t.Errorf("%s: %d bytes of %q, %v", name, len(body), kind, err)
		}
		if strings.HasSuffix(name, ".xml") {
			wellFormed(t, body)
		}
	}
	text := func(site Site, name string) string {
		body, _, _, err := File(site, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := text(site, "robots.txt"); got != "User-agent: *\nDisallow: /search?\n\nSitemap: "+
		"https://photos.example/sitemap.xml\n" {
		t.Errorf("robots.txt: %q", got)
	}
	if got := text(site, "opensearch.xml"); !strings.Contains(got,
		`template="https://photos.example/search?q={searchTerms}"`) {
		t.Errorf("opensearch.xml: %s", got)
	}
	nowhere := Site{Assets: site.Assets}
	if got := text(nowhere, "robots.txt"); strings.Contains(got, "Sitemap") {
		t.Errorf("robots.txt of a site that does not know its address: %q", got)
	}
	if _, _, ok, err := File(nowhere, "opensearch.xml"); ok || err != nil {
		t.Errorf("an OpenSearch description without an address: %t, %v", ok, err)
	}
}

// The icons that the manifest names are there, and as large as it says.
func TestManifest(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	body, _, _, err := File(site, "manifest.webmanifest")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Name, Start string
		Icons       []struct{ Src, Sizes, Type, Purpose string }
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Name != Name || len(m.Icons) != 4 {
		t.Fatalf("%s: %v", body, err)
	}
	maskable := 0
	for _, icon := range m.Icons {
		ref, err := page.ParsePath(icon.Src)
		asset, ok := site.Assets.Get(ref.Name())
		if err != nil || !ok || asset.Type != icon.Type {
			t.Errorf("%+v: %v", icon, err)
		}
		if icon.Purpose == "maskable" {
			maskable++
		}
		if icon.Type != "image/png" {
			continue
		}
		size, err := png.DecodeConfig(bytes.NewReader(asset.Body))
		if err != nil || !strings.HasPrefix(icon.Sizes, "192") && size.Width != 512 ||
			strings.HasPrefix(icon.Sizes, "192") && size.Width != 192 {
			t.Errorf("%+v is %d wide, %v", icon, size.Width, err)
		}
	}
	if maskable != 1 {
		t.Errorf("%d maskable icons", maskable)
	}
	if size, err := png.DecodeConfig(bytes.NewReader(touchIcon)); err != nil || size.Width != 180 ||
		size.Height != 180 {
		t.Errorf("apple-touch-icon.png: %+v, %v", size, err)
	}
	if !bytes.HasPrefix(favicon, []byte{0, 0, 1, 0, 3, 0, 16, 16}) {
		t.Errorf("favicon.ico begins %v", favicon[:8])
	}
}

func wellFormed(t *testing.T, body []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %.300s", err, body)
		}
	}
}

// A sitemap has the shape of https://www.sitemaps.org/schemas/sitemap/0.9/sitemap.xsd, and a part stays well below
// 50,000 addresses.
func TestSitemap(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	site.Base = "https://photos.example"
	var b bytes.Buffer
	entries := []SitemapEntry{{Ref: page.Photo(7), Image: testImage(1)}, {Ref: page.User("ansel"), Changed: testDate},
		{Ref: page.Album(3)}}
	if err := WriteSitemap(&b, site, entries); err != nil {
		t.Fatal(err)
	}
	var set struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
		URLs    []struct {
			Loc     string `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 loc"`
			LastMod string `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 lastmod"`
			Image   string `xml:"http://www.google.com/schemas/sitemap-image/1.1 image>loc"`
		} `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 url"`
	}
	if err := xml.Unmarshal(b.Bytes(), &set); err != nil || len(set.URLs) != 3 {
		t.Fatalf("%s: %v", b.Bytes(), err)
	}
	if set.URLs[0].Loc != "https://photos.example/photo/7" ||
		set.URLs[0].Image != "https://photos.example"+testImage(1).src(1280) || set.URLs[0].LastMod != "" {
		t.Errorf("%+v", set.URLs[0])
	}
	if set.URLs[1].LastMod != "2026-11-20T12:00:00Z" || set.URLs[1].Image != "" ||
		set.URLs[2].Loc != "https://photos.example/album/3" {
		t.Errorf("%+v", set.URLs[1:])
	}
	b.Reset() // a picture that is stored in no more than 640 pixels is named by that
	narrow := Image{ID: testImage(1).ID, Width: 500, Height: 400}
	if err := WriteSitemap(&b, site, []SitemapEntry{{Ref: page.Photo(7), Image: narrow}}); err != nil ||
		!strings.Contains(b.String(), "/640.jpg<") {
		t.Errorf("%s: %v", b.String(), err)
	}
	b.Reset()
	if err := WriteOEmbed(&b, OEmbed{Site: site, Photo: page.Photo(7), Image: narrow}, "json"); err != nil ||
		!strings.Contains(b.String(), `/640.jpg","width":500,"height":400`) {
		t.Errorf("%s: %v", b.String(), err)
	}
	b.Reset()
	if err := WriteSitemapIndex(&b, site, []SitemapEntry{{Ref: page.SitemapPart("photos", 2),
		Changed: testDate}}); err != nil {
		t.Fatal(err)
	}
	var index struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemapindex"`
		Parts   []struct {
			Loc string `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 loc"`
		} `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemap"`
	}
	if err := xml.Unmarshal(b.Bytes(), &index); err != nil || len(index.Parts) != 1 ||
		index.Parts[0].Loc != "https://photos.example/sitemap/photos/2.xml" {
		t.Errorf("%s: %v", b.Bytes(), err)
	}
}

func TestOEmbed(t *testing.T) {
	t.Parallel()
	// 6000 by 4000
	in := OEmbed{Site: testSite(t), Photo: page.Photo(7), Title: `</oembed>"&<script>`, Author: ansel,
		Image: testImage(0), CacheAge: 600}
	answer := func(maxWidth, maxHeight int) oEmbedAnswer {
		t.Helper()
		var a, b oEmbedAnswer
		in.MaxWidth, in.MaxHeight = maxWidth, maxHeight
		for format, read := range map[string]func([]byte) error{
			"json": func(body []byte) error { return json.Unmarshal(body, &a) },
			"xml":  func(body []byte) error { return xml.Unmarshal(body, &b) },
		} {
			var buf bytes.Buffer
			if err := WriteOEmbed(&buf, in, format); err != nil {
				t.Fatal(err)
			}
			if err := read(buf.Bytes()); err != nil {
				t.Fatalf("%s: %v", buf.Bytes(), err)
			}
		}
		b.XMLName = xml.Name{}
		if a != b {
			t.Errorf("JSON says %+v, XML %+v", a, b)
		}
		return a
	}
	a := answer(0, 0)
	if a.Version != "1.0" || a.Type != "photo" || a.Title != in.Title ||
		a.AuthorURL != "https://photos.example/photos/ansel" || a.CacheAge != 600 ||
		a.ProviderURL != "https://photos.example/" || a.URL != "https://photos.example"+in.Image.src(1280) ||
		a.ThumbnailURL != "https://photos.example"+in.Image.src(320) {
		t.Errorf("%+v", a)
	}
	for _, c := range []struct{ maxWidth, maxHeight, file, w, h, thumbW, thumbH int }{
		{0, 0, 1280, 1280, 853, 320, 213},
		{1279, 0, 640, 640, 427, 320, 213},
		{640, 427, 640, 640, 427, 320, 213},
		{0, 426, 320, 320, 213, 320, 213},
		{160, 0, 320, 160, 106, 160, 106},
		{1000, 100, 320, 150, 100, 150, 100},
		{1, 1, 320, 1, 1, 1, 1},
	} {
		a := answer(c.maxWidth, c.maxHeight)
		if a.URL != "https://photos.example"+in.Image.src(c.file) || a.Width != c.w || a.Height != c.h ||
			a.ThumbnailWidth != c.thumbW || a.ThumbnailHeight != c.thumbH {
			t.Errorf("within %dx%d: %+v", c.maxWidth, c.maxHeight, a)
		}
	}
}
