package page

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const someImage = "abcdefghijklmnopqrstuvwxyz"

func TestForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ref           Ref
		path, subject string
	}{
		{Home(), "/", "page.home"},
		{Home().Before(7), "/before/7", "page.home.before.7"},
		{Home().After(7), "/after/7", "page.home.after.7"},
		{User("ansel"), "/photos/ansel", "page.user.ansel"},
		{User("ansel").Before(12), "/photos/ansel/before/12", "page.user.ansel.before.12"},
		{Feed(User("ansel")), "/photos/ansel/feed", "page.feed.user.ansel"},
		{Feed(Home()), "/feed", "page.feed.home"},
		{Feed(Tag("low tide")), "/tag/low%20tide/feed", "page.feed.tag.low=20tide"},
		{Feed(Album(4)), "/album/4/feed", "page.feed.album.4"},
		{Explore(), "/explore", "page.explore"},
		{ExploreDay(time.Date(2026, 3, 9, 23, 0, 0, 0, time.UTC)), "/explore/2026-03-09", "page.explore.2026-03-09"},
		{Albums("ansel").Before(12), "/photos/ansel/albums/before/12", "page.albums.ansel.before.12"},
		{Tags(), "/tags", "page.tags"},
		{File("robots.txt"), "/robots.txt", "page.file.robots=2Etxt"},
		{Sitemap(), "/sitemap.xml", "page.sitemap"},
		{SitemapPart("photos", 12), "/sitemap/photos/12.xml", "page.sitemap.photos.12"},
		{OEmbed(9, "json", 640, 0), "/oembed?url=%2Fphoto%2F9&format=json&maxwidth=640", "page.oembed.9.json.640.0"},
		{Search("sea").Sorted(SortLiked).Before(5), "/search?q=sea&sort=liked&before=5",
			"page.search.sea.liked.before.5"},
		{Search("newest"), "/search?q=newest", "page.search.newest"},
		{Photo(9), "/photo/9", "page.photo.9"},
		{Tag("Blue  Hour"), "/tag/blue%20hour", "page.tag.blue=20hour"},
		{Tag("夜景").After(3), "/tag/%E5%A4%9C%E6%99%AF/after/3", "page.tag.~5aSc5pmv.after.3"},
		{Search(""), "/search", "page.search"},
		{Search(" low   tide "), "/search?q=low+tide", "page.search.low=20tide"},
		{Search("a.b*>").Before(5), "/search?q=a.b%2A%3E&before=5", "page.search.~YS5iKj4.before.5"},
		{Album(4).After(48), "/album/4/after/48", "page.album.4.after.48"},
		{About(), "/about", "page.about"},
		{Error(404), "", "page.error.404"},
		{Asset("app.0123abcd.css"), "/static/app.0123abcd.css", "asset.app.0123abcd.css"},
		{Image(someImage, 640), "/img/" + someImage + "/640.jpg", "picture." + someImage + ".640"},
	} {
		if got := c.ref.Path(); got != c.path {
			t.Errorf("Path = %q, want %q", got, c.path)
		}
		if got := c.ref.Subject(); got != c.subject {
			t.Errorf("Subject = %q, want %q", got, c.subject)
		}
		if got, err := ParseSubject(c.subject); err != nil || got != c.ref {
			t.Errorf("ParseSubject(%q) = %v, %v", c.subject, got, err)
		}
		if c.path == "" {
			continue
		}
		if got, err := ParsePath(c.path); err != nil || got != c.ref {
			t.Errorf("ParsePath(%q) = %v, %v", c.path, got, err)
		}
	}
}

