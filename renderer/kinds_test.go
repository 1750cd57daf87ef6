package renderer

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/jpeg"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestKinds asks for each kind of page over the bus, as `nats req` does.
func TestKinds(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	ansel, all := "user.ansel", wire.ScopeAll
	firstDay := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	eventually(t, 10*time.Second, func() error { // counts follow a second after
		if texts(t, st.get(t, page.Tags()), ".cloud li") == nil {
			return errors.New("no tag is counted")
		}
		return nil
	})
	for _, c := range []struct {
		ref      page.Ref
		age      time.Duration
		depends  []string
		selector string
		want     []string // texts, or the first of them
		links    []page.Ref
	}{
		{page.Home(), wire.ListingAge, []string{all, ansel, "user.dorothea"}, "section.band:last-of-type li bdi",
			[]string{"Moonrise 103", "Dorothea", "Moonrise 102"}, []page.Ref{page.Home().Before(56)}},
		{page.Home().Before(55), wire.ListingAge, []string{all, ansel}, ".grid li .cap > bdi",
			[]string{"Moonrise 54", "Moonrise 53", "Moonrise 52", "Moonrise 51", "Moonrise 49"}, nil},
		{page.Home().After(100), wire.ListingAge, []string{all, "user.dorothea"}, ".grid li .cap > bdi",
			[]string{"Moonrise 103", "Moonrise 102", "Moonrise 101"}, nil},
		{page.User("ansel"), wire.PageAge, []string{all, ansel}, "h1", []string{"Ansel <Adams>"},
			[]page.Ref{page.User("ansel").Before(53), page.Album(1), page.Feed(page.User("ansel"))}},
		{page.User("ansel").Before(52), wire.PageAge, []string{all, ansel}, ".grid li .cap > bdi",
			[]string{"Moonrise 51", "Moonrise 49"}, []page.Ref{page.User("ansel").Before(3)}},
		{page.User("ansel").After(98), wire.PageAge, []string{all, ansel}, ".grid li .cap > bdi",
			[]string{"Moonrise 100", "Moonrise 99"}, nil},
		{page.User("newcomer"), wire.PageAge, []string{all, "user.newcomer"}, ".empty", nil, nil},
		{page.Photo(51), wire.PageAge, []string{all, ansel}, "h1", []string{"Moonrise 51"},
			[]page.Ref{page.Photo(52), page.Photo(49), page.User("ansel"), page.Tag("blue hour"), page.Album(1)}},
		{page.Tag("blue hour"), wire.ListingAge, []string{all, ansel, "user.dorothea"}, ".grid li .cap > bdi",
			[]string{"Moonrise 103", "Moonrise 101", "Moonrise 99"}, nil},
		{page.Search("moonrise 42"), searchAge, []string{all, ansel}, ".grid li .cap > bdi", []string{"Moonrise 42"},
			nil},
		{page.Search(""), searchAge, []string{all}, "form label", nil, nil},
		{page.Album(1), wire.PageAge, []string{all, ansel}, ".grid li .cap > bdi",
			[]string{"Moonrise 1", "Moonrise 2"}, []page.Ref{page.Album(1).After(480), page.User("ansel")}},
		{page.Explore(), wire.ListingAge, []string{all, ansel, "user.dorothea"}, "h1", []string{"Explore"},
			[]page.Ref{page.ExploreDay(firstDay.AddDate(0, 0, 103)), page.Tags()}},
		{page.ExploreDay(firstDay.AddDate(0, 0, 51)), wire.ListingAge, []string{all, ansel}, ".grid li .cap > bdi",
			[]string{"Moonrise 51"},
			[]page.Ref{page.ExploreDay(firstDay.AddDate(0, 0, 49)), page.ExploreDay(firstDay.AddDate(0, 0, 52))}},
		{page.Tags(), wire.ListingAge, []string{all}, ".cloud li", []string{"blue hour 52"},
			[]page.Ref{page.Tag("blue hour")}},
		{page.Albums("ansel"), wire.PageAge, []string{all, ansel}, ".albums li", []string{"Yosemite 59 photos"},
			[]page.Ref{page.Album(1), page.User("ansel")}},
		{page.Albums("newcomer"), wire.PageAge, []string{all, "user.newcomer"}, ".empty", nil, nil},
		{page.About(), wire.PageAge, nil, "h1", nil, nil},
		{page.About().At("https://photos.example"), wire.PageAge, nil, "h1", nil, nil},
		{page.Error(503), wire.PageAge, nil, ".empty h1", nil, nil},
	} {
		t.Run(c.ref.Subject(), func(t *testing.T) {
			t.Parallel()
			reply := st.get(t, c.ref)
			want := http.StatusOK
			if c.ref.Kind() == page.KindError {
				want = c.ref.Status()
			}
			if reply.Status != want || reply.ContentType != htmlType || reply.ETag == "" {
				t.Errorf("status %d, type %q, etag %q", reply.Status, reply.ContentType, reply.ETag)
			}
			if reply.MaxAge != c.age || time.Since(reply.ReadAt).Abs() > time.Minute {
				t.Errorf("age %s, read at %s", reply.MaxAge, reply.ReadAt)
			}
			scopes := scopesOf(reply)
			for _, scope := range c.depends {
				if scopes[scope] == 0 {
					t.Errorf("depends on %v, which lacks %s", reply.Depends, scope)
				}
			}
			if len(scopes) != len(reply.Depends) || c.depends == nil && len(scopes) != 0 {
				t.Errorf("depends on %v", reply.Depends)
			}
			found := texts(t, reply, c.selector)
			if len(found) == 0 || !slices.Equal(found[:min(len(found), len(c.want))], c.want) {
				t.Errorf("%s says %q, want %q", c.selector, found, c.want)
			}
			for _, link := range c.links {
				if texts(t, reply, `a[href="`+link.Path()+`"]`) == nil {
					t.Errorf("no link to %s", link.Path())
				}
			}
			if bytes.Contains(reply.Body, []byte("Moonrise 50<")) {
				t.Error("a private photo is shown")
			}
		})
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, func(c *Config) { c.BaseURL = "https://photos.example" })
	for ref, want := range map[page.Ref]struct {
		age          time.Duration
		scope, title string
		first        string
	}{
		page.Feed(page.User("ansel")): {wire.PageAge, "user.ansel", "Ansel <Adams> · Flickr Killr", "Moonrise 100"},
		page.Feed(page.Home()): {wire.ListingAge, "user.dorothea", "Newest photos · Flickr Killr",
			"Moonrise 103"},
		page.Feed(page.Tag("blue hour")): {wire.ListingAge, "user.ansel", "blue hour · Flickr Killr", "Moonrise 103"},
		page.Feed(page.Album(1)):         {wire.PageAge, "user.ansel", "Yosemite · Flickr Killr", "Moonrise 60"},
		page.Feed(page.User("newcomer")): {wire.PageAge, "user.newcomer", "New Comer · Flickr Killr", ""},
	} {
		reply := st.get(t, ref)
		if reply.ContentType != "application/atom+xml; charset=utf-8" || reply.MaxAge != want.age ||
			scopesOf(reply)[want.scope] == 0 {
			t.Errorf("%s: type %q, age %s, depends on %v", ref, reply.ContentType, reply.MaxAge, reply.Depends)
		}
		var feed struct {
			Title   string `xml:"title"`
			Entries []struct {
				Title string `xml:"title"`
				Link  struct {
					Href string `xml:"href,attr"`
				} `xml:"link"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal(reply.Body, &feed); err != nil {
			t.Fatal(err)
		}
		first := ""
		if len(feed.Entries) > 0 {
			first = feed.Entries[0].Title
			if _, number, _ := strings.Cut(first, " "+
				""); feed.Entries[0].Link.Href != "https://photos.example/photo/"+number {
				t.Errorf("%s: links to %s", ref, feed.Entries[0].Link.Href)
			}
		}
		if feed.Title != want.title || first != want.first || bytes.Contains(reply.Body, []byte("Moonrise 50<")) {
			t.Errorf("%s: %q begins with %q", ref, feed.Title, first)
		}
	}
}

// TestForPrograms asks for what no person reads. Its addresses begin where its visitor reaches the site.
func TestForPrograms(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, func(c *Config) { c.BaseURL = "https://photos.example/" })
	for _, c := range []struct {
		ref     page.Ref
		kind    string
		age     time.Duration
		depends int
		want    string
	}{
		{page.File("robots.txt"), "text/plain; charset=utf-8", wire.FileAge, 0,
			"\nSitemap: https://photos.example/sitemap.xml\n"},
		{page.File("robots.txt").At("http://other.example"), "text/plain; charset=utf-8", wire.FileAge, 0,
			"http://other.example/sitemap.xml"},
		{page.File("favicon.ico"), "image/x-icon", wire.FileAge, 0, "\x89PNG"},
		{page.File("apple-touch-icon.png"), "image/png", wire.FileAge, 0, "\x89PNG"},
		{page.File("manifest.webmanifest"), "application/manifest+json", wire.FileAge, 0, `"/static/icon-192.`},
		{page.File("opensearch.xml"), "application/opensearchdescription+xml", wire.FileAge, 0,
			"https://photos.example/search?q={searchTerms}"},
		{page.Sitemap(), sitemapType, wire.ListingAge, 1,
			"<loc>https://photos.example/sitemap/photos/1.xml</loc><lastmod>2026-04-14T12:00:00Z"},
		{page.SitemapPart("photos", 1), sitemapType, 0, 1, "<loc>https://photos.example/photo/103</loc><image:image>"},
		{page.SitemapPart("users", 1), sitemapType, 0, 1, "<loc>https://photos.example/photos/ansel</loc></url>"},
		{page.SitemapPart("albums", 1).At("http://other.example"), sitemapType, 0, 1,
			"<loc>http://other.example/album/1</loc>"},
		{page.OEmbed(51, "json", 400, 0), "application/json", wire.PageAge, 2, `"width":320,"height":213`},
		{page.OEmbed(51, "xml", 0, 0), "text/xml; charset=utf-8", wire.PageAge, 2,
			"<author_url>https://photos.example/photos/ansel</author_url>"},
	} {
		reply := st.get(t, c.ref)
		if reply.Status != http.StatusOK || reply.ContentType != c.kind || reply.MaxAge != c.age ||
			len(reply.Depends) != c.depends || reply.Immutable {
			t.Errorf("%s: status %d, type %q, age %s, depends on %v", c.ref, reply.Status, reply.ContentType,
				reply.MaxAge, reply.Depends)
		}
		if !bytes.Contains(reply.Body, []byte(c.want)) || bytes.Contains(reply.Body, []byte("/photo/50<")) {
			t.Errorf("%s lacks %q: %.600s", c.ref, c.want, reply.Body)
		}
		if strings.HasPrefix(c.kind, "image/") && reply.Compressible() {
			t.Errorf("%s would be packed", c.ref)
		}
	}
	var answer map[string]any
	if err := json.Unmarshal(st.get(t, page.OEmbed(51, "json", 0, 0)).Body, &answer); err != nil ||
		answer["title"] != "Moonrise 51" {
		t.Errorf("oEmbed: %v, %v", answer, err)
	}
}

// TestLargePageTravelsPacked: a page near the limit of the bus is compressed, also for an edge that did not ask for it.
func TestLargePageTravelsPacked(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, func(c *Config) { c.BaseURL = "https://" + strings.Repeat("a", 60) + ".example" })
	if _, err := st.pool.Exec(t.Context(), `INSERT INTO photos (id, user_id, image_id, width, height, color, posted_at)
		SELECT g, 1, image_id, width, height, color, clock_timestamp() FROM photos, generate_series(104, 5000) AS g
			WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	reply := st.get(t, page.SitemapPart("photos", 1))
	if reply.Status != http.StatusOK || reply.Encoding != wire.EncodingGzip || len(reply.Body) > 300_000 {
		t.Fatalf("status %d, %d bytes of %q", reply.Status, len(reply.Body), reply.Encoding)
	}
	var z wire.Gzip
	body, err := z.Unpack(reply.Body)
	if err != nil || bytes.Count(body, []byte("<url>")) != 4999 {
		t.Errorf("%d addresses, %v", bytes.Count(body, []byte("<url>")), err)
	}
	t.Logf("%d bytes, packed %d", len(body), len(reply.Body))
}

// TestNotFound: what is missing is a page with status 404 that depends on what would make it appear.
func TestNotFound(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for ref, scope := range map[page.Ref]string{
		page.User("nobody"):            "user.nobody",
		page.User("nobody").Before(9):  "user.nobody",
		page.User("ansel").Before(1):   "user.ansel",
		page.User("ansel").After(100):  "user.ansel",
		page.Feed(page.User("nobody")): "user.nobody",
		page.Photo(50):                 "photo.50", // private
		page.Photo(5000):               "photo.5000",
		page.Album(77):                 "album.77",
		page.Album(1).After(9000):      "user.ansel",
		page.Tag("never used"):         wire.ScopeAll,
		page.Tag("unused"):             wire.ScopeAll,

		page.ExploreDay(time.Unix(0, 0)): wire.ScopeAll,
		page.Albums("nobody"):            "user.nobody",
		page.Albums("ansel").Before(1):   "user.ansel",
		page.Feed(page.Album(77)):        "album.77",
		page.Feed(page.Tag("unused")):    wire.ScopeAll,
		page.OEmbed(50, "json", 0, 0):    "photo.50",
		page.OEmbed(5000, "xml", 9, 9):   "photo.5000",
		page.SitemapPart("photos", 2):    wire.ScopeAll,
		page.Sitemap():                   wire.ScopeAll, // no address of its own is known
		page.Home().Before(1):            wire.ScopeAll,
	} {
		t.Run(ref.Subject(), func(t *testing.T) {
			t.Parallel()
			reply := st.get(t, ref)
			scopes := scopesOf(reply)
			_, known := scopes[scope]
			if reply.Status != http.StatusNotFound || !known || scopes[wire.ScopeAll] == 0 {
				t.Errorf("status %d, depends on %v; want 404 and %s", reply.Status, reply.Depends, scope)
			}
			if texts(t, reply, ".empty") == nil {
				t.Errorf("not the designed page: %.200s", reply.Body)
			}
		})
	}
}

// TestNotFoundIsOutranked: the row that makes a page appear has a higher version than the 404 that said it was not
// there.
func TestNotFoundIsOutranked(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for ref, sql := range map[page.Ref]string{
		page.User("nobody"): `INSERT INTO users (id, name, display_name) VALUES (4, 'nobody', 'Nobody')`,
		page.Photo(50):      `UPDATE photos SET private = false WHERE id = 50`,
	} {
		before := st.get(t, ref)
		if _, err := st.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		if after := st.get(t, ref); after.Status != http.StatusOK {
			t.Errorf("%s: status %d after %s", ref, after.Status, sql)
		}
		scope := ref.Kind().String() + "." + strings.TrimPrefix(ref.Subject(), "page."+ref.Kind().String()+".")
		var version int64
		if err := st.pool.QueryRow(t.Context(), `SELECT max(version) FROM outbox WHERE scope = $1`,
			scope).Scan(&version); err != nil {
			version = -1 // relayed already
		}
		if version >= 0 && version <= scopesOf(before)[scope] {
			t.Errorf("%s appeared with version %d, its 404 had %d", scope, version, scopesOf(before)[scope])
		}
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for _, width := range page.Widths() {
		reply := st.get(t, st.picture(t, 1, width))
		picture, err := jpeg.DecodeConfig(bytes.NewReader(reply.Body))
		if err != nil || picture.Width != min(width, st.image.Width) {
			t.Errorf("%d: %d wide, %v", width, picture.Width, err)
		}
		if reply.Status != 200 || reply.ContentType != "image/jpeg" || !reply.Immutable ||
			reply.MaxAge != wire.PageAge || reply.ETag == "" {
			t.Errorf("%d: %+v", width, reply)
		}
	}
	missing := st.get(t, page.Image(strings.Repeat("a", 26), 320))
	if missing.Status != http.StatusNotFound || missing.Immutable || missing.MaxAge > time.Minute {
		t.Errorf("missing: status %d, immutable %t, age %s", missing.Status, missing.Immutable, missing.MaxAge)
	}
}

func TestBadSubjects(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for _, subject := range []string{
		"page.user.Ansel", "page.user.a", "page.user.ansel.before.0", "page.user.ansel.before", "page.photo.x",
		"page.photo.007", "page.photo.1.2",
		"page.home.x", "page.tag.=zz", "page.search.a.b", "page.error.200", "page.album.1.sideways.3",
		"page.feed.user.ansel.before.1",
		"picture.x.320", "picture." + st.image.ID + ".321", "image." + st.image.ID, "page.photo." + strconv.Itoa(1<<62) +
			"0",
	} {
		if err := wire.ErrorOf(st.request(t, subject)); wire.Code(err) != "bad_request" {
			t.Errorf("%s: %v", subject, err)
		}
	}
}
