package renderer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"flickrkillr/renderer/mail"
	"flickrkillr/renderer/password"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// problems are what is wrong with a form, by field; [templates.FormProblem] is the form as a whole. As an error it is
// the first of them.
type problems map[string]string

func (p problems) Error() string { return p.first().Error() }

// Unwrap makes it an *wire.InputError.
func (p problems) Unwrap() error { return p.first() }

func (p problems) first() *wire.InputError {
	for _, field := range slices.Sorted(maps.Keys(p)) {
		return &wire.InputError{Field: field, Problem: p[field]}
	}
	return &wire.InputError{Field: formField, Problem: "cannot be used"}
}

// note takes what is wrong with a field; nil is nothing.
func (p problems) note(wrong *wire.InputError) {
	if wrong != nil && p[wrong.Field] == "" {
		p[wrong.Field] = wrong.Problem
	}
}

// asError returns p, or nil if there are no problems.
func (p problems) asError() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// onPage puts what is wrong with no field of a form's page where the page shows it.
func (p problems) onPage(kind page.Private) map[string]string {
	shown := map[string]string{}
	for field, problem := range p {
		if field == formField {
			shown[templates.FormProblem] = strings.ToUpper(problem[:1]) + problem[1:]
			continue
		}
		if slices.Contains(fieldsOf(kind), field) {
			shown[field] = problem
			continue
		}
		shown[templates.FormProblem] = fmt.Sprintf("The field %s %s", field, problem)
	}
	return shown
}

// shown is what a form's page may repeat of what was typed: no password and no code.
func (f form) shown() map[string]string {
	values := map[string]string{}
	for _, name := range []string{
		"name", "display", "bio", "sessions", "tokens", "id", "label", "email", "token", "title", "description",
		"tags", "taken", "visibility", "photos", "tag", "list", "before", "licence", "download", "photo", "album",
		"days", "do", "parent", "at", "after",
	} {
		values[name] = f[name]
	}
	for _, name := range wasFields(append(albumFields(), ownFields()...)) {
		values[name] = f[name]
	}
	return values
}

// userName reads a name that is typed in any spelling.
func (f form) userName() (string, *wire.InputError) {
	typed := strings.TrimSpace(f["name"])
	switch {
	case typed == "":
		return "", wrong("name", "is missing: give 2 to 31 letters, digits, hyphens or underscores")
	case len(typed) > 400:
		return "", wrong("name", "is too long: give at most 31 letters, digits, hyphens or underscores")
	}
	return wire.FoldName(typed), nil
}

// newName is userName for a name that somebody wants to take.
func (f form) newName() (string, *wire.InputError) {
	name, problem := f.userName()
	switch {
	case problem != nil:
		return "", problem
	case page.ValidUser(name) && page.Reserved(name):
		return "", wrong("name", "is kept for the site: choose another")
	case page.ValidUser(name):
		return name, nil
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return "", wrong("name", "has control characters or invisible ones: leave them out")
	case len(name) > 31:
		return "", wrong("name", "is too long: use at most 31 characters")
	case len(name) < 2:
		return "", wrong("name", "is too short: use at least 2 characters")
	case name[0] == '-' || name[0] == '_':
		return "", wrong("name", "begins with a hyphen or underscore: begin with a letter or a digit")
	}
	return "", wrong("name", "has other characters than a to z, 0 to 9, hyphen and underscore: leave them out")
}

// newPassword reads a password that is to be set.
func (f form) newPassword(user string) (string, *wire.InputError) {
	if why := password.Refuse(f["password"], user); why != "" {
		return "", &wire.InputError{Field: "password", Problem: why}
	}
	return f["password"], nil
}

// typedPassword reads a password that is to be checked. What is too long is none.
func (f form) typedPassword(field string) (string, *wire.InputError) {
	typed := f[field]
	if typed == "" || len(typed) > 4*password.Longest {
		return "", wrong(field, "is missing, or too long: give the one that you have chosen")
	}
	return typed, nil
}

// email reads an address that may be missing.
func (f form) email() (string, *wire.InputError) {
	email, ok := mail.ParseAddress(f["email"])
	if !ok && strings.TrimSpace(f["email"]) != "" {
		return "", wrong("email", "is not an address that mails can be sent to: give one such as name@example.org")
	}
	return email, nil
}

func checkDisplayName(name string) *wire.InputError {
	switch {
	case strings.TrimSpace(name) == "":
		return wrong("display", "is missing: give at least one character")
	case !wire.HasVisible(name):
		return wrong("display", "has invisible characters alone: give at least one that can be seen")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }):
		return wrong("display", "has marks that change the direction of text: leave them out")
	}
	return nil
}