func TestParsePathCanonical(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]Ref{
		"/photos/Ansel":              User("ansel"),
		"/photos/ansel/":             User("ansel"),
		"/photos/ansel/before/3/":    User("ansel").Before(3),
		"/album/1/":                  Album(1),
		"/explore/":                  Explore(),
		"/search/?q=a":               Search("a"),
		"/search/?q=":                Search(""),
		"/search?q=a&sort=relevance": Search("a"),
		"/oembed?url=https%3A%2F%2Fphotos.example%2Fphoto%2F9%2F": OEmbed(9, "json", 0, 0),
		"/oembed?url=/photo/9&format=xml&maxheight=99999999":      OEmbed(9, "xml", 0, 0),
		"/photos/ansel?utm_source=mail":                           User("ansel"),
		"/tag/SUNSET":                                             Tag("sunset"),
		"/tag/ac%2Fdc":                                            Tag("ac/dc"),
		"/search?q=a&q=b":                                         Search("a"),
		"/search?q=%20":                                           Search(""),
		"/search?q=a&before=":                                     Search("a"),
		"/search?q=a&after=3":                                     Search("a"),
	} {
		if got, err := ParsePath(target); err != nil || got != want {
			t.Errorf("ParsePath(%q) = %v, %v; want %v", target, got, err, want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]error{
		"":                                      ErrUnknown,
		"photos/ansel":                          ErrUnknown,
		"//photos/ansel":                        ErrUnknown,
		"/photos":                               ErrUnknown,
		"/photos/":                              ErrUnknown,
		"/photos/a":                             ErrUnknown,
		"/photos/ansel//":                       ErrUnknown,
		"/explore/2026-02-30":                   ErrUnknown,
		"/explore/0000-01-01":                   ErrUnknown,
		"/explore/2026-2-3":                     ErrUnknown,
		"/feed/before/3":                        ErrUnknown,
		"/tag/sea/feed/before/3":                ErrUnknown,
		"/sitemap/tags/1.xml":                   ErrUnknown,
		"/sitemap/photos/0.xml":                 ErrUnknown,
		"/humans.txt":                           ErrUnknown,
		"/search?q=a&sort=size":                 ErrMalformed,
		"/oembed":                               ErrMalformed,
		"/oembed?url=/photo/9&format=yaml":      ErrMalformed,
		"/oembed?url=/photo/9&maxwidth=-1":      ErrMalformed,
		"/oembed?url=/photos/ansel":             ErrUnknown,
		"/photos/-ansel":                        ErrUnknown,
		"/photos/an%00sel":                      ErrUnknown,
		"/photos/../etc":                        ErrUnknown,
		"/photos/%2e%2e":                        ErrUnknown,
		"/photos/ansel/before/0":                ErrUnknown,
		"/photos/ansel/before/-1":               ErrUnknown,
		"/photos/ansel/before/1/x":              ErrUnknown,
		"/photos/ansel.css":                     ErrUnknown,
		"/photo/007":                            ErrUnknown,
		"/photo/99999999999999999999":           ErrUnknown,
		"/photo/1;x.js":                         ErrUnknown,
		"/about/x":                              ErrUnknown,
		"/tag/%zz":                              ErrUnknown,
		"/tag/a%00b":                            ErrMalformed,
		"/tag/%ff":                              ErrMalformed,
		"/search?q=%ff":                         ErrMalformed,
		"/search?q=%":                           ErrMalformed,
		"/search?q=a&before=x":                  ErrUnknown,
		"/search?q=a;b":                         ErrMalformed,
		"/search?q=" + strings.Repeat("a", 201): ErrTooLong,
		"/tag/" + strings.Repeat("%C3%A4", 61):  ErrTooLong,
		"/" + strings.Repeat("a", MaxTarget):    ErrTooLong,
		"/img/" + someImage + "/641.jpg":        ErrUnknown,
		"/img/" + someImage + "/640.png":        ErrUnknown,
		"/img/x/640.jpg":                        ErrUnknown,
		"/static/app.css":                       ErrUnknown,
		"/static/..%2fx.0123abcd.css":           ErrUnknown,
		"/static/app.0123abcg.css":              ErrUnknown,
	} {
		if got, err := ParsePath(target); !errors.Is(err, want) {
			t.Errorf("ParsePath(%q) = %v, %v; want %v", target, got, err, want)
		}
	}
}

// refs draws any Ref that the parsers can give.
func refs() *rapid.Generator[Ref] {
	users := rapid.StringMatching(`[a-z0-9][a-z0-9_-]{1,30}`)
	ids := rapid.Int64Range(1, 1<<62)
	texts := rapid.String().Filter(func(s string) bool { return checkText("text", CleanQuery(s), MaxQuery) == nil })
	return rapid.Custom(func(t *rapid.T) Ref {
		kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
		listing := func(kind Kind) (Ref, bool) {
			switch kind {
			case KindHome:
				return Home(), true
			case KindUser:
				return User(users.Draw(t, "user")), true
			case KindAlbums:
				return Albums(users.Draw(t, "user")), true
			case KindAlbum:
				return Album(ids.Draw(t, "id")), true
			case KindTag:
				return Tag(texts.Filter(func(s string) bool { return Tag(s).check() == nil }).Draw(t, "tag")), true
			}
			return Ref{}, false
		}
		var r Ref
		if of, ok := listing(kind); ok {
			r = of
		} else {
			switch kind {
			case KindSearch:
				if r = Search(texts.Draw(t, "query")); r.Name() == "" {
					return r
				}
				r = r.Sorted(rapid.SampledFrom([]Sort{SortRelevance, SortNewest, SortLiked}).Draw(t, "sort"))
			case KindExplore:
				if rapid.Bool().Draw(t, "whether a day") {
					return ExploreDay(time.Unix(rapid.Int64Range(-62e9, 253e9).Draw(t, "day"), 0))
				}
				return Explore()
			case KindPhoto:
				return Photo(ids.Draw(t, "id"))
			case KindTags:
				return Tags()
			case KindAbout:
				return About()
			case KindFeed:
				of, _ := listing(rapid.SampledFrom([]Kind{KindHome, KindUser, KindTag, KindAlbum}).Draw(t, "feed of"))
				return Feed(of)
			case KindFile:
				return File(rapid.SampledFrom(Files()).Draw(t, "file"))
			case KindSitemap:
				if rapid.Bool().Draw(t, "whether a part") {
					return SitemapPart(rapid.SampledFrom([]string{"photos", "users", "albums"}).Draw(t, "of"),
						ids.Draw(t, "part"))
				}
				return Sitemap()
			case KindOEmbed:
				limits := rapid.IntRange(0, MaxEmbed)
				format := rapid.SampledFrom([]string{"json", "xml"}).Draw(t, "format")
				return OEmbed(ids.Draw(t, "id"), format, limits.Draw(t, "width"), limits.Draw(t, "height"))
			case KindError:
				return Error(rapid.IntRange(400, 599).Draw(t, "status"))
			case KindAsset:
				return Asset(rapid.StringMatching(`[a-z0-9_-]{1,20}\.[0-9a-f]{8}\.[a-z0-9]{1,5}`).Draw(t, "asset")).
					Encoded(rapid.SampledFrom([]string{"", "br", "gz"}).Draw(t, "encoding"))
			case KindImage:
				return Image(rapid.StringMatching(`[a-z2-7]{26}`).Draw(t, "image"),
					rapid.SampledFrom(Widths()).Draw(t, "width"))
			}
		}
		switch direction := rapid.IntRange(0, 2).Draw(t, "position"); {
		case direction == 1:
			r = r.Before(ids.Draw(t, "before"))
		case direction == 2 && r.kind != KindSearch:
			r = r.After(ids.Draw(t, "after"))
		}
		return r
	})
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := refs().Draw(t, "ref")
		roundTrip(t, r)
		roundTrip(t, r.At(rapid.SampledFrom([]string{"http://127.0.0.1:8080", "https://photos.example"}).Draw(t,
			"origin")))
	})
}

