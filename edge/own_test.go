package edge

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAfterOwn: a form about one's own photos leads to what it has changed, and back to the same list.
func TestAfterOwn(t *testing.T) {
	t.Parallel()
	scopes := func(names ...string) (changed []wire.Dep) {
		for _, name := range names {
			changed = append(changed, wire.Dep{Scope: name, Version: 9})
		}
		return changed
	}
	for _, c := range []struct {
		kind    page.Private
		form    url.Values
		changed []wire.Dep
		want    string
	}{
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"public"}}, nil, "/photo/7"},
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"private"}}, nil, "/me/photos/7?notice=saved"},
		{page.PrivatePhotos, url.Values{"do": {"tag"}, "list": {"untagged=1&before=99.7&undo=8&x=y"}, "photos": {"7"}},
			scopes("user.a"), "/me/photos?before=99.7&notice=changed&untagged=1"},
		{page.PrivatePhotos, url.Values{"do": {"bin"}, "photos": {"7,8,9"}},
			scopes("user.a", "photo.7", "photo.9"), "/me/photos?notice=binned&undo=7%2C9"},
		{page.PrivatePhotos, url.Values{"do": {"private"}, "photos": {"7,8"}}, scopes("user.a", "photo.7"),
			"/me/photos?notice=hidden&undo=7"},
		{page.PrivatePhotos, url.Values{"do": {"public"}, "photos": {"7,8"}}, scopes("user.a"),
			"/me/photos?notice=changed"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}}, nil, "/me/bin?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}, "to": {"photos"}}, nil,
			"/me/photos?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}, "to": {"photos?q=a%26b&notice=x"}}, nil,
			"/me/photos?notice=restored&q=a%26b"},
		{page.PrivateBin, url.Values{"do": {"remove"}, "to": {"//evil.example"}}, nil, "/me/bin?notice=removed"},
		{page.PrivateBin, url.Values{"do": {"empty"}}, nil, "/me/bin?notice=removed"},
	} {
		after := takeAfter(c.kind, c.form)
		if got := afterOwn(c.kind, c.form, after, c.changed); got != c.want {
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
	query := url.Values{"q": {"lake"}, "before": {strings.Repeat("9", 2001)}, "undo": {"7,9"}, "part": {"list"},
		"x": {"y"}}
	for _, c := range []struct {
		ref  page.PrivateRef
		want url.Values
	}{
		{page.PrivateRef{Private: page.PrivatePhotos}, url.Values{"q": {"lake"}, "undo": {"7,9"},
			"part": {"list"}}},
		{page.OwnPhoto(7), url.Values{"id": {"7"}}},
		{page.OwnPicture(7, 320), url.Values{"id": {"7"}, "width": {"320"}}},
		{page.PrivateRef{Private: page.PrivateBin}, url.Values{"q": {"lake"}}},
		{page.PrivateRef{Private: page.PrivateMe}, nil},
	} {
		if got := valuesOf(c.ref, query); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.ref.Path(), got, c.want)
		}
	}
}
