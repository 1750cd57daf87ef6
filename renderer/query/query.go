// Package query reads what somebody typed into the search field.
//
// **Input**: a text of words, "quoted phrases", -without, this or that, and filters: tag:sea, by:ansel, camera:x-t5,
// year:2024 or year:2019-2022, orientation:landscape. **Output**: a [Query], which package store turns into statements,
// and texts of queries with a filter more or less. **Must not touch**: the network, the database, the clock. No text is
// an error: what cannot be read as more is words.
package query

import (
	"slices"
	"strconv"
	"strings"

	"flickrkillr/renderer/words"
)

// MaxWords is how many words of a query are searched for; the rest is ignored, and [Query.Cut] says so.
const MaxWords = 16

// Query is a text that was read.
type Query struct {
	Items   []Item // all of them must hold
	Cut     bool   // it had more than MaxWords words
	Problem string // a sentence about a filter that cannot be; "" if there is none
}

// Item is one condition.
type Item struct {
	Any []Part // one of them must hold; several only where "or" stood between them
	Not bool   // it must not hold
}

// Part is a word, a phrase or a filter.
type Part struct {
	Kind  Kind
	Raw   string // as it was written, without "-"
	Value string // a tag, a user name, or a shape, in the form in which they are compared
	Words []Word // of Text, Phrase and Camera
	Years [2]int // first and last
}

// Kind says what a Part is.
type Kind uint8

// The kinds of parts.
const (
	Text Kind = iota
	Phrase
	Tag
	By
	Camera
	Year
	Orientation
)

// Word is what one word asks for.
type Word struct {
	Term  string   // "" if there are only Parts
	Form  string   // folded, as it was written
	Parts []string // neighbours that mean the same: of "x-t5", "x" and "t5"; of "富士山" the pairs "富士", "士山"
	Pos   int      // place in its Part
	Dense bool     // of a script without spaces
}

// Parse reads a text. Of what separates words one space is left, within quotes too.
func Parse(text string) Query {
	p := parser{rest: strings.Join(strings.Fields(text), " ")}
	for p.rest != "" {
		p.item()
	}
	return p.query
}

// Nothing reports whether there is nothing to be found by: no words, or only such as must not be there.
func (q *Query) Nothing() bool {
	return !slices.ContainsFunc(q.Items, func(it Item) bool { return !it.Not })
}

// Contradicts reports whether something must be there and must not, so that nothing can be found.
func (q *Query) Contradicts() bool {
	return slices.ContainsFunc(q.Items, func(it Item) bool {
		return it.Not && slices.ContainsFunc(q.Items,
			func(other Item) bool { return !other.Not && len(other.Any) == 1 && other.Any[0].Raw == it.Any[0].Raw })
	})
}

// Prefix gives the word that may be the beginning of one: the last of all, if it is neither quoted nor part of a
// filter.
func (q *Query) Prefix() (Word, bool) {
	if len(q.Items) == 0 || q.Cut {
		return Word{}, false
	}
	last := q.Items[len(q.Items)-1]
	part := last.Any[len(last.Any)-1]
	if last.Not || part.Kind != Text || len(part.Words) == 0 {
		return Word{}, false
	}
	return part.Words[len(part.Words)-1], true
}

// Plain gives the words that are neither quoted nor excluded, with one space between them: what people and tags are
// looked for by.
func (q *Query) Plain() []Word {
	var all []Word
	for _, it := range q.Items {
		for _, part := range it.Any {
			if !it.Not && (part.Kind == Text || part.Kind == Phrase) {
				all = append(all, part.Words...)
			}
		}
	}
	return all
}

// Filter reports whether it is a filter that everything found must fulfil.
func (it *Item) Filter() bool {
	return !it.Not && len(it.Any) == 1 && it.Any[0].Kind >= Tag
}

