package page

import (
	"errors"
	"strings"
	"testing"

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
		{Feed("ansel"), "/photos/ansel/feed", "page.feed.ansel"},
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
		{Image(someImage, 640), "/img/" + someImage + "/640.jpg", "image." + someImage + ".640"},
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
		"/photos/Ansel":                 User("ansel"),
		"/photos/ansel?utm_source=mail": User("ansel"),
		"/tag/SUNSET":                   Tag("sunset"),
		"/tag/ac%2Fdc":                  Tag("ac/dc"),
		"/search?q=a&q=b":               Search("a"),
		"/search?q=%20":                 Search(""),
		"/search?q=a&before=":           Search("a"),
		"/search?q=a&after=3":           Search("a"),
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
		"/photos/ansel/":                        ErrUnknown,
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
		"/search?q=" + strings.Repeat("a", 121): ErrTooLong,
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
	texts := rapid.String().Filter(func(s string) bool { return checkText("text", CleanQuery(s)) == nil })
	return rapid.Custom(func(t *rapid.T) Ref {
		var r Ref
		switch kind := rapid.SampledFrom(Kinds()).Draw(t, "kind"); kind {
		case KindHome:
			r = Home()
		case KindUser:
			r = User(users.Draw(t, "user"))
		case KindAlbum:
			r = Album(ids.Draw(t, "id"))
		case KindTag:
			r = Tag(texts.Filter(func(s string) bool { return Tag(s).check() == nil }).Draw(t, "tag"))
		case KindSearch:
			if r = Search(texts.Draw(t, "query")); r.Name() == "" {
				return r
			}
		case KindPhoto:
			return Photo(ids.Draw(t, "id"))
		case KindAbout:
			return About()
		case KindFeed:
			return Feed(users.Draw(t, "user"))
		case KindError:
			return Error(rapid.IntRange(400, 599).Draw(t, "status"))
		case KindAsset:
			return Asset(rapid.StringMatching(`[a-z0-9_-]{1,20}\.[0-9a-f]{8}\.[a-z0-9]{1,5}`).Draw(t, "asset")).
				Encoded(rapid.SampledFrom([]string{"", "br", "gz"}).Draw(t, "encoding"))
		case KindImage:
			return Image(rapid.StringMatching(`[a-z2-7]{26}`).Draw(t, "image"), rapid.SampledFrom(Widths()).Draw(t, "width"))
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
	rapid.Check(t, func(t *rapid.T) { roundTrip(t, refs().Draw(t, "ref")) })
}

type fataler interface{ Fatalf(string, ...any) }

// roundTrip checks that each text of r leads back to r, and is fit for its place.
func roundTrip(t fataler, r Ref) {
	if back, err := ParseSubject(r.Subject()); err != nil || back != r {
		t.Fatalf("%#v: subject %q gives %#v, %v", r, r.Subject(), back, err)
	}
	if back, err := ParseKey(r.Key()); err != nil || back != r {
		t.Fatalf("%#v: key %q gives %#v, %v", r, r.Key(), back, err)
	}
	for i := range len(r.Key()) {
		if c := r.Key()[i]; c <= ' ' || c >= 0x7f || c == '*' || c == '>' {
			t.Fatalf("%#v: byte %q in key %q", r, c, r.Key())
		}
	}
	if len(r.Key()) > 250 {
		t.Fatalf("%#v: key of %d bytes", r, len(r.Key()))
	}
	if r.Path() == "" || r.Encoding() != "" {
		return
	}
	if back, err := ParsePath(r.Path()); err != nil || back != r {
		t.Fatalf("%#v: path %q gives %#v, %v", r, r.Path(), back, err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/photos/ansel/before/3", "/tag/%E5%A4%9C", "/search?q=a+b&before=2", "/img/" + someImage + "/320.jpg", "/static/a.00000000.js", "/album/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if r, err := ParsePath(target); err == nil {
			roundTrip(t, r)
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, s := range []string{"page.home", "page.user.ansel.before.3", "page.tag.~5aSc5pmv", "page.search.a=20b", "asset.a.00000000.js.br", "image." + someImage + ".320", "page.error.503"} {
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
