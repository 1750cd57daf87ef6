package store

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/words"
)

// Bounds of correcting.
const (
	shortestTypo = 4  // characters of a word that may be misspelt
	longestTypo  = 32 // bytes
	mostTypos    = 3  // words of a query
)

// correct returns for each word that nobody wrote the most likely correction, "" for none. It corrects none of more
// than mostTypos words.
func (s *Store) correct(ctx context.Context, unknown []string) (map[string]string, error) {
	meant := map[string]string{}
	if len(unknown) > mostTypos {
		return meant, nil
	}
	var b pgx.Batch
	for _, word := range unknown {
		if utf8.RuneCountInString(word) < shortestTypo || len(word) > longestTypo {
			continue
		}
		b.Queue(`
			SELECT word, photos, form FROM search_words WHERE word = ANY ($2)
			UNION ALL
			(SELECT word, photos, form FROM search_words WHERE word >= $3 AND word < $4 ORDER BY photos DESC LIMIT 300)
			UNION ALL
			(SELECT word, photos, form FROM search_words
				WHERE word % $1 AND left(word, 1) NOT IN ('#', '~', '@', ':') ORDER BY similarity(word, $1) DESC,
					photos DESC LIMIT 40)`,
			word, slips(word), start(word), words.Successor(start(word))).Query(func(rows pgx.Rows) error {
			v := vocabulary{photos: map[string]int{}, forms: map[string]string{}}
			if err := v.read(rows); err != nil {
				return err
			}
			meant[word] = v.nearest(word)
			return nil
		})
	}
	if b.Len() == 0 {
		return meant, nil
	}
	return meant, s.searches.SendBatch(ctx, &b).Close()
}

// start is the first three characters of a word: most slips come later.
func start(word string) string { return string([]rune(word)[:3]) }

// slips returns the lexemes at edit distance 1 from a short word, for which trigrams say too little.
func slips(word string) []string {
	all := []string{}
	if len(word) > 6 || strings.ContainsFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return all
	}
	put := func(w string) {
		c := classes(words.Stem(w))
		all = append(all, c[:]...)
	}
	for i := range len(word) + 1 {
		if i < len(word) {
			put(word[:i] + word[i+1:])
		}
		if i+1 < len(word) {
			put(word[:i] + word[i+1:i+2] + word[i:i+1] + word[i+2:])
		}
		for c := 'a'; c <= 'z'; c++ {
			put(word[:i] + string(c) + word[i:])
			if i < len(word) {
				put(word[:i] + string(c) + word[i+1:])
			}
		}
	}
	return all
}

// nearest gives the word that is the fewest slips of the pen away; of several the most frequent.
func (v *vocabulary) nearest(word string) (best string) {
	limit := 2
	if utf8.RuneCountInString(word) < 6 {
		limit = 1
	}
	bestDistance, bestPhotos := limit+1, 0
	for lexeme := range v.photos {
		term := strings.TrimLeft(lexeme, ":=")
		form := v.forms[lexeme]
		if form == "" {
			continue // no word
		}
		distance := min(distance(word, term, limit), distance(word, form, limit))
		photos := v.anywhere(term)
		if distance < bestDistance || distance == bestDistance && distance <= limit &&
			(photos > bestPhotos || photos == bestPhotos && form < best) {
			best, bestDistance, bestPhotos = form, distance, photos
		}
	}
	return best
}

// distance counts characters left out, added, changed, or swapped with their neighbour (the restricted
// Damerau-Levenshtein distance). Above limit it returns some number over limit.
func distance(from, to string, limit int) int {
	a, b := []rune(from), []rune(to)
	if abs(len(a)-len(b)) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int { return max(n, -n) }
