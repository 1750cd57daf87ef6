package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Imports stand in groups, with a blank line between them and none within: the standard library, third parties, ours.
func TestImportGroups(t *testing.T) {
	t.Parallel()
	sources(t, ".go", func(path string, content []byte) {
		for _, finding := range misplacedImports(t, path, content) {
			t.Error(finding)
		}
	})
}

// misplacedImports lists the imports of a file that do not stand in their group.
func misplacedImports(t *testing.T, path string, content []byte) (findings []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return nil
	}
	if ast.IsGenerated(file) { // templ adds an import of its own
		return nil
	}
	for i := 1; i < len(file.Imports); i++ {
		before, here := file.Imports[i-1], file.Imports[i]
		a, b := importGroup(before), importGroup(here)
		between := string(content[files.Position(before.End()).Offset:files.Position(here.Pos()).Offset])
		if blank := strings.Contains(between, "\n\n"); a > b || (a < b) != blank {
			findings = append(findings, fmt.Sprintf(
				"%s:%d: want groups of imports: standard library, third party, %s",
				path, files.Position(here.Pos()).Line, module,
			))
		}
	}
	return findings
}

// importGroup is 0 for the standard library, 1 for third parties, 2 for this module.
func importGroup(s *ast.ImportSpec) int {
	path, err := strconv.Unquote(s.Path.Value)
	switch first, _, _ := strings.Cut(path, "/"); {
	case err == nil && within(path, module):
		return 2
	case strings.Contains(first, "."):
		return 1
	}
	return 0
}
