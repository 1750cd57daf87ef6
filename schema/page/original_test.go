package page_test

import (
	"testing"

	"flickrkillr/schema/page"
)

// TestOriginalPaths: the address of a download has one spelling, and is no page.
func TestOriginalPaths(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		path := map[bool]string{false: page.OriginalPath(7), true: page.OwnOriginalPath(7)}[own]
		if photo, isOwn, ok := page.ParseOriginal(path); photo != 7 || isOwn != own || !ok {
			t.Errorf("%s: %d, %t, %t", path, photo, isOwn, ok)
		}
		if _, err := page.ParsePath(path); err == nil {
			t.Errorf("%s is a page", path)
		}
		if _, ok := page.ParsePrivate(path); ok {
			t.Errorf("%s is a private page", path)
		}
	}
	for _, path := range []string{"/photo/07/original", "/photo/0/original", "/photo//original", "/photo/-7/original",
		"/photo/7/original/", "/photo/7", "/me/photos/original", "/me/photos/x/original", "/photo/+7/original",
		"/original", ""} {
		if _, _, ok := page.ParseOriginal(path); ok {
			t.Errorf("%q is a download", path)
		}
	}
}

func TestLicences(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, l := range page.Licences() {
		if names[l.Name()] || !page.ValidLicence(l) || (l.URL() == "") != (l == page.LicenceReserved) {
			t.Errorf("%s is called %s, at %s", l, l.Name(), l.URL())
		}
		names[l.Name()] = true
	}
	if page.ValidLicence("") || page.ValidLicence("by-nc-by") || page.Licence("x").Name() != "All rights reserved" {
		t.Error("a licence that does not exist")
	}
}
