package lint

import (
	"bytes"
	"go/format"
	"path/filepath"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/a-h/templ/generator"
	"github.com/a-h/templ/parser/v2"
)

// generate makes the views anew. Where it is run from matters: the paths in errors are relative to -path.
const generate = "run go tool -modfile=ops/tools/go.mod templ generate -path templates"

// The committed views are what templ makes of the .templ files, no more and no less.
func TestGeneratedViews(t *testing.T) {
	t.Parallel()
	views := map[string][]byte{}
	sources(t, ".templ", func(path string, content []byte) {
		views[strings.TrimSuffix(path, ".templ")+"_templ.go"] = makeView(t, path, content)
	})
	committed := map[string]bool{}
	sources(t, "_templ.go", func(path string, content []byte) {
		committed[path] = true
		if made, ok := views[path]; !ok {
			t.Errorf("%s: no .templ file makes it", path)
		} else if !bytes.Equal(made, content) {
			t.Errorf("%s is not what templ makes: %s", path, generate)
		}
	})
	for path := range views {
		if !committed[path] {
			t.Errorf("%s is missing: %s", path, generate)
		}
	}
}

// makeView makes the Go file of a .templ file, as the command templ does. The command itself takes ten times as long to
// compile as these parts of it.
func makeView(t *testing.T, path string, content []byte) []byte {
	t.Helper()
	view, err := parser.ParseString(string(content))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	name, err := filepath.Rel("templates", path)
	if err != nil {
		t.Fatal(err)
	}
	var made bytes.Buffer
	_, err = generator.Generate(view, &made, generator.WithVersion(templ.Version()), generator.WithFileName(name))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	formatted, err := format.Source(made.Bytes())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return formatted
}
