package templates

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

func writeFeed(t *testing.T, f Feed) ([]byte, atomFeed) {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFeed(&b, f); err != nil {
		t.Fatal(err)
	}
	var parsed atomFeed
	decoder := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	decoder.Strict = true
	if err := decoder.Decode(&parsed); err != nil {
		t.Fatalf("%v in\n%s", err, b.Bytes())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("after the feed: %v", err)
	}
	return b.Bytes(), parsed
}

func testFeed(t *testing.T, n int) Feed {
	f := Feed{Site: testSite(t), Of: page.User("ansel"), Title: ansel.Label(), Author: ansel,
		Since: time.Date(2009, 3, 1, 0, 0, 0, 0, time.UTC)}
	for _, c := range testCards(n) {
		f.Entries = append(f.Entries, FeedEntry{Card: c, Description: "One & two.\nhttp://a.example/?b&c\n\n<b>"})
	}
	return f
}

// RFC 4287: a feed has an id, a title and a date, entries too, and an author above them all.
func TestFeed(t *testing.T) {
	t.Parallel()
	in := testFeed(t, 20)
	in.Entries[3].Updated = testDate.AddDate(0, 0, 9)
	body, f := writeFeed(t, in)
	if !strings.HasPrefix(string(body), xml.Header) {
		t.Error("no XML header")
	}
	if f.Title == "" || f.ID != "tag:photos.example,2007:/photos/ansel" || f.Author.Name != "Ansel Okafor" ||
		f.Updated != "2026-11-29T12:00:00Z" {
		t.Errorf("feed %q %q %q %q", f.Title, f.ID, f.Author.Name, f.Updated)
	}
	if len(f.Links) != 2 || f.Links[0].Rel != "self" || f.Links[0].Href != "https://photos.example/photos/ansel/feed" {
		t.Errorf("links %v", f.Links)
	}
	if len(f.Entries) != 20 {
		t.Fatalf("%d entries", len(f.Entries))
	}
	ids := map[string]bool{}
	for i, e := range f.Entries {
		if e.Title == "" || ids[e.ID] || !strings.HasPrefix(e.Links[0].Href, "https://photos.example/photo/") {
			t.Errorf("entry %+v", e)
		}
		ids[e.ID] = true
		for _, stamp := range []string{e.Published, e.Updated} {
			if _, err := time.Parse(time.RFC3339, stamp); err != nil {
				t.Error(err)
			}
		}
		if i != 3 && e.Updated != e.Published {
			t.Errorf("entry %d updated %s, published %s", i, e.Updated, e.Published)
		}
		if e.Content.Type != "html" || !strings.Contains(e.Content.Text, `src="https://photos.example/img/`) ||
			!strings.Contains(e.Content.Text, `<br><a href="http://a.example/?b&amp;c" rel="nofollow ugc noopener">`) ||
			!strings.Contains(e.Content.Text, "&lt;b&gt;") {
			t.Errorf("content %q", e.Content.Text)
		}
	}
}

func TestFeedWithoutEntriesOrBase(t *testing.T) {
	t.Parallel()
	f := testFeed(t, 0)
	f.Site.Base = ""
	_, got := writeFeed(t, f)
	if got.Updated != "2009-03-01T00:00:00Z" || got.Links[0].Href != "/photos/ansel/feed" ||
		!strings.HasPrefix(got.ID, "tag:flickrkillr.invalid,2007:") {
		t.Errorf("%+v", got)
	}
	_, got = writeFeed(t, Feed{Of: page.Home()})
	if got.Updated != "1970-01-01T00:00:00Z" {
		t.Errorf("updated %s", got.Updated)
	}
}

// Hostile text stays text in both of the languages a feed is written in.
func TestHostileFeed(t *testing.T) {
	t.Parallel()
	f := testFeed(t, 1)
	for _, s := range testenv.HostileTexts() {
		f.Author.Display, f.Title, f.Entries[0].Title, f.Entries[0].Description, f.Entries[0].Image.ID = s, s, s, s, s
		_, got := writeFeed(t, f)
		root, err := html.Parse(strings.NewReader(got.Entries[0].Content.Text))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			switch n.Data {
			case "html", "head", "body", "p", "a", "img", "br":
			default:
				if n.Type != html.TextNode {
					t.Errorf("%q makes <%s>", s, n.Data)
				}
			}
			for _, a := range n.Attr {
				if a.Key != "href" && a.Key != "src" && a.Key != "width" && a.Key != "height" && a.Key != "alt" &&
					a.Key != "rel" {
					t.Errorf("%q makes the attribute %s", s, a.Key)
				}
			}
		}
	}
}

// A feed of several people's photos names the author of each, and is known by the address of what it is a feed of.
func TestFeedOfMany(t *testing.T) {
	t.Parallel()
	for of, want := range map[page.Ref]string{
		page.Home():           "https://photos.example/feed",
		page.Tag("blue hour"): "https://photos.example/tag/blue%20hour/feed",
		page.Album(7):         "https://photos.example/album/7/feed",
	} {
		in := testFeed(t, 5)
		in.Of, in.Author = of, Person{}
		_, f := writeFeed(t, in)
		if f.Author != nil || f.Links[0].Href != want || f.Links[1].Href != "https://photos.example"+of.Path() ||
			f.ID != "tag:photos.example,2007:"+of.Path() {
			t.Errorf("%s: author %v, id %q, links %v", of, f.Author, f.ID, f.Links)
		}
		for i, e := range f.Entries {
			if who := in.Entries[i].Author; e.Author == nil || e.Author.Name != who.Label() ||
				e.Author.URI != "https://photos.example/photos/"+who.Name {
				t.Errorf("%s: entry by %v", of, e.Author)
			}
		}
	}
}
