package edge

import (
	"net/url"
	"testing"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAfterAlbum: a form about one's own albums leads to the album that it is about, or that it has made, and to the
// same page of it.
func TestAfterAlbum(t *testing.T) {
	t.Parallel()
	made := []wire.Change{{Scope: "user.ansel", Version: 7}, {Scope: "album.12", Version: 7}}
	for _, c := range []struct {
		kind    page.Private
		form    url.Values
		changed []wire.Change
		want    string
	}{
		{page.PrivateAlbums, url.Values{"title": {"New"}}, made, "/me/albums/12"},
		{page.PrivateAlbums, url.Values{"do": {"make"}, "title": {"New"}}, made, "/me/albums/12"},
		{page.PrivateAlbums, url.Values{"do": {"make"}}, made[:1], "/me/albums"},
		{page.PrivateAlbums, url.Values{"do": {"add"}}, made, "/me/albums?notice=added"},
		{page.PrivateAlbums, url.Values{"do": {"take"}}, made[:1], "/me/albums?notice=taken"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"save"}}, made[:1], "/me/albums/12?notice=album"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"delete"}}, made, "/me/albums?notice=album-deleted"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"cover"}}, made[:1], "/me/albums/12?notice=cover"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"uncover"}}, made[:1], "/me/albums/12?notice=cover"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"place"}, "at": {"3"}, "after": {"1048000"}}, made[:1],
			"/me/albums/12?after=1048000&notice=moved"},
		{page.PrivateAlbum, url.Values{"id": {"12"}, "do": {"take"}, "before": {"48&x=y"}}, made[:1],
			"/me/albums/12?before=48%26x%3Dy&notice=taken"},
	} {
		if got := afterAlbum(c.kind, c.form, c.changed); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.kind, c.form, got, c.want)
		}
	}
}
