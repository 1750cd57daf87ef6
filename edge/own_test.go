package edge

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// TestAfterOwn: a form about one's own photos leads to what it has changed, and back to the same list.
func TestAfterOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind page.Private
		form url.Values
		want string
	}{
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"public"}}, "/photo/7"},
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"private"}}, "/me/photos/7?notice=saved"},
		{page.PrivatePhotos, url.Values{"do": {"tag"}, "show": {"untagged"}, "before": {"99"}, "photos": {"7"}},
			"/me/photos?before=99&notice=changed&show=untagged"},
		{page.PrivatePhotos, url.Values{"do": {"bin"}, "photos": {"7,9"}}, "/me/photos?notice=binned&undo=7%2C9"},
		{page.PrivatePhotos, url.Values{"do": {"album"}, "album": {"Trips"}, "photos": {"7"}}, "/me/photos?notice=added"},
		{page.PrivatePhotos, url.Values{"do": {"unalbum"}, "album": {"Trips"}}, "/me/photos?notice=taken"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}}, "/me/bin?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}, "to": {"photos"}},
			"/me/photos?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"remove"}, "to": {"//evil.example"}}, "/me/bin?notice=removed"},
		{page.PrivateBin, url.Values{"do": {"empty"}}, "/me/bin?notice=removed"},
	} {
		after := takeAfter(c.kind, c.form)
		if got := afterOwn(c.kind, c.form, after); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.kind, c.form, got, c.want)
		}
		if c.form.Has("to") {
			t.Errorf("%s: a renderer would get the field that says where it leads", c.kind)
		}
	}
}

// TestValuesOf: of an address a page hears what it is about, and nothing that is too long.
func TestValuesOf(t *testing.T) {
	t.Parallel()
	query := url.Values{"show": {"private"}, "before": {strings.Repeat("9", 2001)}, "undo": {"7,9"}, "x": {"y"}}
	for _, c := range []struct {
		ref  page.PrivateRef
		want url.Values
	}{
		{page.PrivateRef{Private: page.PrivatePhotos}, url.Values{"show": {"private"}, "undo": {"7,9"}}},
		{page.OwnPhoto(7), url.Values{"id": {"7"}}},
		{page.OwnPicture(7, 320), url.Values{"id": {"7"}, "width": {"320"}}},
		{page.PrivateRef{Private: page.PrivateBin}, nil},
		{page.PrivateRef{Private: page.PrivateAlbums}, url.Values{}},
		{page.OwnAlbum(12), url.Values{"id": {"12"}}},
	} {
		if got := valuesOf(c.ref, query); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.ref.Path(), got, c.want)
		}
	}
}
