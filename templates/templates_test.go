package templates

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/andybalholm/cascadia"
	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"flickrkillr/schema/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// document is a rendered page, asked by CSS selectors.
type document struct {
	t    *testing.T
	body []byte
	root *html.Node
}

func render(t *testing.T, c templ.Component) document {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return document{t, b.Bytes(), root}
}

func (d document) all(selector string) []*html.Node {
	d.t.Helper()
	return cascadia.QueryAll(d.root, cascadia.MustCompile(selector))
}

// one gives the only element that the selector finds.
func (d document) one(selector string) *html.Node {
	d.t.Helper()
	found := d.all(selector)
	if len(found) != 1 {
		d.t.Fatalf("%s finds %d elements, want 1", selector, len(found))
	}
	return found[0]
}

func (d document) count(selector string, want int) {
	d.t.Helper()
	if got := len(d.all(selector)); got != want {
		d.t.Errorf("%s finds %d elements, want %d", selector, got, want)
	}
}

func (d document) text(selector, want string) {
	d.t.Helper()
	if got := text(d.one(selector)); got != want {
		d.t.Errorf("%s says %q, want %q", selector, got, want)
	}
}

func (d document) attribute(selector, name, want string) {
	d.t.Helper()
	if got := attr(d.one(selector), name); got != want {
		d.t.Errorf("%s has %s=%q, want %q", selector, name, got, want)
	}
}

// text is what an element says, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func testSite(t testing.TB) Site {
	t.Helper()
	a, err := LoadAssets()
	if err != nil {
		t.Fatal(err)
	}
	return Site{Assets: a, Base: "https://photos.example"}
}