type fataler interface{ Fatalf(string, ...any) }

// roundTrip checks that each text of r leads back to r, and is fit for its place.
func roundTrip(t fataler, r Ref) {
	if back, err := ParseSubject(r.Subject()); err != nil || back != r {
		t.Fatalf("%#v: subject %q gives %#v, %v", r, r.Subject(), back, err)
	}
	for i := range len(r.Key()) {
		if c := r.Key()[i]; c <= ' ' || c >= 0x7f || c == '*' || c == '>' {
			t.Fatalf("%#v: byte %q in key %q", r, c, r.Key())
		}
	}
	if len(r.Key()) > MaxKey {
		t.Fatalf("%#v: key of %d bytes", r, len(r.Key()))
	}
	if r.Path() == "" || r.Encoding() != "" {
		return
	}
	if back, err := ParsePath(r.Path()); err != nil || back.At(r.Origin()) != r {
		t.Fatalf("%#v: path %q gives %#v, %v", r, r.Path(), back, err)
	}
}

// Keys that are hashed still tell pages apart.
func TestLongKeys(t *testing.T) {
	t.Parallel()
	long := Search(strings.Repeat("%!", 100))
	keys := map[string]Ref{}
	for _, r := range []Ref{long, long.Sorted(SortNewest), long.Before(2), long.At("https://photos.example"),
		Search(long.Name()[1:])} {
		if other, ok := keys[r.Key()]; ok || len(r.Key()) > MaxKey || r.Key() == r.Subject() {
			t.Errorf("%v has the key %q, as has %v", r, r.Key(), other)
		}
		keys[r.Key()] = r
	}
}

