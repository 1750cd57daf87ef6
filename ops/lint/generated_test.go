package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// generate makes the views anew. Where it is run from matters: the paths in errors are relative to -path.
const generate = "run go tool -modfile=ops/tools/go.mod templ generate -path templates"

// The committed views are what templ makes of the .templ files, no more and no less.
func TestGeneratedViews(t *testing.T) {
	t.Parallel()
	templ := tool(t, "templ")
	fresh := t.TempDir()
	sources(t, ".templ", func(path string, content []byte) {
		to := filepath.Join(fresh, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if out, err := command(t, nil, templ, "generate", "-path", filepath.Join(fresh, "templates")); err != nil {
		t.Fatalf("templ generate: %v\n%s", err, out)
	}
	committed := map[string]bool{}
	sources(t, "_templ.go", func(path string, content []byte) {
		committed[path] = true
		made, err := os.ReadFile(filepath.Join(fresh, path))
		if err != nil {
			t.Errorf("%s: no .templ file makes it: %v", path, err)
		} else if !bytes.Equal(made, content) {
			t.Errorf("%s is not what templ makes: %s", path, generate)
		}
	})
	sources(t, ".templ", func(path string, _ []byte) {
		if made := strings.TrimSuffix(path, ".templ") + "_templ.go"; !committed[made] {
			t.Errorf("%s is missing: %s", made, generate)
		}
	})
}
