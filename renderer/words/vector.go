package words

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The first byte of a lexeme says what it is. A term that stands in the title or among the tags is a lexeme without
// such a byte.
const (
	Elsewhere = ':' // a term of the album, the owner, the lens or the description, and not of title or tags
	Camera    = '=' // a term of the camera's name
	Tag       = '#' // a whole tag
	Owner     = '@' // a user name
	Filter    = '~' // a year, one of the shapes, or a band of all photos, see Band
)

// Shapes of a picture, as they are searched for.
const (
	Landscape = "landscape"
	Portrait  = "portrait"
	Square    = "square"
)

// Shape tells a picture's shape: square if its sides differ by less than 5%.
func Shape(width, height int) string {
	switch {
	case 20*abs(width-height) < max(width, height):
		return Square
	case width > height:
		return Landscape
	}
	return Portrait
}

func abs(n int) int { return max(n, -n) }

// Photo is what is searched of a photo.
type Photo struct {
	Title, Description string
	Tags, Albums       []string
	Owner, Display     string // the owner's name and display name
	Camera, Lens       string
	Year               int // in which it was taken, or posted if that is unknown
	Width, Height      int
	ID                 int64
	Faves, Quality     int
}

// Person is what is searched of a user.
type Person struct {
	Name, Display string
}

// Weights of the places where a term stands, as Postgres counts them.
const (
	weightD = iota << 14
	weightC
	weightB
	weightA
)

const (
	maxPosition  = 1<<14 - 1 // Postgres' limits
	maxPositions = 255
	fieldGap     = 8   // no phrase goes from one field, tag or album into the next
	maxFieldLen  = 600 // terms of a description that are indexed
	minFieldLen  = 100 // terms of any other field
)

// Lexeme is a row's entry in the index.
type Lexeme struct {
	Text      string
	Form      string // as it was written, for lexemes that are terms; else ""
	Positions []uint16
}

// Builder makes the lexemes of photos and people. It reuses its memory: what it returned is valid until its next call.
// The zero Builder is ready. It is not safe for concurrent use.
type Builder struct {
	found   []occurrence
	lexemes []Lexeme
	places  []uint16
	known   map[string][]Term
	pos     int
	plain   map[string]string // lexemes with their class in front, by class and term
}

type occurrence struct {
	term, form string
	main       bool // of the title or a tag
	place      uint16
}

// Photo gives a photo's lexemes, sorted.
func (b *Builder) Photo(p *Photo) []Lexeme {
	b.begin()
	b.field(p.Title, weightA, true, minFieldLen)
	for _, tag := range p.Tags {
		b.field(tag, weightB, true, minFieldLen)
	}
	for _, album := range p.Albums {
		b.field(album, weightC, false, minFieldLen)
	}
	b.field(p.Display, weightC, false, minFieldLen)
	b.field(p.Owner, weightC, false, minFieldLen)
	b.field(p.Lens, weightC, false, minFieldLen)
	b.field(p.Description, weightD, false, maxFieldLen)
	b.gather()

	for _, t := range b.terms(p.Camera) {
		b.class(Camera, t.Text, t.Form)
	}
	for _, tag := range p.Tags {
		b.class(Tag, tag, "")
	}
	if p.Owner != "" {
		b.class(Owner, p.Owner, "")
	}
	if p.Year > 0 {
		b.class(Filter, strconv.Itoa(p.Year), "")
	}
	b.class(Filter, Shape(p.Width, p.Height), "")
	b.class(Filter, ByQuality.Of(int64(p.Quality)), "")
	b.class(Filter, ByFaves.Of(int64(p.Faves)), "")
	b.class(Filter, ByID.Of(p.ID), "")
	if sampled(p.ID) {
		b.class(Filter, Sample, "")
	}
	return b.sorted()
}

// Person gives a user's lexemes, sorted: the terms of both names, and those that the name's parts make ("bluefox" of
// "blue-fox").
func (b *Builder) Person(p *Person) []Lexeme {
	b.begin()
	b.field(p.Display, weightA, true, minFieldLen)
	b.field(p.Name, weightB, true, minFieldLen)
	b.gather()
	if !slices.ContainsFunc(b.lexemes, func(l Lexeme) bool { return l.Text == p.Name }) {
		b.lexemes = append(b.lexemes, Lexeme{Text: p.Name})
	}
	return b.sorted()
}

func (b *Builder) begin() {
	b.found, b.lexemes, b.places, b.pos = b.found[:0], b.lexemes[:0], b.places[:0], 1
	if b.known == nil {
		b.known, b.plain = map[string][]Term{}, map[string]string{}
	}
}

