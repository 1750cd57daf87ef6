package store

import (
	"strconv"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
)

// level is how well a photo fits a query. Levels are the coarse order by relevance.
type level uint8

const (
	fitsRoughly level = iota // some word is only the beginning of one it has
	fits                     // has all words
	fitsWell                 // has all words in its title or as tags
	fitsTitle                // has all words in its title
	levels
)

// searchPlan is a query in the form Postgres gets: for each level a tsquery, which matches whatever the next higher
// level matches, and how many photos that is, as an upper bound and as an estimate for independent words.
type searchPlan struct {
	match   [levels]string
	most    [levels]int
	likely  [levels]float64
	words   bool     // there is a word, so that levels differ
	unknown []string // words that nobody wrote
	total   int      // photos in the index
}

// compile makes the plan of a query. It leaves out alternatives that no photo has; a level that can match nothing has
// an empty tsquery.
func compile(q *query.Query, v *vocabulary) *searchPlan {
	p := &searchPlan{total: v.total}
	c := compiler{query: q, v: v, plan: p}
	for at := range levels {
		p.match[at], p.most[at], p.likely[at] = c.all(at)
	}
	return p
}

type compiler struct {
	query *query.Query
	v     *vocabulary
	plan  *searchPlan
}

// expression is a tsquery with the number of photos it matches: an upper bound, and an estimate for independent
// words. The zero expression matches nothing.
type expression struct {
	text   string
	photos int
	likely float64
}

func (c *compiler) all(at level) (text string, most int, likely float64) {
	e := expression{photos: c.v.total, likely: float64(c.v.total)}
	possible := !c.query.Contradicts()
	for i := range c.query.Items {
		next := c.item(i, at)
		if !c.query.Items[i].Not {
			possible = possible && next.text != ""
			e = c.both(e, next)
		} else if next.text != "" {
			e.text = and(e.text, "!"+next.text)
		}
	}
	if !possible {
		return "", 0, 0
	}
	return e.text, e.photos, e.likely
}

// both matches what two expressions match.
func (c *compiler) both(a, b expression) expression {
	return expression{and(a.text, b.text), min(a.photos, b.photos), a.likely * b.likely / float64(max(1, c.v.total))}
}

func and(a, b string) string {
	if a == "" {
		return b
	}
	return a + " & " + b
}

// or joins alternatives, and puts them into parentheses if there are several.
func or(all ...expression) expression {
	var sum expression
	n := 0
	for _, e := range all {
		if e.text == "" {
			continue
		}
		if n++; n > 1 {
			sum.text += " | "
		}
		sum.text += e.text
		sum.photos += e.photos
		sum.likely += e.likely
	}
	if n > 1 {
		sum.text = "(" + sum.text + ")"
	}
	return sum
}

func (c *compiler) item(i int, at level) expression {
	it := &c.query.Items[i]
	if it.Not {
		at = fits // what must not be there must not be there anywhere
	}
	alternatives := make([]expression, 0, len(it.Any))
	for j := range it.Any {
		alternatives = append(alternatives, c.part(i, j, at))
	}
	return or(alternatives...)
}

func (c *compiler) part(i, j int, at level) expression {
	part := &c.query.Items[i].Any[j]
	switch part.Kind {
	case query.Tag:
		return c.lexeme(string(words.Tag)+part.Value, "")
	case query.By:
		return c.lexeme(string(words.Owner)+part.Value, "")
	case query.Orientation:
		return c.lexeme(string(words.Filter)+part.Value, "")
	case query.Year:
		years := make([]expression, 0, part.Years[1]-part.Years[0]+1)
		for year := part.Years[0]; year <= part.Years[1]; year++ {
			years = append(years, c.lexeme(yearLexeme(year), ""))
		}
		return or(years...)
	case query.Camera:
		return c.camera(part)
	case query.Phrase:
		c.plan.words = true
		return c.phrase(part.Words, at)
	}
	c.plan.words = true
	e := expression{photos: c.v.total, likely: float64(c.v.total)}
	for k, w := range part.Words {
		one := c.word(i, j, k, w, at)
		if one.text == "" {
			return expression{}
		}
		e = c.both(e, one)
	}
	if len(part.Words) > 1 {
		e.text = "(" + e.text + ")"
	}
	return e
}

func yearLexeme(year int) string { return string(words.Filter) + strconv.Itoa(year) }

