package renderer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSafeName is how many bytes of a title the name of a file has. Most systems take 255, with what comes around it.
const maxSafeName = 150

// reservedNames are those of devices on Windows, which no file may have, with whatever extension.
var reservedNames = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}

// safeName makes the name of a file, without an extension, of a title: one that every system takes, that leads out of
// no folder, hides in none, and reads as it is written. otherwise is the name if nothing is left.
func safeName(title, otherwise string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '-'
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ToValidUTF8(title, ""))
	name = strings.Join(strings.Fields(name), " ")
	name = strings.Trim(strings.ToValidUTF8(name[:min(len(name), maxSafeName)], ""), ". -")
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	device := len(base) == 4 && (strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")) &&
		base[3] >= '0' && base[3] <= '9'
	if name == "" || device || reservedNames[base] {
		return otherwise
	}
	return name
}