// terms are those of text. Short texts come again and again: names, tags, cameras.
func (b *Builder) terms(text string) []Term {
	if terms, ok := b.known[text]; ok {
		return terms
	}
	var terms []Term
	limit := minFieldLen
	if len(text) > 200 {
		limit = maxFieldLen
	}
	Each(text, limit, func(t Term) {
		if !IsStop(t.Text) {
			terms = append(terms, t)
		}
	})
	const most, short = 30_000, 80
	if len(text) <= short {
		if len(b.known) >= most {
			clear(b.known)
			clear(b.plain)
		}
		text = strings.Clone(text)
		b.known[text] = terms
	}
	return terms
}

func (b *Builder) field(text string, weight uint16, main bool, limit int) {
	last := -1
	for _, t := range b.terms(text) {
		if t.Pos >= limit {
			break
		}
		place := min(b.pos+t.Pos, maxPosition)
		b.found = append(b.found, occurrence{t.Text, t.Form, main, weight | uint16(place)})
		last = t.Pos
	}
	if last >= 0 {
		b.pos += last + fieldGap
	}
}

// gather makes lexemes of what was found.
func (b *Builder) gather() {
	slices.SortFunc(b.found, func(x, y occurrence) int {
		if c := strings.Compare(x.term, y.term); c != 0 {
			return c
		}
		return int(x.place&maxPosition) - int(y.place&maxPosition)
	})
	for from := 0; from < len(b.found); {
		to, main, start := from, false, len(b.places)
		for ; to < len(b.found) && b.found[to].term == b.found[from].term; to++ {
			o := b.found[to]
			main = main || o.main
			if n := len(b.places); n > start && b.places[n-1]&maxPosition == o.place&maxPosition {
				b.places[n-1] = max(b.places[n-1], o.place)
			} else if n-start < maxPositions {
				b.places = append(b.places, o.place)
			}
		}
		l := Lexeme{Text: b.found[from].term, Form: b.found[from].form,
			Positions: b.places[start:len(b.places):len(b.places)]}
		if !main {
			l.Text = b.prefixed(Elsewhere, l.Text)
		}
		b.lexemes = append(b.lexemes, l)
		from = to
	}
}

func (b *Builder) class(class byte, text, form string) {
	b.lexemes = append(b.lexemes, Lexeme{Text: b.prefixed(class, text), Form: form})
}

func (b *Builder) prefixed(class byte, text string) string {
	var buf [160]byte
	key := append(append(buf[:0], class), text...)
	if l, ok := b.plain[string(key)]; ok {
		return l
	}
	l := string(key)
	if len(l) <= MaxTerm && len(b.plain) < 100_000 {
		b.plain[l] = l
	}
	return l
}

// sorted gives the lexemes in the order in which Postgres keeps them, each once.
func (b *Builder) sorted() []Lexeme {
	slices.SortFunc(b.lexemes, func(x, y Lexeme) int { return strings.Compare(x.Text, y.Text) })
	b.lexemes = slices.CompactFunc(b.lexemes, func(x, y Lexeme) bool { return x.Text == y.Text })
	return b.lexemes
}

// AppendBinary appends lexemes as a tsvector in the binary format of COPY and of parameters.
func AppendBinary(dst []byte, lexemes []Lexeme) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(lexemes)))
	for _, l := range lexemes {
		dst = append(append(dst, l.Text...), 0)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(l.Positions)))
		for _, p := range l.Positions {
			dst = binary.BigEndian.AppendUint16(dst, p)
		}
	}
	return dst
}

// AppendText appends lexemes as a tsvector in its text format.
func AppendText(dst []byte, lexemes []Lexeme) []byte {
	for i, l := range lexemes {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = AppendQuoted(dst, l.Text)
		for j, p := range l.Positions {
			dst = append(dst, ":,"[min(j, 1)])
			dst = strconv.AppendInt(dst, int64(p&maxPosition), 10)
			if w := p >> 14; w > 0 {
				dst = append(dst, "DCBA"[w])
			}
		}
	}
	return dst
}

// Place takes a lexeme's position apart: its place in the row, and its weight, 'A' to 'D'.
func Place(position uint16) (at uint16, weight byte) {
	return position & maxPosition, "DCBA"[position>>14]
}

// AppendQuoted appends a lexeme as it stands in the text format of tsvector and tsquery.
func AppendQuoted(dst []byte, lexeme string) []byte {
	dst = append(dst, '\'')
	for i := range len(lexeme) {
		if c := lexeme[i]; c == '\'' || c == '\\' {
			dst = append(dst, c)
		}
		dst = append(dst, lexeme[i])
	}
	return append(dst, '\'')
}

// Successor is the least text that is greater than all that begin with prefix.
func Successor(prefix string) string { return prefix + string(utf8.MaxRune) }
