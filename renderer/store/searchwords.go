package store

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
)

// Bounds of what is looked up for one word.
const (
	completions   = 16 // words that begin with what was typed, the most frequent ones
	completeBelow = 48 // a word with as many photos is not taken for the beginning of another
	longestSplit  = 24 // bytes of a word that may be two written together
	shortestHalf  = 3  // bytes of either of them
)

// vocabulary is what search_words says about the words of a query: how many photos have a lexeme, and how it is
// written.
type vocabulary struct {
	photos      map[string]int
	forms       map[string]string
	completions []string // terms, without their class
	total       int      // photos in the index
	built       bool
}

// classes are the lexemes of a term, wherever it may stand.
func classes(term string) [3]string {
	return [...]string{term, string(words.Elsewhere) + term, string(words.Camera) + term}
}

// anywhere is how many photos have a term.
func (v *vocabulary) anywhere(term string) (n int) {
	for _, lexeme := range classes(term) {
		n += v.photos[lexeme]
	}
	return n
}

// loadVocabulary reads what the index knows about the words of a query, in one round trip.
func (s *Store) loadVocabulary(ctx context.Context, q *query.Query) (*vocabulary, error) {
	v := &vocabulary{photos: map[string]int{}, forms: map[string]string{}}
	var b pgx.Batch
	b.Queue("SELECT built FROM search_state").QueryRow(func(r pgx.Row) error { return r.Scan(&v.built) })
	b.Queue("SELECT word, photos, form FROM search_words WHERE word = ANY ($1)", lexemesOf(q)).Query(v.read)
	if w, ok := q.Prefix(); ok && completable(w) {
		prefix := w.Form
		if w.Dense {
			prefix = w.Parts[0]
		}
		from, to := make([]string, 3), make([]string, 3)
		for i, lexeme := range classes(prefix) {
			from[i], to[i] = lexeme, words.Successor(lexeme)
		}
		b.Queue(`SELECT word, photos, form FROM (
				(SELECT * FROM search_words WHERE word >= $1 AND word < $2 ORDER BY photos DESC LIMIT $7)
				UNION ALL (SELECT * FROM search_words WHERE word >= $3 AND word < $4 ORDER BY photos DESC LIMIT $7)
				UNION ALL (SELECT * FROM search_words WHERE word >= $5 AND word < $6 ORDER BY photos DESC LIMIT $7)
			) AS w ORDER BY photos DESC`, from[0], to[0], from[1], to[1], from[2], to[2], completions).Query(v.complete)
	}
	if err := s.searches.SendBatch(ctx, &b).Close(); err != nil {
		return nil, err
	}
	for _, shape := range shapes() {
		v.total += v.photos[string(words.Filter)+shape]
	}
	return v, nil
}

func shapes() [3]string { return [...]string{words.Landscape, words.Portrait, words.Square} }

func (v *vocabulary) read(rows pgx.Rows) error {
	var word, form string
	var photos int
	_, err := pgx.ForEachRow(rows, []any{&word, &photos, &form}, func() error {
		v.photos[word], v.forms[word] = photos, form
		return nil
	})
	return err
}

func (v *vocabulary) complete(rows pgx.Rows) error {
	var word, form string
	var photos int
	_, err := pgx.ForEachRow(rows, []any{&word, &photos, &form}, func() error {
		v.photos[word], v.forms[word] = photos, form
		if term := strings.TrimLeft(word, ":="); len(v.completions) < completions &&
			!slices.Contains(v.completions, term) {
			v.completions = append(v.completions, term)
		}
		return nil
	})
	return err
}

// completable reports whether a word may be the start of another. Two letters say too little, and completing them
// would take as long as all the rest.
func completable(w query.Word) bool {
	if w.Dense {
		return len(w.Parts) == 1 && utf8.RuneCountInString(w.Parts[0]) == 1
	}
	return len(w.Form) > 2 && w.Term != ""
}

// lexemesOf lists all lexemes that may have to do with a query.
func lexemesOf(q *query.Query) []string {
	all := make([]string, 0, 64)
	term := func(t string) {
		if t != "" {
			c := classes(t)
			all = append(all, c[:]...)
		}
	}
	for _, shape := range shapes() {
		all = append(all, string(words.Filter)+shape)
	}
	for _, it := range q.Items {
		for _, part := range it.Any {
			for i, w := range part.Words {
				term(w.Term)
				for _, p := range w.Parts {
					term(p)
				}
				for _, split := range splits(w) {
					term(split[0])
					term(split[1])
				}
				if i > 0 {
					term(joined(part.Words[i-1], w))
				}
			}
			switch part.Kind {
			case query.Tag:
				all = append(all, string(words.Tag)+part.Value)
			case query.By:
				all = append(all, string(words.Owner)+part.Value)
			case query.Year:
				for year := part.Years[0]; year <= part.Years[1]; year++ {
					all = append(all, yearLexeme(year))
				}
			}
		}
	}
	for before, w := range neighbours(q) {
		term(joined(before, w))
	}
	return all
}

// neighbours gives each two words that follow one another as items of their own.
func neighbours(q *query.Query) func(yield func(before, w query.Word) bool) {
	return func(yield func(before, w query.Word) bool) {
		for i := 1; i < len(q.Items); i++ {
			before, ok := soleWord(&q.Items[i-1])
			w, ok2 := soleWord(&q.Items[i])
			if ok && ok2 && !yield(before, w) {
				return
			}
		}
	}
}

// soleWord gives the word of an item that is one plain word.
func soleWord(it *query.Item) (query.Word, bool) {
	if it.Not || len(it.Any) != 1 || it.Any[0].Kind != query.Text || len(it.Any[0].Words) != 1 ||
		it.Any[0].Words[0].Dense {
		return query.Word{}, false
	}
	return it.Any[0].Words[0], true
}

// joined is the term that two words make when they are written together.
func joined(a, b query.Word) string {
	if a.Form == "" || b.Form == "" || len(a.Form)+len(b.Form) > words.MaxTerm {
		return ""
	}
	return words.Stem(a.Form + b.Form)
}

// splits gives the pairs of terms that a word may be made of.
func splits(w query.Word) [][2]string {
	if w.Dense || len(w.Parts) > 0 || len(w.Form) > longestSplit {
		return nil
	}
	var all [][2]string
	for i := shortestHalf; i <= len(w.Form)-shortestHalf; i++ {
		if utf8.RuneStart(w.Form[i]) {
			all = append(all, [2]string{words.Stem(w.Form[:i]), words.Stem(w.Form[i:])})
		}
	}
	return all
}

// split gives the likeliest pair of terms that a word is made of: the one whose rarer term is the most frequent.
func (v *vocabulary) split(w query.Word) (pair [2]string, photos int) {
	for _, s := range splits(w) {
		if n := min(v.anywhere(s[0]), v.anywhere(s[1])); n > photos && s[0] != s[1] {
			pair, photos = s, n
		}
	}
	return pair, photos
}
