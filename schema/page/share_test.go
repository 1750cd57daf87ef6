package page

import (
	"strings"
	"testing"
)

// TestShare: a share has one path, which is that of nothing else, and its id does not give the token away.
func TestShare(t *testing.T) {
	t.Parallel()
	token := ShareToken([16]byte{1, 2, 3, 15: 255})
	for _, s := range []Share{
		{Token: token}, {Token: token, Photo: 7}, {Token: token, Photo: 1 << 62}, {Token: token, Photo: 7, Width: 2560},
	} {
		path := s.Path()
		if got, ok := ParseShare(path); !ok || got != s {
			t.Errorf("%s is the path of %+v, %v", path, got, ok)
		}
		if ref, err := ParsePath(path); err == nil {
			t.Errorf("%s is also the path of %s", path, ref)
		}
		if ref, ok := ParsePrivate(path); ok {
			t.Errorf("%s is also the path of %s", path, ref)
		}
		hash, ok := ParseShareID(s.ID())
		if want := s.Hash(); !ok || string(hash) != string(want[:]) {
			t.Errorf("the hash of %s is %x, %v", s.ID(), hash, ok)
		}
		if strings.Contains(s.ID(), token) {
			t.Errorf("the id of a share has its token: %s", s.ID())
		}
	}
	for _, path := range []string{
		"", "/", "/s", "/s/", "/s/" + token[1:], "/s/" + token + "a", "/s/" + strings.ToUpper(token),
		"/s/" + token + "/", "/s/" + token + "/0", "/s/" + token + "/07", "/s/" + token + "/7/", "/s/" + token + "/x",
		"/s/" + token + "/7/320", "/s/" + token + "/7/321.jpg", "/s/" + token + "/7/0320.jpg",
		"/s/" + token + "/7/320.jpg/", "/s/" + token + "?after=7", "//s/" + token, "/S/" + token,
		"/s/" + token[:25] + "1", "/s/" + token[:25] + "%61", "/s/" + token[:25] + "é",
	} {
		if s, ok := ParseShare(path); ok {
			t.Errorf("%q is taken for %+v", path, s)
		}
	}
	id := Share{Token: token}.ID()
	for _, text := range []string{"", id[1:], id + "a", strings.ToUpper(id), id[:51] + "b", id[:51] + "!"} {
		if _, ok := ParseShareID(text); ok {
			t.Errorf("%q is taken for the id of a share", text)
		}
	}
}
