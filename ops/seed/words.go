package seed

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The word lists: no library has them in other scripts.
//
//go:embed words/*.txt
var wordFiles embed.FS

// words are all words that the data is made of.
type words struct {
	places       map[string][]string // By scene.
	titles       map[string][]string // By scene, by thing in the picture, and "any" and "file".
	short, long  []string            // Descriptions.
	lists        []string
	bios         []string
	given        []string
	family       []string
	word         []string
	tags         map[string][]string // By scene, and "any".
	tailA, tailB []string
	scripts      []script
	hostile      []string
}

// script is a language or script other than plain English.
type script struct {
	key    string
	names  []string
	bios   []string
	tags   []string
	titles map[string][]string // By scene.
	say    []string
}

func loadWords() (*words, error) {
	var failed error
	read := func(name string) map[string][]string {
		s, err := sections(name)
		if err != nil && failed == nil {
			failed = err
		}
		return s
	}
	w := &words{places: read("places"), titles: read("titles"), tags: map[string][]string{}}
	said := read("descriptions")
	w.short, w.long = said["short"], said["sentence"]
	for _, s := range said["list"] {
		w.lists = append(w.lists, strings.ReplaceAll(s, `\n`, "\n"))
	}
	w.bios = read("bios")[""]
	names := read("names")
	w.given, w.family, w.word = fields(names["given"]), fields(names["family"]), fields(names["word"])
	for scene, lines := range read("tags") {
		w.tags[scene] = fields(lines)
	}
	tail := read("tail")
	w.tailA, w.tailB = fields(tail["first"]), fields(tail["second"])
	for _, key := range []string{"ja", "ar", "ru", "hi", "el", "ko", "he", "zh", "emoji"} {
		w.scripts = append(w.scripts, newScript(key, read("scripts")[key]))
	}
	for _, line := range read("hostile")[""] {
		s, err := strconv.Unquote(line)
		if err != nil {
			return nil, fmt.Errorf("seed: words/hostile.txt: %s: %w", line, err)
		}
		// Postgres' text has no zero character.
		w.hostile = append(w.hostile, firstRunes(strings.ReplaceAll(s, "\x00", ""), maxTitle))
	}
	return w, failed
}

func newScript(key string, lines []string) script {
	s := script{key: key, titles: map[string][]string{}}
	for _, line := range lines {
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "name":
			s.names = append(s.names, text)
		case "bio":
			s.bios = append(s.bios, text)
		case "tag":
			s.tags = append(s.tags, text)
		case "say":
			s.say = append(s.say, text)
		default:
			s.titles[kind] = append(s.titles[kind], text)
		}
	}
	return s
}

// sections reads a word list: lines under headings in brackets; those before the first heading are under "". Lines that
// begin with # are comments.
func sections(name string) (map[string][]string, error) {
	data, err := wordFiles.ReadFile("words/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	out := map[string][]string{}
	heading := ""
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		line := lines.Text()
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			heading = line[1 : len(line)-1]
		default:
			out[heading] = append(out[heading], line)
		}
	}
	return out, nil
}

func fields(lines []string) []string { return strings.Fields(strings.Join(lines, " ")) }

func firstRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
