package page

import (
	"strings"
	"testing"
	"time"
)

func TestPrivate(t *testing.T) {
	t.Parallel()
	for _, p := range everyPrivate() {
		if got, ok := ParsePrivate(p.Path()); !ok || got != p {
			t.Errorf("%s: its path %s is that of %s, %v", p, p.Path(), got, ok)
		}
		if ref, err := ParsePath(p.Path()); err == nil {
			t.Errorf("%s is at %s, which is also the path of %s", p, p.Path(), ref)
		}
		if ref, err := ParseSubject(p.Subject()); err == nil {
			t.Errorf("%s has the subject of %s", p, ref)
		}
	}
	for _, path := range []string{
		"/", "/me/", "/ME", "/me/x.css", "/signin/", "/me//password", "/signin?next=/", "", "/me/photos/",
		"/me/photos/0", "/me/photos/07", "/me/photos/-7", "/me/photos/7/", "/me/photos/7x", "/me/photos/%37",
		"/me/photos/9223372036854775808", "/me/pictures/", "/me/pictures/7", "/me/pictures/7/320",
		"/me/pictures/7/321.jpg", "/me/pictures/7/0320.jpg", "/me/pictures/x/320.jpg", "/me/pictures/7/320.jpg/",
		"/me/albums/", "/me/albums/0", "/me/albums/07", "/me/albums/7/", "/me/albums/x",
	} {
		if p, ok := ParsePrivate(path); ok {
			t.Errorf("%q is taken for %s", path, p)
		}
	}
}

// everyPrivate is each private page once.
func everyPrivate() (all []PrivateRef) {
	for _, kind := range Privates() {
		switch kind {
		case PrivatePhoto:
			all = append(all, OwnPhoto(7), OwnPhoto(1<<62))
		case PrivateAlbum:
			all = append(all, OwnAlbum(7), OwnAlbum(1<<62))
		case PrivatePicture:
			for _, width := range Widths() {
				all = append(all, OwnPicture(7, width))
			}
		default:
			all = append(all, PrivateRef{Private: kind})
		}
	}
	return all
}

// TestRoutesAreReserved: no user name is the first segment of a path.
func TestRoutesAreReserved(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	examples := map[Kind]Ref{
		KindHome: Home().Before(7), KindExplore: ExploreDay(day), KindUser: User("ansel"), KindAlbums: Albums("ansel"),
		KindPhoto: Photo(1), KindTag: Tag("lake"), KindTags: Tags(), KindSearch: Search("lake"), KindAlbum: Album(1),
		KindAbout: About(), KindFeed: Feed(Home()), KindFile: File("robots.txt"), KindSitemap: SitemapPart("photos", 1),
		KindOEmbed: OEmbed(1, "json", 0, 0), KindAsset: Asset("app.0123abcd.css"),
		KindImage: Image(strings.Repeat("a", 26), 320),
	}
	paths := []string{PathSignOut, Home().After(7).Path()}
	for _, kind := range Kinds() {
		ref, ok := examples[kind]
		if !ok && kind != KindError {
			t.Errorf("kind %s has no example here: add one, and reserve the first segment of its path", kind)
		}
		paths = append(paths, ref.Path())
	}
	for _, p := range Privates() {
		paths = append(paths, p.Path())
	}
	for _, path := range paths {
		segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		segment, _, _ = strings.Cut(segment, "?")
		if ValidUser(segment) && !Reserved(segment) {
			t.Errorf("a user may take the name %q, which begins the path %s", segment, path)
		}
	}
	for _, name := range reserved {
		if !ValidUser(name) && len(name) > 1 {
			t.Errorf("%q is reserved, and no user name", name)
		}
	}
}
