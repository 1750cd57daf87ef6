package words

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold gives text in the form in which it is compared: compatibility characters replaced (NFKC), lower case, Latin and
// Greek letters without accents, Hebrew and Arabic without vowel points, no invisible characters. Other scripts keep
// their marks, which there are letters of their own.
func Fold(text string) string {
	if ascii, upper := isASCII(text); ascii {
		if upper {
			return strings.ToLower(text)
		}
		return text
	}
	text = strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(text, " ")))
	var b strings.Builder
	b.Grow(len(text))
	base := rune(0) // the last letter that was not a mark
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteByte(byte(r))
			base = r
			continue
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
			continue
		case unicode.Is(unicode.Mn, r):
			if !dropsMarks(base) {
				b.WriteRune(r)
			}
			continue
		}
		base = r
		if plain, ok := plainLetter(r); ok {
			b.WriteString(plain)
			continue
		}
		if !unicode.In(r, unicode.Latin, unicode.Greek) {
			b.WriteRune(r)
			continue
		}
		for _, d := range norm.NFD.String(string(r)) {
			switch plain, ok := plainLetter(d); {
			case unicode.Is(unicode.Mn, d):
			case ok:
				b.WriteString(plain)
			default:
				b.WriteRune(finalSigma(d))
			}
		}
	}
	return b.String()
}

func isASCII(text string) (ascii, upper bool) {
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf {
			return false, false
		}
		upper = upper || c >= 'A' && c <= 'Z'
	}
	return true, upper
}

// dropsMarks reports whether a mark on this letter is an accent or a vowel point that many leave out. On what is no
// letter a mark says nothing.
func dropsMarks(base rune) bool {
	return base < utf8.RuneSelf || !unicode.In(base, unicode.L, unicode.M) ||
		unicode.In(base, unicode.Latin, unicode.Greek, unicode.Hebrew, unicode.Arabic)
}

func finalSigma(r rune) rune {
	if r == 'ς' {
		return 'σ'
	}
	return r
}

// plainLetter replaces letters that have no decomposition but a usual spelling without them.
func plainLetter(r rune) (string, bool) {
	switch r {
	case 'ß':
		return "ss", true
	case 'æ':
		return "ae", true
	case 'œ':
		return "oe", true
	case 'ø':
		return "o", true
	case 'đ', 'ð':
		return "d", true
	case 'ł':
		return "l", true
	case 'ħ':
		return "h", true
	case 'þ':
		return "th", true
	case 'ı':
		return "i", true
	case 'ё':
		return "е", true
	case '’', 'ʼ':
		return "'", true
	}
	return "", false
}
