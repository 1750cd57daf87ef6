package words

import "strings"

// Stem takes an English plural back to its singular, roughly as the "S stemmer" does (Harman, How effective is
// suffixing?, 1991). It changes ASCII words of four letters and more. Both sides of a search are stemmed, so a form
// need not be a word, only the same for both.
func Stem(word string) string {
	if len(word) < 4 || !isWord(word) {
		return word
	}
	if s, ok := irregular(word); ok {
		return s
	}
	switch {
	case strings.HasSuffix(word, "ies") && len(word) > 4:
		return word[:len(word)-3] + "y"
	case strings.HasSuffix(word, "ie") && len(word) > 4:
		return word[:len(word)-2] + "y"
	case hasAnySuffix(word, "sses", "shes", "ches", "xes", "oes"):
		return word[:len(word)-2]
	case hasAnySuffix(word, "ss", "us", "is"):
		return word
	case word[len(word)-1] == 's':
		return word[:len(word)-1]
	}
	return word
}

func isWord(word string) bool {
	for i := range len(word) {
		if word[i] < 'a' || word[i] > 'z' {
			return false
		}
	}
	return true
}

func hasAnySuffix(word string, suffixes ...string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(word, s) {
			return true
		}
	}
	return false
}

func irregular(word string) (string, bool) {
	switch word {
	case "leaves":
		return "leaf", true
	case "wolves":
		return "wolf", true
	case "calves":
		return "calf", true
	case "shelves":
		return "shelf", true
	case "women":
		return "woman", true
	case "children":
		return "child", true
	case "feet":
		return "foot", true
	case "geese":
		return "goose", true
	case "mice":
		return "mouse", true
	case "lens", "lenses":
		return "lens", true
	case "shoes":
		return "shoe", true
	case "canoes":
		return "canoe", true
	case "buses":
		return "bus", true
	case "series", "species", "news", "gas", "atlas", "canvas", "christmas":
		return word, true
	}
	return "", false
}

// IsStop reports whether a term stands in nearly every English text and so tells nothing.
func IsStop(term string) bool {
	switch term {
	case "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "had", "i", "in", "is", "it", "my", "of",
		"on", "that", "the", "this",
		"to", "was", "we", "were", "with":
		return true
	}
	return false
}
