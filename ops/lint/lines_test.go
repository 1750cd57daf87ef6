package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxColumns = 120
	tabColumns = 4
)

// markup matches a line of a .templ file with a tag: `templ fmt` decides where such a line breaks, and a break is white
// space in every page.
var markup = regexp.MustCompile(`<[a-z/!]`)

// No line of Go is longer than maxColumns, except one that cannot be wrapped.
func TestLineLength(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".go", ".templ"} {
		sources(t, ext, func(path string, content []byte) {
			for _, finding := range longLines(t, path, content) {
				t.Error(finding)
			}
		})
	}
}

// longLines lists the lines of a .go or .templ file that are too long and can be wrapped.
func longLines(t *testing.T, path string, content []byte) (findings []string) {
	t.Helper()
	if strings.HasSuffix(path, "_templ.go") {
		return nil
	}
	lines := strings.Split(string(content), "\n")
	unwrappable := func(n int) bool { return markup.MatchString(lines[n-1]) || longWord(lines[n-1]) }
	if filepath.Ext(path) == ".go" {
		numbers, err := unwrappableLines(content, lines)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		unwrappable = func(n int) bool { return numbers[n] }
	}
	for i, line := range lines {
		if n := columns(line); n > maxColumns && !unwrappable(i+1) {
			findings = append(findings, fmt.Sprintf("%s:%d: %d columns, the limit is %d", path, i+1, n, maxColumns))
		}
	}
	return findings
}

// columns is the width of a line on a screen.
func columns(line string) int {
	return len([]rune(line)) + (tabColumns-1)*strings.Count(line, "\t")
}

// longWord reports whether a line is one word, e.g. a URL, behind its indentation and the marks of a comment.
func longWord(line string) bool {
	return len(strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "// "))) == 1
}

// unwrappableLines returns the numbers of the lines that cannot be wrapped: those with a struct tag, in a string of
// several lines, with a string that would be too long on a line of its own, directives such as //go:generate, and long
// URLs.
func unwrappableLines(content []byte, lines []string) (map[int]bool, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", content, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	unwrappable := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag != nil {
				unwrappable[files.Position(n.Tag.Pos()).Line] = true
			}
		case *ast.BasicLit:
			first, last := files.Position(n.Pos()).Line, files.Position(n.End()).Line
			indented := lines[first-1][:len(lines[first-1])-len(strings.TrimLeft(lines[first-1], "\t"))] + "\t"
			for line := first; line <= last; line++ {
				unwrappable[line] = unwrappable[line] || last > first || columns(indented+n.Value+",") > maxColumns
			}
		}
		return true
	})
	for _, comments := range file.Comments {
		for line := files.Position(comments.Pos()).Line; line <= files.Position(comments.End()).Line; line++ {
			text := lines[line-1]
			unwrappable[line] = unwrappable[line] || strings.HasPrefix(text, "//go:") || longWord(text)
		}
	}
	return unwrappable, nil
}

func TestUnwrappableLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", maxColumns)
	for name, c := range map[string]struct {
		line        string
		unwrappable bool
	}{
		"a struct tag":       {"type s struct{ f int `help:\"" + long + "\"` }", true},
		"a long string":      {`var s = "` + long + `"`, true},
		"several lines":      {"var s = `SELECT\n" + long + "`", true},
		"a directive":        {"//go:generate " + long, true},
		"a URL":              {"// https://example.com/" + long, true},
		"short strings":      {"var s = []string{" + strings.Repeat(`"a", `, 30) + "}", false},
		"half a line each":   {`var s, ` + long[:60] + ` = 1, "` + long[:60] + `"`, false},
		"words in a comment": {"// " + strings.Repeat("word ", 30), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := "package p\n\n" + c.line + "\n"
			got, err := unwrappableLines([]byte(content), strings.Split(content, "\n"))
			if last := 2 + strings.Count(c.line, "\n") + 1; err != nil || got[last] != c.unwrappable {
				t.Errorf("unwrappable %t, %v; want %t", got[last], err, c.unwrappable)
			}
		})
	}
}
