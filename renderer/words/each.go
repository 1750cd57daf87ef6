package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTerm is the length of a term in bytes; a longer word is cut.
const MaxTerm = 48

// Term is one thing in a text that can be searched for.
type Term struct {
	Text string // folded and stemmed
	Form string // folded, as it was written
	Pos  int    // place in the text, from 0: neighbours are one apart
	Kind Kind
	// Parts are those of a Joined term, if all of them are terms too.
	Parts []string
	// Continues says of a Pair or Last that it goes on with the run of the term before.
	Continues bool
}

// Kind says how a term came about.
type Kind uint8

// The kinds of terms.
const (
	Word   Kind = iota
	Joined      // of a word with hyphens, dots or the like: all of it in one, at the place of its last part
	Part        // one part of such a word
	Pair        // two neighbouring characters of a script without spaces, or its single character
	Last        // the last character of such a run: found alone, never looked for in a longer query
	Symbol      // an emoji
)

// Each calls emit with the terms of text, in their order, for at most limit places. It returns the number of places.
func Each(text string, limit int, emit func(Term)) int {
	s := scanner{text: Fold(text), limit: limit, emit: emit}
	s.scan()
	return s.pos
}

type scanner struct {
	text  string
	limit int
	pos   int
	emit  func(Term)
}

type class uint8

const (
	space class = iota
	letter
	dense // of a script without spaces
	symbol
	joint // joins letters on both sides of it
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return letter
		case r == '-', r == '\'', r == '.', r == '/', r == '_', r == '&', r == '+':
			return joint
		}
		return space
	case r == 'ー', unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao,
		unicode.Khmer, unicode.Myanmar):
		return dense
	case unicode.In(r, unicode.L, unicode.N, unicode.M):
		return letter
	case r == '‐', r == '‑', r == '·':
		return joint
	case r >= 0x1F000 && r <= 0x1FAFF && !(r >= 0x1F3FB && r <= 0x1F3FF), r >= 0x2600 && r <= 0x27BF, r >= 0x2B00 &&
		r <= 0x2BFF:
		return symbol
	}
	return space
}

func (s *scanner) scan() {
	for i := 0; i < len(s.text) && s.pos < s.limit; {
		r, size := utf8.DecodeRuneInString(s.text[i:])
		switch classOf(r) {
		case letter:
			if unicode.Is(unicode.Mn, r) { // on a character of a script without spaces: it begins no word
				i += size
				continue
			}
			i = s.word(i)
		case dense:
			i = s.run(i)
		case symbol:
			s.put(s.text[i:i+size], Symbol)
			s.pos++
			i += size
		default:
			i += size
		}
	}
}

func (s *scanner) put(text string, kind Kind) {
	text = cut(text)
	s.emit(Term{Text: Stem(text), Form: text, Pos: s.pos, Kind: kind})
}

// word emits the word at i, and its parts if it has joints, and returns where it ends.
func (s *scanner) word(i int) int {
	end, joints := i, 0
	var at [16]int // where joints are
	for end < len(s.text) {
		r, size := utf8.DecodeRuneInString(s.text[end:])
		c := classOf(r)
		if c == joint {
			next, _ := utf8.DecodeRuneInString(s.text[end+size:])
			if classOf(next) != letter || joints == len(at) {
				break
			}
			at[joints] = end
			joints++
		} else if c != letter {
			break
		}
		end += size
	}
	whole := s.text[i:end]
	if joints == 0 {
		s.put(whole, Word)
		s.pos++
		return end
	}
	if last := at[joints-1]; s.text[last] == '\'' && s.text[last+1:end] == "s" { // the genitive
		joints--
		whole = s.text[i:last]
		if joints == 0 {
			s.put(whole, Word)
			s.pos++
			return end
		}
	}
	s.parts(whole)
	return end
}

func (s *scanner) parts(whole string) {
	joined := make([]byte, 0, MaxTerm)
	var parts []string
	all := true
	for part := range strings.FieldsFuncSeq(whole, func(r rune) bool { return classOf(r) == joint }) {
		joined = append(joined, part...)
		parts = append(parts, Stem(cut(part)))
		all = all && len(part) > 1
	}
	i := 0
	for part := range strings.FieldsFuncSeq(whole, func(r rune) bool { return classOf(r) == joint }) {
		if i++; i == len(parts) {
			t := Term{Form: cut(string(joined)), Pos: s.pos, Kind: Joined}
			if t.Text = Stem(t.Form); all {
				t.Parts = parts
			}
			s.emit(t)
		}
		if len(part) > 1 {
			s.put(part, Part)
		}
		s.pos++
	}
}

// run emits the pairs of a run of characters of scripts without spaces, and returns where it ends.
func (s *scanner) run(i int) int {
	previous, count := i, 0
	for i < len(s.text) && s.pos < s.limit {
		r, size := utf8.DecodeRuneInString(s.text[i:])
		if classOf(r) != dense {
			break
		}
		if count > 0 {
			pair := s.text[previous : i+size]
			s.emit(Term{Text: pair, Form: pair, Pos: s.pos, Kind: Pair, Continues: count > 1})
			s.pos++
		}
		previous = i
		i += size
		count++
	}
	last := Term{Text: s.text[previous:i], Form: s.text[previous:i], Pos: s.pos, Kind: Last, Continues: count > 1}
	if count == 1 {
		last.Kind = Pair
	}
	s.emit(last)
	s.pos++
	return i
}

func cut(text string) string {
	if len(text) <= MaxTerm {
		return text
	}
	at := MaxTerm
	for !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at]
}

// IsLetter reports whether r is part of words: a letter, a digit, or a mark on one.
func IsLetter(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.M) }
