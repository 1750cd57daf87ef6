package templates

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a part of a user's text. Href, if not empty, is an http or https address, and the text is that address as
// written.
type span struct{ text, href string }

// maxLink bounds an address in a text, in bytes; a longer one stays text.
const maxLink = 2000

// paragraphs splits a text at its empty lines, and each paragraph into lines of spans.
func paragraphs(text string) [][][]span {
	var all [][][]span
	var lines [][]span
	text = strings.ReplaceAll(strings.ReplaceAll(clean(text), "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, links(line))
			continue
		}
		if lines != nil {
			all = append(all, lines)
		}
		lines = nil
	}
	if lines != nil {
		all = append(all, lines)
	}
	return all
}

// links finds the http(s) addresses in a line. The texts of the spans, joined, are the line: nothing is lost, added or
// decoded. It takes time linear in the line.
func links(line string) []span {
	var spans []span
	start, from := 0, 0 // what is not yet in a span; where to look on
	for {
		at := strings.Index(line[from:], "://")
		if at < 0 {
			break
		}
		end := from + at + len("://")
		if begin, ok := schemeBefore(line[start : from+at]); ok {
			begin += start
			end = linkEnd(line, end)
			if candidate := line[begin:end]; goodLink(candidate) {
				if begin > start {
					spans = append(spans, span{text: line[start:begin]})
				}
				spans = append(spans, span{text: candidate, href: candidate})
				start = end
			}
		}
		from = end
	}
	if start < len(line) {
		spans = append(spans, span{text: line[start:]})
	}
	return spans
}

// schemeBefore is where "http" or "https" starts at the end of s, if it is a word of its own.
func schemeBefore(s string) (begin int, ok bool) {
	for _, scheme := range [...]string{"https", "http"} {
		at := len(s) - len(scheme)
		if at < 0 || !strings.EqualFold(s[at:], scheme) {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:at])
		return at, at == 0 || !unicode.IsLetter(before) && !unicode.IsDigit(before) &&
			!strings.ContainsRune("+-._", before)
	}
	return 0, false
}

// linkEnd is where an address ends: at the first character that an address cannot contain, without the punctuation of
// the sentence around it.
func linkEnd(line string, from int) int {
	end := len(line)
	for i, c := range line[from:] {
		if !linkRune(c) {
			end = from + i
			break
		}
	}
	opened := strings.Count(line[from:end], "(") - strings.Count(line[from:end], ")")
	for end > from {
		switch line[end-1] {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', '[', ']':
		case '(':
			opened--
		case ')':
			if opened >= 0 { // it closes a bracket of the address itself
				return end
			}
			opened++
		default:
			return end
		}
		end--
	}
	return end
}

// linkRune reports whether an address may hold c. Besides spaces and quotes it refuses what browsers drop or turn
// around: controls, backslashes, marks that change the direction of text; and the punctuation of scripts that put no
// space after a sentence.
func linkRune(c rune) bool {
	switch {
	case c < utf8.RuneSelf:
		return c > ' ' && c != 0x7f && !strings.ContainsRune("<>\"\\^`{}|", c)
	case c == utf8.RuneError, c >= 0x3000 && c <= 0x303f, c >= 0xff00 && c <= 0xffef:
		return false
	}
	return unicode.In(c, unicode.L, unicode.M, unicode.N)
}

// goodLink reports whether a browser would read s as an address at a plain host, without a name or password before
// it: http://bank.example@evil.example shows one host and goes to another.
func goodLink(s string) bool {
	if len(s) > maxLink {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "" || strings.ContainsAny(u.Host, "%@") {
		return false
	}
	if scheme := strings.ToLower(u.Scheme); scheme != "http" && scheme != "https" {
		return false
	}
	first, _ := utf8.DecodeRuneInString(u.Hostname())
	return unicode.IsLetter(first) || unicode.IsDigit(first)
}
