package renderer

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"flickrkillr/schema/wire"
)

// FuzzForm: what is read from a form fits its column, and what is wrong with it can be said in a header.
func FuzzForm(f *testing.F) {
	f.Add([]byte("id=1&title=By+the+bus&description=a%0D%0Ab"))
	f.Add([]byte("id=1&id=2&private=true"))
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(err error) {
			input, ok := errors.AsType[*wire.InputError](err)
			if err != nil && (!ok || input.Field == "" || strings.ContainsFunc(input.Error(), func(r rune) bool {
				return r < ' ' || r > '~'
			}) || strings.Contains(input.Field, " ")) {
				t.Fatalf("%q: the error is %q", data, err)
			}
		}
		fields, err := parseForm("photo.edit", data, "id", "title", "description", "private")
		check(err)
		if err != nil {
			return
		}
		values := url.Values{}
		for name, value := range fields {
			values.Set(name, value)
		}
		encoded := []byte(values.Encode())
		again, err := parseForm("photo.edit", encoded, "id", "title", "description", "private")
		if err == nil && len(again) != len(fields) || err != nil && len(encoded) <= wire.MaxForm {
			t.Fatalf("%q: %v, %v", data, again, err)
		}
		id, err := fields.id()
		if check(err); err == nil && id <= 0 {
			t.Fatalf("%q: the id %d", data, id)
		}
		_, err = fields.flag("private")
		check(err)
		title, problem := fields.line("title", maxTitle)
		if problem != nil {
			check(problem)
		}
		prose, problem := fields.prose("description", maxDescription)
		if problem != nil {
			check(problem)
		}
		for text, limit := range map[*string]int{title: maxTitle, prose: maxDescription} {
			if text != nil && (!utf8.ValidString(*text) || utf8.RuneCountInString(*text) > limit ||
				strings.ContainsRune(*text, 0) || strings.TrimSpace(*text) != *text) {
				t.Fatalf("%q: the text %q", data, *text)
			}
		}
		if title != nil && strings.ContainsFunc(*title, unicode.IsControl) {
			t.Fatalf("%q: the title %q", data, *title)
		}
	})
}
