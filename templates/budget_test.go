package templates

import (
	"io"
	"testing"

	"flickrkillr/schema/page"
)

// What a page may weigh, in bytes before compression.
const (
	maxListing = 30 << 10 // a listing's first page: 48 photos, with ten albums or ten popular ones
	maxStyle   = 10_000
	maxScript  = 10_000

	maxPasskeys     = 1_500  // of the script for passkeys, on two pages
	maxUploader     = 10_000 // of the script on the page for new photos
	maxUploadsStyle = 1_500
	maxBlur         = 2_900 // of the style sheet for what stands for photos, on pages with any
	maxOrganise     = 2_000 // of the style sheet, and of the script, for one's own photos
	maxArchive      = 5_000 // likewise, for the list of all of them
	maxAlbumsStyle  = 1_500 // of the style sheet for one's own albums
	maxAlbumOrder   = 5_000 // of the script that orders an album
)

func TestBudgets(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	for name, component := range everyPage(site) {
		size := len(render(t, component).body)
		t.Logf("%s: %d bytes", name, size)
		if size > maxListing {
			t.Errorf("%s is %d bytes, at most %d", name, size, maxListing)
		}
	}
	for file, most := range map[string]int{
		"app.css": maxStyle, "app.js": maxScript, "passkey.js": maxPasskeys, "upload.js": maxUploader,
		"upload.css": maxUploadsStyle, "organise.css": maxOrganise, "organise.js": maxOrganise, "blur.css": maxBlur,
		"archive.css": maxArchive, "archive.js": maxArchive,
		"albums.css": maxAlbumsStyle, "albums.js": maxAlbumOrder,
	} {
		asset := site.asset(t, file)
		t.Logf("%s: %d bytes, br %d, gzip %d", file, len(asset.Body), len(asset.Br), len(asset.Gzip))
		if len(asset.Body) > most {
			t.Errorf("%s is %d bytes, at most %d", file, len(asset.Body), most)
		}
	}
}

// The longest titles and names in a three-byte script still fit.
func TestBudgetOfLongTitles(t *testing.T) {
	t.Parallel()
	cards := testCards(48)
	long := ""
	for range 500 {
		long += "海"
	}
	for i := range cards {
		cards[i].Title = long
	}
	user := testUser(testSite(t))
	user.Photos = cards
	if size := len(render(t, User(user)).body); size > maxListing+3_000 {
		t.Errorf("a page of long titles is %d bytes", size)
	}
}

func (s Site) asset(t testing.TB, file string) Asset {
	t.Helper()
	ref, err := page.ParsePath(s.Assets.Path(file))
	if err != nil {
		t.Fatal(err)
	}
	asset, ok := s.Assets.Get(ref.Name())
	if !ok {
		t.Fatalf("no asset %s", ref.Name())
	}
	return asset
}

func BenchmarkUserPage(b *testing.B) {
	component := User(testUser(testSite(b)))
	b.ReportAllocs()
	for b.Loop() {
		if err := component.Render(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPhotoPage(b *testing.B) {
	component := Photo(testPhoto(testSite(b)))
	b.ReportAllocs()
	for b.Loop() {
		if err := component.Render(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadAssets(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadAssets(); err != nil {
			b.Fatal(err)
		}
	}
}
