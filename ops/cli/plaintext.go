package cli

import (
	"strconv"
	"strings"
	"unicode"
)

// plainText is a text for a terminal, of which names in files of others may be a part: characters that would move the
// cursor, change colours or the order of letters are written as escapes.
func plainText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) && !unicode.Is(unicode.Bidi_Control, r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
