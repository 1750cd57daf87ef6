package store

import (
	"strings"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
)

// peopleQuery asks for people: a tsquery, "" for nobody, and the name that comes first.
type peopleQuery struct{ words, name string }

// peopleOf asks for people whose names have all plain words of a query, or begin with them.
func peopleOf(q *query.Query) peopleQuery {
	var ask peopleQuery
	var text string
	for _, it := range q.Items {
		for _, part := range it.Any {
			if it.Not {
				continue
			}
			switch part.Kind {
			case query.By:
				text = and(text, string(words.AppendQuoted(nil, part.Value)))
				ask.name = part.Value
			case query.Text, query.Phrase:
				for _, w := range part.Words {
					text = and(text, personTerm(w))
				}
			}
		}
	}
	ask.words = text
	if plain := q.Plain(); len(plain) == 1 {
		ask.name = plain[0].Form
	}
	return ask
}

// personTerm matches a word, or a name that begins with it.
func personTerm(w query.Word) string {
	var all []string
	if w.Term != "" {
		term := string(words.AppendQuoted(nil, w.Term))
		if completable(w) {
			term += ":*"
		}
		all = append(all, term)
	}
	if len(w.Parts) > 0 {
		parts := make([]string, len(w.Parts))
		for i, p := range w.Parts {
			parts[i] = string(words.AppendQuoted(nil, p))
		}
		all = append(all, strings.Join(parts, " <-> "))
	}
	return "(" + strings.Join(all, " | ") + ")"
}

// tagQuery asks for tags: by their whole name, by how they begin, and by a pattern for LIKE; "" for none. All are
// lexemes.
type tagQuery struct {
	exact          []string
	from, to, like string
}

// shortestLike is how many characters a pattern needs to be looked for by its trigrams.
const shortestLike = 3

// tagsOf asks for tags that are like the plain words of a query.
func tagsOf(q *query.Query) tagQuery {
	var raw, forms, terms []string
	for _, it := range q.Items {
		for _, part := range it.Any {
			if !it.Not && (part.Kind == query.Text || part.Kind == query.Phrase) {
				raw = append(raw, strings.ToLower(strings.Trim(part.Raw, `"`)))
			}
		}
	}
	for _, w := range q.Plain() {
		forms, terms = append(forms, w.Form), append(terms, w.Term)
	}
	text := strings.Join(raw, " ")
	if len(forms) == 0 {
		return tagQuery{exact: []string{}}
	}
	const tag = string(words.Tag)
	ask := tagQuery{from: tag + text, to: words.Successor(tag + text)}
	ask.exact = []string{tag + text, tag + strings.Join(forms, " "), tag + strings.Join(forms, ""), tag +
		strings.Join(terms, " "), tag + strings.Join(terms, "")}
	if longest := longestWord(text); longest >= shortestLike && len(forms) <= 4 {
		ask.like = tag + "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	}
	return ask
}

// longestWord counts the characters of the longest run of letters and digits: what trigrams are made of.
func longestWord(text string) (longest int) {
	n := 0
	for _, r := range text {
		if words.IsLetter(r) {
			n++
			longest = max(longest, n)
		} else {
			n = 0
		}
	}
	return longest
}