// String gives the item's text.
func (it *Item) String() string {
	all := make([]string, len(it.Any))
	for i, part := range it.Any {
		all[i] = part.Raw
	}
	text := strings.Join(all, " or ")
	if it.Not {
		return "-" + text
	}
	return text
}

// String gives a text that is read as q.
func (q *Query) String() string { return q.without(func(int) bool { return false }) }

// Without gives the text of q without the nth item.
func (q *Query) Without(n int) string { return q.without(func(i int) bool { return i == n }) }

func (q *Query) without(left func(int) bool) string {
	var all []string
	for i := range q.Items {
		if !left(i) {
			all = append(all, q.Items[i].String())
		}
	}
	return strings.Join(all, " ")
}

// With gives the text of q with a filter, in place of those of the same kind: there is one year, one camera, and one
// orientation at a time. Tags add up.
func (q *Query) With(kind Kind, value string) string {
	text := q.without(func(i int) bool {
		it := &q.Items[i]
		return it.Filter() && kind != Tag && it.Any[0].Kind == kind
	})
	return strings.TrimSpace(text + " " + FilterText(kind, value))
}

// FilterText is how a filter is written.
func FilterText(kind Kind, value string) string {
	key := [...]string{Tag: "tag", By: "by", Camera: "camera", Year: "year", Orientation: "orientation"}[kind]
	if strings.ContainsAny(value, " \t") {
		return key + `:"` + strings.ReplaceAll(value, `"`, "") + `"`
	}
	return key + ":" + value
}

type parser struct {
	rest  string
	query Query
	words int
	or    bool // stood before what comes
}

// item reads what comes next.
func (p *parser) item() {
	raw, not := p.rest, false
	if len(raw) > 1 && raw[0] == '-' && raw[1] != '-' && raw[1] != ' ' {
		not, raw = true, raw[1:]
	}
	raw, p.rest = next(raw)
	if raw == "|" || !not && strings.EqualFold(raw, "or") {
		p.or = len(p.query.Items) > 0
		return
	}
	part, ok := p.part(raw)
	if !ok {
		return
	}
	last := len(p.query.Items) - 1
	joins := p.or && !not && !p.query.Items[last].Not
	if !joins && slices.ContainsFunc(p.query.Items,
		func(it Item) bool { return it.Not == not && len(it.Any) == 1 && it.Any[0].Raw == part.Raw }) {
		p.or = false
		return // said before
	}
	if joins {
		p.query.Items[last].Any = append(p.query.Items[last].Any, part)
	} else {
		p.query.Items = append(p.query.Items, Item{Any: []Part{part}, Not: not})
	}
	p.or = false
}

// next cuts one item off a text: up to a space that is not within quotes.
func next(text string) (item, rest string) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"' && (i == 0 || quoted || text[i-1] == ':'):
			quoted = !quoted
			if !quoted {
				return text[:i+1], strings.TrimLeft(text[i+1:], " ")
			}
		case text[i] == ' ' && !quoted:
			return text[:i], strings.TrimLeft(text[i:], " ")
		}
	}
	return text, ""
}

// part reads one item without its sign; false if there is nothing in it to search for.
func (p *parser) part(raw string) (Part, bool) {
	if key, value, ok := strings.Cut(raw, ":"); ok {
		value = strings.Trim(value, `"`)
		if kind, known := filterKind(key); known && value != "" {
			return p.filter(kind, raw, value)
		}
	}
	part := Part{Kind: Text, Raw: raw}
	if raw[0] == '"' {
		part.Kind, part.Raw = Phrase, `"`+strings.Trim(raw, `"`)+`"`
	}
	part.Words = p.take(raw)
	return part, len(part.Words) > 0
}

func filterKind(key string) (Kind, bool) {
	switch strings.ToLower(key) {
	case "tag", "tags":
		return Tag, true
	case "by", "user", "from":
		return By, true
	case "camera":
		return Camera, true
	case "year":
		return Year, true
	case "orientation", "shape":
		return Orientation, true
	}
	return Text, false
}

