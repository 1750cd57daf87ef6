package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Every folder of Go files says once, in a package comment, what it is for.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	comments := map[string][]string{}
	sources(t, ".go", func(path string, content []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		if _, known := comments[dir]; !known {
			comments[dir] = nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, content, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if file.Doc != nil && !ast.IsGenerated(file) {
			comments[dir] = append(comments[dir], path)
		}
	})
	for dir, in := range comments {
		if len(in) != 1 {
			t.Errorf("%s has %d package comments, want one: %s", dir, len(in), strings.Join(in, " "))
		}
	}
}
