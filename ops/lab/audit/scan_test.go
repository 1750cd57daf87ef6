package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScan(t *testing.T) {
	t.Parallel()
	body := `<title>audit 12.3 · Flickr Killr</title><h1>audit 12.3</h1> audit audit 7 audit 8. audit 9.x
		<a href="/tag/audit-3"><a href="/tag/audit-99"><a href="/tag/auditing"><a href="/album/31">x</a><a href="/album/"><a href="/album/5/after/2">
		<bdi>audit 4.0</bdi><bdi>audit 12.30</bdi><a href="/album/30">audit 5.1`
	got := scan([]byte(body))
	want := content{
		photos: []shown{{12, 3}, {4, 0}, {5, 1}}, conflicting: []shown{{12, 30}}, tags: 8, albums: []int64{31, 30},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(content{}, shown{})); d != "" {
		t.Error(d)
	}
	if s := scan([]byte(markerTitle(123, 45) + "<")); len(s.photos) != 1 || s.photos[0] != (shown{123, 45}) {
		t.Errorf("%+v", s)
	}
	if s := scan(nil); len(s.photos)+len(s.albums) != 0 || s.tags != 0 {
		t.Errorf("of nothing: %+v", s)
	}
}
