package renderer

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Limits of what is written about a photo, in characters, as the tables have them.
const (
	maxTitle       = 200
	maxDescription = 5000
)

// formField is what wire.InputError calls the form as a whole.
const formField = "form"

// form is what an action was given: each field at most once. Its methods say what is wrong in words for the person who
// filled it in; all errors are of the type *wire.InputError.
type form map[string]string

// parseForm reads an action's data, which may have the known fields and no others. With an error it returns the fields
// that nothing is wrong with, for the form's page.
func parseForm(action string, data []byte, known ...string) (form, error) {
	if len(data) > wire.MaxForm {
		return nil, wrong(formField, "has %d bytes: shorten it to %d", len(data), wire.MaxForm)
	}
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, wrong(formField, "cannot be read: encode it as application/x-www-form-urlencoded")
	}
	f := make(form, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) { // of two mistakes it is always the same that is told
		all := values[name]
		var problem error
		switch {
		case !slices.Contains(known, name):
			problem = wrong(strayName(name), "is no field of %s: leave it out, it takes %s", action,
				strings.Join(known, ", "))
		case len(all) > 1:
			problem = wrong(name, "is given %d times: give it once", len(all))
		case !utf8.ValidString(all[0]):
			problem = wrong(name, "is not UTF-8: encode it as that")
		default:
			f[name] = all[0]
		}
		if err == nil {
			err = problem
		}
	}
	return f, err
}

func wrong(field, problem string, args ...any) *wire.InputError {
	return &wire.InputError{Field: field, Problem: fmt.Sprintf(problem, args...)}
}

// strayName makes a field's name that somebody made up fit for a header, and short.
func strayName(name string) string {
	if name == "" {
		return formField
	}
	return url.QueryEscape(name[:min(len(name), 40)])
}

func (f form) id() (int64, error) {
	text, ok := f["id"]
	if !ok {
		return 0, wrong("id", "is missing: give the number of a photo")
	}
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil || id == 0 {
		return 0, wrong("id", "is not the number of a photo: give digits, such as 7")
	}
	return int64(id), nil
}

func (f form) flag(name string) (bool, error) {
	switch text, ok := f[name]; {
	case !ok:
		return false, wrong(name, "is missing: give true or false")
	case text == "true":
		return true, nil
	case text != "false":
		return false, wrong(name, "is neither true nor false: give one of them")
	}
	return false, nil
}

// line reads a text of one line without the space around it; nil when the field was not given.
func (f form) line(name string, limit int) (*string, *wire.InputError) {
	return f.text(name, limit, "line breaks or other control characters: leave them out", unicode.IsControl)
}

// prose reads a text of many lines, which end in "\n" whatever the browser sent; nil when the field was not given.
func (f form) prose(name string, limit int) (*string, *wire.InputError) {
	return f.text(name, limit, "control characters: leave out all but line breaks and tabs", func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t'
	})
}

func (f form) text(name string, limit int, bad string, isBad func(rune) bool) (*string, *wire.InputError) {
	text, ok := f[name]
	if !ok {
		return nil, nil
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if n := utf8.RuneCountInString(text); n > limit {
		return nil, wrong(name, "has %d characters: shorten it to %d", n, limit)
	}
	if strings.ContainsFunc(text, isBad) {
		return nil, wrong(name, "has %s", bad)
	}
	return &text, nil
}

// keyOf reads the header that names an attempt and its repetitions.
func keyOf(m *nats.Msg) (string, error) {
	all := m.Header.Values(wire.HeaderKey)
	switch {
	case len(all) == 0:
		return "", wrong(wire.HeaderKey,
			"is missing: name this attempt, and its repetitions alike, by a key of your own")
	case len(all) > 1 || !wire.ValidKey(all[0]):
		return "", wrong(wire.HeaderKey, "is not one key: give 1 to %d printable ASCII characters without a space",
			wire.MaxKey)
	}
	return all[0], nil
}
