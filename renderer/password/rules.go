package password

import (
	_ "embed"
	"strings"
	"unicode/utf8"
)

// Bounds of a password, in characters.
const (
	Shortest = 8
	Longest  = 256
)

//go:embed common.txt
var commonText string

// common holds passwords that guessers try first, in lower case.
var common = func() map[string]bool {
	all := map[string]bool{}
	for line := range strings.FieldsSeq(commonText) {
		all[line] = true
	}
	return all
}()

// Refuse returns why a password may not be chosen by a user, in the form "has 3 characters: use at least 8"; "" if it
// may.
func Refuse(password, user string) string {
	lower := strings.ToLower(password)
	switch n := utf8.RuneCountInString(password); {
	case n == 0:
		return "is missing: choose one of at least 8 characters"
	case n < Shortest:
		return "is too short: use at least 8 characters"
	case n > Longest:
		return "is too long: use at most 256 characters"
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return "has characters that cannot be read: choose another"
	case user != "" && strings.Trim(lower, "0123456789!?.-_ ") == strings.Trim(user, "0123456789-_"):
		return "is little more than the name: choose another"
	case common[lower], common[strings.TrimRight(lower, "0123456789!?.")], repeats(lower):
		return "is one of those that are guessed first: choose another"
	}
	return ""
}

// repeats reports whether a text is one piece of at most four bytes again and again.
func repeats(s string) bool {
	for n := 1; n <= 4; n++ {
		if s[n:] == s[:len(s)-n] {
			return true
		}
	}
	return false
}