// What shows no absolute link is one page for all origins, under one key.
func TestAt(t *testing.T) {
	t.Parallel()
	const origin = "https://photos.example"
	for ref, shows := range map[Ref]bool{
		Home(): true, Photo(1): true, File("robots.txt"): true, File("opensearch.xml"): true, Sitemap(): true,
		File("favicon.ico"): false, File("apple-touch-icon.png"): false, File("manifest.webmanifest"): false,
		Error(404): false, Image(someImage, 320): false,
	} {
		if got := ref.At(origin).Origin() != ""; got != shows {
			t.Errorf("%s at an origin: knows it: %v, want %v", ref, got, shows)
		}
	}
	if ref, err := ParseSubject(File("favicon.ico").Subject() + ".at.https=3A=2F=2Fphotos=2Eexample"); err == nil {
		t.Errorf("a second subject of %s is understood", ref)
	}
}

func TestValidOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{
		"https://photos.example": true, "http://127.0.0.1:8080": true, "http://[::1]:80": true,
		"": false, "photos.example": false, "https://": false, "https://a/": false, "https://a?b": false,
		"https://A.example": false,
		"ftp://a":           false, "https://u@a": false, "https://a b": false, "https://:80": false,
	} {
		if got := ValidOrigin(origin); got != want {
			t.Errorf("ValidOrigin(%q) = %v", origin, got)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/photos/ansel/before/3", "/tag/%E5%A4%9C", "/search?q=a+b&before=2", "/img/" +
		someImage + "/320.jpg", "/static/a.00000000.js", "/album/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if r, err := ParsePath(target); err == nil {
			roundTrip(t, r)
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"page.home", "page.user.ansel.before.3", "page.tag.~5aSc5pmv", "page.search.a=20b",
		"asset.a.00000000.js.br", "picture." + someImage + ".320", "page.error.503"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		r, err := ParseSubject(subject)
		if err != nil {
			return
		}
		if r.Subject() != subject {
			t.Fatalf("%q parses to what is written %q", subject, r.Subject())
		}
		roundTrip(t, r)
	})
}

func BenchmarkParsePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePath("/photos/ansel"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubject(b *testing.B) {
	b.ReportAllocs()
	r := User("ansel")
	for b.Loop() {
		_ = r.Subject()
	}
}