var (
	ansel    = Person{Name: "ansel", Display: "Ansel Okafor"}
	testDate = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

func testImage(i int) Image {
	shapes := [...][2]int{{6000, 4000}, {4000, 6000}, {4032, 3024}, {3840, 2160}, {5000, 5000}, {9000, 3000}}
	shape := shapes[i%len(shapes)]
	id := strings.Map(func(c rune) rune { return c - '0' + 'a' }, fmt.Sprintf("%026d", i*7919))
	return Image{ID: id, Width: shape[0], Height: shape[1], Blur: uint32(i*0x13579bdf) & (1<<30 - 1)}
}

// testCards are as real ones: seven-digit ids, titles in several scripts, some empty, some long; about eight a month.
func testCards(n int) []Card {
	titles := [...]string{"Morning over the fjord", "Low tide at Kettleness", "", "Three chairs", "海辺の朝、もう一度",
		"غروب الشمس فوق النهر", "Щит и вода",
		"The last bus home, before the snow came down on all of us and the road was closed until April", "DSC_0042",
		"Juniper after rain"}
	people := [...]Person{ansel, {"mira", "Mira Lindqvist"}, {"yuki_t", "高橋 ゆき"}, {"dalia", "داليا منصور"}, {"bo", ""}}
	cards := make([]Card, n)
	for i := range cards {
		cards[i] = Card{
			Photo: page.Photo(int64(1_000_000 - i)), Title: titles[i%len(titles)], Author: people[i%len(people)],
			Image: testImage(i), Posted: testDate.AddDate(0, 0, -4*i),
		}
	}
	return cards
}

func testAlbums(n int) []AlbumCard {
	albums := make([]AlbumCard, n)
	for i := range albums {
		albums[i] = AlbumCard{Album: page.Album(int64(i + 1)), Title: "Iceland, winter", Count: 212 * i,
			Cover: testImage(i)}
	}
	return albums
}

func testUser(site Site) UserPage {
	return UserPage{
		Site: site, Self: page.User("ansel"), User: ansel,
		Bio:    "Mountains before breakfast.\nPrints at https://prints.example/.",
		Joined: time.Date(2009, 3, 1, 0, 0, 0, 0, time.UTC), PhotoCount: 12345, Albums: testAlbums(10),
		Photos: testCards(48),
		Older:  page.User("ansel").Before(999_953),
	}
}

func testPhoto(site Site) PhotoPage {
	return PhotoPage{
		Site: site, Photo: page.Photo(7), Title: "Morning over the fjord",
		Description: "Four o’clock.\nDark.\n\nMore: http://fjord.example/?a=1&b=2.",
		Author:      ansel, Image: testImage(0), Posted: testDate, Taken: testDate.AddDate(0, -1, 0), Faves: 1204,
		Tags:   []string{"fjord", "blue hour", "夜明け"},
		Camera: Camera{Model: "X-T5", Lens: "XF 23mm", Aperture: 2.8, Exposure: "1/250", ISO: 12800, Focal: 23.5},
		Albums: testAlbums(2), Licence: "by-sa", Original: true, Previous: page.Photo(8), Next: page.Photo(6),
	}
}

func testTags(site Site, n int) TagsPage {
	p := TagsPage{Site: site}
	names := [...]string{"landscape", "blue hour", "夜明け", "غروب", "long exposure at night"}
	for i := range n {
		p.Tags = append(p.Tags, TagCount{fmt.Sprint(names[i%len(names)], " ", i), 80_000 / (i + 1)})
	}
	return p
}

// everyPage is one of each kind of page, filled, by a name for it.
func everyPage(site Site) map[string]templ.Component {
	cards := testCards(48)
	pages := map[string]templ.Component{
		"home": Home(HomePage{Site: site, Self: page.Home(), Popular: cards[:12], Recent: cards,
			Older: page.Home().Before(9)}),
		"user":  User(testUser(site)),
		"photo": Photo(testPhoto(site)),
		"tag": Tag(TagPage{Site: site, Self: page.Tag("blue hour"), Photos: cards,
			Older: page.Tag("blue hour").Before(9)}),
		"search": Search(SearchPage{Site: site, Self: page.Search("blue"),
			People: []PersonCount{{Person: ansel, Photos: 3, Picture: testImage(1)}}, Tags: []TagCount{{"blue", 1200}},
			Photos: cards, Older: page.Search("blue").Before(9)}),
		"album": Album(AlbumPage{Site: site, Self: page.Album(1), Title: "Iceland", Owner: ansel, Count: 212,
			Photos: cards, Later: page.Album(1).After(48)}),
		"album with albums": Album(AlbumPage{Site: site, Self: page.Album(1), Title: "Iceland", Owner: ansel, Count: 48,
			Parent: AlbumCard{Album: page.Album(2), Title: "North"}, Inside: testAlbums(20), Cover: cards[7],
			Photos: cards}),
		"about": About(AboutPage{Site: site}),
		"explore": Explore(ExplorePage{Site: site, Self: page.Explore(), Photos: cards,
			Days: []time.Time{testDate, testDate.AddDate(0, 0, -1)}}),
		"explore day": Explore(ExplorePage{Site: site, Self: page.ExploreDay(testDate), Photos: cards,
			Earlier: testDate.AddDate(0, 0, -1)}),
		"tags": Tags(testTags(site, 200)),
		"albums": Albums(AlbumsPage{Site: site, Self: page.Albums("ansel"), User: ansel, Albums: testAlbums(48),
			Older: page.Albums("ansel").Before(9)}),
	}
	for _, status := range []int{400, 404, 410, 414, 418, 500, 501, 503} {
		pages[fmt.Sprint("error ", status)] = Error(ErrorPage{Site: site, Status: status})
	}
	for _, kind := range page.Privates() {
		pages["private "+kind.String()] = Private(testPrivate(site, kind, "ansel", "Half\r\na life"))
	}
	pages["private receipt, shown"] = ReceiptPage(site, Receipt{
		Name: "ansel", Scope: "user.ansel", Version: 7, DeletedAt: testDate, NameKeptUntil: testDate,
		FilesKept: 1, Removed: Holdings{Photos: 9, Files: 5}, Photos: []int64{1, 2}, Albums: []int64{3},
		Edges: []EdgeKnows{{"host:8080", testDate}, {"host:8081", time.Time{}}},
	})
	pages["private photo receipt, shown"] = PhotoReceiptPage(site, PhotoReceipt{
		ID: 7, DeletedAt: testDate, HiddenAt: testDate, Scope: "user.ansel", Version: 7, Photos: 9, Left: 5, Files: 5,
		FilesKept: 1, FilesRemoved: 1, FreedFiles: 3, IDs: []int64{1, 2},
		Edges: []EdgeKnows{{"host:8080", testDate}, {"host:8081", time.Time{}}},
	})
	pages["private photo receipt, never shown"] = PhotoReceiptPage(site, PhotoReceipt{
		ID: 7, Complete: true, DeletedAt: testDate, RowsGoneAt: testDate, FilesGoneAt: testDate, Photos: 1})
	pages["private photos, many"] = Private(testArchive(site))
	link := page.Share{Token: page.ShareToken([16]byte{1, 2, 3})}
	shared := SharedAlbumPage{Site: site, Share: link, Title: "Iceland", Description: "By <night>", Owner: ansel,
		Photos: testCards(48), Earlier: 7, Later: 9}
	for i := range shared.Photos {
		shared.Photos[i].Share = page.Share{Token: link.Token, Photo: int64(i + 1)}
		shared.Photos[i].Image.Own, shared.Photos[i].Image.Share = int64(i+1), link.Token
	}
	pages["private shared album"] = SharedAlbum(shared)
	photo := SharedPhotoPage{PhotoPage: testPhoto(site), Share: link, IsAlbum: true, Album: "Iceland", Next: 9}
	photo.Image.Own, photo.Image.Share = 7, link.Token
	pages["private shared photo"] = SharedPhoto(photo)
	pages["private share password"] = SharePassword(SharePasswordPage{Site: site, Share: link,
		Form: Form{Key: "k1", Problems: map[string]string{"password": "is wrong", FormProblem: "Wait"}}})
	pages["private share add"] = SharedAdd(SharedAddPage{Site: site, Share: link, Title: "Iceland", Owner: ansel,
		Form: Form{Key: "k1", Values: map[string]string{"guest": "Mia"},
			Problems: map[string]string{"file": "is none"}},
		Uploads: []UploadLine{{Name: "a.jpg", Photo: 7, Share: page.Share{Token: link.Token, Photo: 7}},
			{Name: "b.jpg", Problem: "It is no picture."}}})
	codes := CodesPage{Site: site, Person: ansel, Codes: []string{"abcd-efgh-2345-6723"}}
	pages["codes"] = Codes(codes)
	codes.Email = "ansel@photos.example"
	pages["private codes, with an address"] = Codes(codes)
	codes.Unmailed = true
	pages["private codes, without a mail"] = Codes(codes)
	return pages
}

// testOwnCards are two photos with the same title, of which the second one is private and chosen.
func testOwnCards(title string) []OwnCard {
	cards := make([]OwnCard, 2)
	for i := range cards {
		id := int64(100 + i)
		cards[i] = OwnCard{ID: id, Private: i == 1, Chosen: i == 1,
			Card: Card{Photo: page.Photo(id), To: page.OwnPhoto(id), Title: title, Image: testImage(i)}}
	}
	cards[1].Image.Own = 101
	return cards
}

// testMonths are months with photos.
func testMonths(n int) []Month {
	months := make([]Month, n)
	for i := range months {
		months[i] = Month{First: time.Date(2026, time.Month(11-i), 1, 0, 0, 0, 0, time.UTC), Photos: 400 + i}
	}
	return months
}

// testArchive is the list of somebody with many photos, cameras, albums and tags.
func testArchive(site Site) PrivatePage {
	p := testPrivate(site, page.PrivatePhotos, "ansel", "")
	p.Form, p.Undo, p.Photos = Form{Key: strings.Repeat("k", 26)}, nil, nil
	p.List = OwnList{Months: testMonths(240), Older: "1720000000000000.123456789"}
	for i, card := range testCards(26) {
		id := int64(123_456_789 + i)
		card.To = page.OwnPhoto(id)
		p.Photos = append(p.Photos, OwnCard{Card: card, ID: id, Dated: testDate.AddDate(0, 0, -i)})
	}
	p.AlbumNames = nil
	for i := range 30 {
		p.AlbumNames = append(p.AlbumNames, fmt.Sprint("Summer at the lake ", i))
		p.Tags = append(p.Tags, fmt.Sprint("blue hour ", i))
		p.List.Albums = append(p.List.Albums, AlbumChoice{int64(i + 1), fmt.Sprint("Summer at the lake ", i)})
	}
	for i := range 12 {
		p.List.Cameras = append(p.List.Cameras, fmt.Sprint("Canon EOS R", i))
		p.List.Lenses = append(p.List.Lenses, fmt.Sprint("EF 24-105 mm f/4 L IS USM ", i))
	}
	return p
}

// testShares are links with a name.
func testShares(name string) []ShareCard {
	link := ShareCard{ID: 7, Link: "https://photos.example/s/" + page.ShareToken([16]byte{7}), Name: name, Title: name,
		Photo: 9, Password: true, Made: testDate, Expires: testDate, Seen: testDate, Expired: true}
	other := link
	other.ID, other.Photo, other.Album, other.Expired, other.Seen = 8, 0, 9, false, time.Time{}
	return []ShareCard{link, other}
}

// testTakeouts are zip files of an album with a title and of everything, of which the second is not ready.
func testTakeouts(title string) []TakeoutCard {
	return []TakeoutCard{{ID: strings.Repeat("a", 26), Album: true, Title: title, Made: testDate, Until: testDate,
		Ready: true, Photos: 1204, Size: "1.2 GB"}, {ID: strings.Repeat("b", 26), Made: testDate, Until: testDate}}
}

// testPrivate is a private page as it is after a refused form, with what somebody typed in each field.
func testPrivate(site Site, kind page.Private, typed, bio string) PrivatePage {
	return PrivatePage{
		Site: site, Kind: kind, Person: Person{Name: "ansel", Display: typed}, Codes: 10,
		Takeouts: testTakeouts(typed), TakeoutAlbums: []TakeoutAlbum{{7, typed}},
		Form: Form{
			Key: "k1", Next: "/photos/ansel?x=1&y=2", Notice: "Something has happened.",
			Values: map[string]string{
				"name": typed, "display": typed, "bio": bio, "title": typed, "description": bio, "tags": typed,
				"tag": typed, "visibility": "private", "taken": "2026-02-28", "was-title": typed,
			},
			Problems: map[string]string{
				FormProblem: "This was sent before", "name": "is taken: choose another",
				"bio": "is too long: shorten it", "title": "is too long: shorten it", "tag": "is missing: give one",
			},
		},
		Passkeys: []PasskeyCard{{ID: "7", Label: typed, Host: typed, Created: testDate, Used: testDate}},
		Photos:   testOwnCards(typed), Older: 7, Undo: []int64{7, 9}, UndoBy: "restore",
		List: OwnList{
			Filters: url.Values{"q": {typed}, "camera": {typed}, "in": {"7"}, "untagged": {"1"}, "from": {"1999-12-31"},
				"visibility": {"private"}}, Place: "before", At: "9.7", Older: "8.7", Newer: "9.9",
			Months: testMonths(24), Cameras: []string{typed}, Lenses: []string{typed},
			Albums: []AlbumChoice{{7, typed}},
		},
		Bin: Bin{Count: 201, Paged: true, Older: "8.7", Seen: "9",
			Receipts: []ReceiptLine{{ID: 7, At: testDate, Photos: 9}}},
		Shares: testShares(typed), Shared: typed, Tags: []string{"sea", typed},
		Albums: []OwnAlbumCard{
			{ID: 3, Title: typed, Count: 7, Cover: testImage(1), Inside: []OwnAlbumCard{{ID: 4, Title: typed}}},
			{ID: 5},
		},
		Album: OwnAlbum{ID: 3, Title: typed, Parent: typed, Total: 212, Place: 49, Previous: 49, Next: 96,
			HasCover: true, Inside: []OwnAlbumCard{{ID: 4, Title: typed}}},
		AlbumNames: []string{typed},
		CanMail:    true, Email: typed, PasskeyHost: "photos.example",
		PasskeyOptions: `{"user":{"displayName":"` + typed + `"}}`,
		Sessions: []SessionCard{
			{ID: "abc", Agent: typed, Created: testDate, Seen: testDate, Current: true}, {ID: "def", Created: testDate},
		},
		Tokens: []TokenCard{{ID: "abc", Name: typed, Write: true, Created: testDate, Seen: testDate}},
		Made:   MadeToken{Token: "killr_abc", Name: typed},
		Uploads: []UploadLine{
			{Name: typed, Photo: 7}, {Name: typed, Photo: 8, Duplicate: true},
			{Name: typed, Problem: "This is no picture."},
		},
	}
}
