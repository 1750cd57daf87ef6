package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	"flickrkillr/ops/photoimport"
)

// TestUploadName: a file is uploaded by a name of at most 255 bytes, whatever it is called in the export.
func TestUploadName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ title, file, want string }{
		{"Half / Dome", "a-7.jpg", "Half - Dome.jpg"},
		{"Dome", "a." + strings.Repeat("x", 300), "Dome"},
		{strings.Repeat("é", 200), "a.jpg", strings.Repeat("é", 125) + ".jpg"},
	} {
		got := uploadName(&photoimport.Photo{Title: c.title, Name: c.file})
		if got != c.want || len(got) > 255 || !utf8.ValidString(got) {
			t.Errorf("%.20q of %.20q is %q, want %q", c.title, c.file, got, c.want)
		}
	}
}