func (c *compiler) camera(part *query.Part) expression {
	e := expression{photos: c.v.total, likely: float64(c.v.total)}
	for _, w := range part.Words {
		one := c.lexeme(string(words.Camera)+w.Term, "")
		if one.text == "" && len(w.Parts) > 0 {
			one = expression{photos: c.v.total, likely: float64(c.v.total)}
			for _, p := range w.Parts {
				of := c.lexeme(string(words.Camera)+p, "")
				if of.text == "" {
					return expression{}
				}
				one = c.both(one, of)
			}
		}
		if one.text == "" {
			return expression{}
		}
		e = c.both(e, one)
	}
	e.text = "(" + e.text + ")"
	return e
}

// lexeme matches one lexeme, in fields of a weight; "" is any.
func (c *compiler) lexeme(lexeme, weight string) expression {
	n := c.v.photos[lexeme]
	if n <= 0 {
		return expression{}
	}
	text := string(words.AppendQuoted(nil, lexeme))
	if weight != "" {
		text += ":" + weight
	}
	return expression{text, n, float64(n)}
}

// term matches a term where a level wants it.
func (c *compiler) term(term string, at level) expression {
	switch {
	case term == "":
		return expression{}
	case at == fitsTitle:
		return c.lexeme(term, "A")
	case at == fitsWell:
		return c.lexeme(term, "")
	}
	lexemes := classes(term)
	return or(c.lexeme(lexemes[0], ""), c.lexeme(lexemes[1], ""), c.lexeme(lexemes[2], ""))
}

// sequence matches terms that follow one another at the given distances.
func (c *compiler) sequence(terms []expression, apart []int) expression {
	var e expression
	for i, t := range terms {
		if t.text == "" {
			return expression{}
		}
		if i == 0 {
			e = t
			continue
		}
		text := e.text + " <" + strconv.Itoa(apart[i]) + "> " + t.text
		e = c.both(e, t)
		e.text = text
	}
	if len(terms) > 1 {
		e.text = "(" + e.text + ")"
	}
	return e
}

// parts matches the parts of a word in a row.
func (c *compiler) parts(parts []string, at level) expression {
	terms, apart := make([]expression, len(parts)), make([]int, len(parts))
	for i, p := range parts {
		terms[i], apart[i] = c.term(p, at), 1
	}
	return c.sequence(terms, apart)
}

func (c *compiler) phrase(all []query.Word, at level) expression {
	var terms []expression
	var apart []int
	last := 0
	for _, w := range all {
		if w.Dense || w.Term == "" || len(w.Parts) > 0 && c.term(w.Term, at).text == "" {
			for i, p := range w.Parts {
				terms, apart = append(terms, c.term(p, at)), append(apart, w.Pos+i-last)
				last = w.Pos + i
			}
			continue
		}
		terms, apart = append(terms, c.term(w.Term, at)), append(apart, w.Pos-last)
		last = w.Pos
	}
	return c.sequence(terms, apart)
}

// word matches a plain word: itself, its parts, written together with a neighbour or as two words, and at the lowest
// level completed.
func (c *compiler) word(i, j, k int, w query.Word, at level) expression {
	same := c.term(w.Term, at)
	if len(w.Parts) > 0 {
		same = or(same, c.parts(w.Parts, at))
	}
	if pair, n := c.v.split(w); n > 0 {
		same = or(same, c.parts(pair[:], at))
	}
	if len(c.query.Items[i].Any) == 1 && !c.query.Items[i].Not {
		if i > 0 {
			if before, ok := soleWord(&c.query.Items[i-1]); ok && k == 0 {
				same = or(same, c.term(joined(before, w), at))
			}
		}
		if i+1 < len(c.query.Items) {
			if after, ok := soleWord(&c.query.Items[i+1]); ok {
				same = or(same, c.term(joined(w, after), at))
			}
		}
	}
	last := i == len(c.query.Items)-1 && j == len(c.query.Items[i].Any)-1 && k == len(c.query.Items[i].Any[j].Words)-1
	if at == fitsRoughly && last && (w.Dense || same.photos < completeBelow) {
		all := []expression{same}
		for _, completed := range c.v.completions {
			all = append(all, c.term(completed, at))
		}
		if len(all) > 1 {
			same = or(all...)
		}
	}
	if at == fitsRoughly && same.text == "" {
		c.plan.unknown = append(c.plan.unknown, w.Form)
	}
	return same
}
