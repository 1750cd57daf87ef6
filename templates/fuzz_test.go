package templates

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzProse: of a text nothing is lost but space, and only web addresses at a plain host become links. A short form is
// no longer than it may be, and valid UTF-8.
func FuzzProse(f *testing.F) {
	f.Add("Four o'clock.\r\n\r\nMore: http://fjord.example/?a=1&b=2.")
	f.Add("https://bank.example@evil.example/ javascript:http://a.b/ (http://a.b/(c))")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) { // PostgreSQL holds no such text
			return
		}
		var said strings.Builder
		for _, lines := range paragraphs(text) {
			for _, line := range lines {
				for _, part := range line {
					said.WriteString(part.text)
					if part.href == "" {
						continue
					}
					u, err := url.Parse(part.href)
					if err != nil || part.href != part.text || u.User != nil || u.Host == "" ||
						!strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
						t.Fatalf("%q has the link %q", text, part.href)
					}
				}
			}
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(said.String()) != squeeze(clean(text)) {
			t.Fatalf("%q became %q", text, said.String())
		}
		if short := shorten(clean(text), maxCardTitle); len(short) > maxCardTitle || !utf8.ValidString(short) {
			t.Fatalf("%q, shortened, is %q", text, short)
		}
	})
}
