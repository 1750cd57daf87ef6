package edge

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAfterOwn: a form about one's own photos leads to what it has changed, and back to the same list.
func TestAfterOwn(t *testing.T) {
	t.Parallel()
	scopes := func(names ...string) (changed []wire.Change) {
		for _, name := range names {
			changed = append(changed, wire.Change{Scope: name, Version: 9})
		}
		return changed
	}
	for _, c := range []struct {
		kind    page.Private
		form    url.Values
		changed []wire.Change
		want    string
	}{
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"public"}}, nil, "/photo/7"},
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"private"}}, nil, "/me/photos/7?notice=saved"},
		{page.PrivatePhotos, url.Values{"do": {"tag"}, "list": {"untagged=1&before=99.7&undo=8&x=y"}, "photos": {"7"}},
			scopes("user.a"), "/me/photos?before=99.7&notice=changed&untagged=1"},
		{page.PrivatePhotos, url.Values{"do": {"tag"}, "tag": {"sea & sky"}, "photos": {"7,8"}},
			scopes("user.a", "photo.8"), "/me/photos?notice=tagged&undo=8&undo-tag=sea+%26+sky"},
		{page.PrivatePhotos, url.Values{"do": {"untag"}, "tag": {"sea"}, "photos": {"7,8"}},
			scopes("user.a", "photo.7"), "/me/photos?notice=untagged&undo=7&undo-tag=sea"},
		{page.PrivatePhotos, url.Values{"do": {"bin"}, "photos": {"7,8,9"}},
			scopes("user.a", "photo.7", "photo.9"), "/me/photos?notice=binned&undo=7%2C9"},
		{page.PrivatePhotos, url.Values{"do": {"private"}, "photos": {"7,8"}}, scopes("user.a", "photo.7"),
			"/me/photos?notice=hidden&undo=7"},
		{page.PrivatePhotos, url.Values{"do": {"public"}, "photos": {"7,8"}}, scopes("user.a"),
			"/me/photos?notice=changed"},
		{page.PrivatePhoto, url.Values{"id": {"7"}, "visibility": {"unlisted"}}, nil, "/me/photos/7?notice=unlisted"},
		{page.PrivatePhotos, url.Values{"do": {"album"}, "album": {"Trips"}}, nil, "/me/photos?notice=added"},
		{page.PrivatePhotos, url.Values{"do": {"unalbum"}, "album": {"Trips"}}, nil, "/me/photos?notice=taken"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}}, nil, "/me/bin?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}, "to": {"photos"}}, nil,
			"/me/photos?notice=restored"},
		{page.PrivateBin, url.Values{"do": {"restore"}, "photos": {"7"}, "to": {"photos?q=a%26b&notice=x"}}, nil,
			"/me/photos?notice=restored&q=a%26b"},
		{page.PrivateBin, url.Values{"do": {"remove"}, "to": {"//evil.example"}}, nil, "/me/bin?notice=removed"},
		{page.PrivateBin, url.Values{"do": {"empty"}}, nil, "/me/bin?notice=removed"},
		{page.PrivateShares, url.Values{"end": {"7"}, "photo": {"8"}}, nil,
			"/me/shares?notice=unshared&photo=8&undo=7"},
		{page.PrivateShares, url.Values{"back": {"7"}}, nil, "/me/shares?notice=reshared"},
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
	query := url.Values{"id": {"7"}, "q": {"lake"}, "before": {strings.Repeat("9", 2001)}, "undo": {"7,9"},
		"part": {"list"},
		"x":    {"y"}}
	for _, c := range []struct {
		ref  page.PrivateRef
		want url.Values
	}{
		{page.PrivateRef{Private: page.PrivatePhotos}, url.Values{"q": {"lake"}, "undo": {"7,9"},
			"part": {"list"}}},
		{page.OwnPhoto(7), url.Values{"id": {"7"}}},
		{page.OwnPicture(7, 320), url.Values{"id": {"7"}, "width": {"320"}}},
		{page.PrivateRef{Private: page.PrivateBin}, url.Values{}},
		{page.PrivateRef{Private: page.PrivatePhotoReceipt}, url.Values{"id": {"7"}}},
		{page.PrivateRef{Private: page.PrivateMe}, nil},
		{page.PrivateRef{Private: page.PrivateAlbums}, url.Values{}},
		{page.OwnAlbum(12), url.Values{"id": {"12"}}},
	} {
		if got := valuesOf(c.ref, query); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.ref.Path(), got, c.want)
		}
	}
}

// TestOwnPictureIsReadLikeAnyPicture: while a renderer does not answer a request for a picture of one's own, a second
// copy of it is sent; when its visitor leaves, renderers hear that nobody waits any more.
func TestOwnPictureIsReadLikeAnyPicture(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	asked := make(chan *nats.Msg, 100)
	if _, err := s.nc.ChanQueueSubscribe(page.PrivatePicture.Subject(), wire.QueueRenderer, asked); err != nil {
		t.Fatal(err)
	}
	cancels, err := s.nc.SubscribeSync(wire.SubjectCancels)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	path := page.OwnPicture(7, 320).Path()
	visit := func(ctx context.Context) *http.Request {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.edges[0].Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", s.cookie)
		return r
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if answer, err := http.DefaultTransport.RoundTrip(visit(ctx)); err == nil {
			t.Errorf("status %d, though no renderer replies", answer.StatusCode)
			_ = answer.Body.Close()
		}
	}()
	first, second := <-asked, <-asked
	id := first.Header.Get(wire.HeaderRequest)
	if id == "" || second.Header.Get(wire.HeaderRequest) != id || first.Header.Get(wire.HeaderUser) != "7" ||
		!bytes.Equal(first.Data, second.Data) {
		t.Errorf("the request %v was sent again as %v", first.Header, second.Header)
	}
	leave()
	<-left
	note, err := cancels.NextMsg(10 * time.Second)
	if err != nil || note.Subject != wire.CancelSubject(id) {
		t.Fatalf("%v, %v, want a note that nobody waits for %s", note, err, id)
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range asked {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{wire.HeaderStatus: {"200"}}, Data: []byte("\xff\xd8")})
			if m.Header.Get(wire.HeaderRequest) != id {
				return
			}
		}
	}()
	answer, err := http.DefaultTransport.RoundTrip(visit(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "image/jpeg" ||
		answer.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("status %d, %v", answer.StatusCode, answer.Header)
	}
	<-done
}