func (p *parser) filter(kind Kind, raw, value string) (Part, bool) {
	part := Part{Kind: kind, Raw: raw}
	if strings.Count(raw, `"`) == 1 { // never closed
		part.Raw += `"`
	}
	switch kind {
	case Tag:
		part.Value = strings.Join(strings.Fields(strings.ToLower(strings.TrimPrefix(value, "#"))), " ")
		return part, part.Value != ""
	case By:
		part.Value = strings.ToLower(strings.TrimPrefix(value, "@"))
		return part, part.Value != ""
	case Camera:
		part.Words = p.take(value)
		return part, len(part.Words) > 0
	case Year:
		first, last, ranged := strings.Cut(value, "-")
		from, err := strconv.Atoi(first)
		to, err2 := from, error(nil)
		if ranged {
			to, err2 = strconv.Atoi(last)
		}
		if err != nil || err2 != nil || from < 1800 || to > 2200 || to < from {
			p.query.Problem = "A year is written as year:2024, or as year:2019-2022."
			return part, false
		}
		part.Years = [2]int{from, to}
		return part, true
	}
	switch strings.ToLower(value) {
	case words.Landscape, "horizontal", "wide":
		part.Value = words.Landscape
	case words.Portrait, "vertical", "tall":
		part.Value = words.Portrait
	case words.Square:
		part.Value = words.Square
	default:
		p.query.Problem = "An orientation is landscape, portrait or square."
		return part, false
	}
	return part, true
}

// take reads a text's words, as far as they are among the first MaxWords. Those that every text has are left out.
func (p *parser) take(text string) []Word {
	var all []Word
	words.Each(text, 4*MaxWords, func(t words.Term) {
		switch {
		case t.Kind == words.Part, t.Kind == words.Last: // a Joined term has its parts, and a run its pairs
		case t.Kind == words.Pair && t.Continues:
			last := &all[len(all)-1]
			last.Parts = append(last.Parts, t.Text)
		case t.Kind == words.Pair:
			all = append(all, Word{Form: t.Form, Parts: []string{t.Text}, Pos: t.Pos, Dense: true})
		default:
			all = append(all, Word{Term: t.Text, Form: t.Form, Parts: t.Parts, Pos: t.Pos})
		}
	})
	all = slices.DeleteFunc(all, func(w Word) bool { return words.IsStop(w.Term) })
	if free := MaxWords - p.words; len(all) > free {
		all, p.query.Cut = all[:free], true
	}
	p.words += len(all)
	return all
}

// Replace gives q with plain words replaced, by their folded form.
func (q *Query) Replace(by map[string]string) Query {
	var all []string
	for i := range q.Items {
		it := q.Items[i]
		it.Any = slices.Clone(it.Any)
		for j := range it.Any {
			part := &it.Any[j]
			if part.Kind != Text || it.Not {
				continue
			}
			var replaced []string
			changed := false
			for _, w := range part.Words {
				if to := by[w.Form]; to != "" {
					replaced, changed = append(replaced, to), true
				} else {
					replaced = append(replaced, w.Form)
				}
			}
			if changed {
				part.Raw = strings.Join(replaced, " ")
			}
		}
		all = append(all, it.String())
	}
	return Parse(strings.Join(all, " "))
}

// Quote gives the text of q with the plain items quoted that have one of these words, so that they are searched for as
// they are.
func (q *Query) Quote(these map[string]bool) string {
	all := make([]string, 0, len(q.Items))
	for i := range q.Items {
		it := q.Items[i]
		it.Any = slices.Clone(it.Any)
		for j := range it.Any {
			part := &it.Any[j]
			if part.Kind == Text && slices.ContainsFunc(part.Words, func(w Word) bool { return these[w.Form] }) {
				part.Raw = `"` + strings.ReplaceAll(part.Raw, `"`, "") + `"`
			}
		}
		all = append(all, it.String())
	}
	return strings.Join(all, " ")
}
