package mutant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEdits: an edit must find what it replaces exactly once, and several may change one file.
func TestEdits(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "a.go")
	if err := os.WriteFile(path, []byte("one two two three"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edits      []Edit
		want, says string
	}{
		"two in one file": {[]Edit{Replace("a.go", "one", "1"), Replace("a.go", "three", "3")}, "1 two two 3", ""},
		"not there":       {[]Edit{Replace("a.go", "four", "4")}, "", "0 times"},
		"twice":           {[]Edit{Replace("a.go", "two", "2")}, "", "2 times"},
		"no such file":    {[]Edit{Replace("b.go", "one", "1")}, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources, err := apply(t.Context(), root, c.edits)
			if err == nil && c.says == "" && sources[path] == c.want {
				return
			}
			if c.says == "" || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v; want %q, %q", sources[path], err, c.want, c.says)
			}
		})
	}
}

// TestChosen: a package with an edit that depends on the chosen mistake gets a file that declares the variable.
func TestChosen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("package a // one"), 0o600); err != nil {
		t.Fatal(err)
	}
	sources, err := apply(t.Context(), root, []Edit{Replace("a.go", "// one", "var bad = "+Chosen("a mistake"))})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.go":              `package a var bad = (chosenMistake == "a mistake")`,
		"chosen_mistake.go": "package a\n\nimport \"os\"\n\nvar chosenMistake = os.Getenv(\"CHOSEN_MISTAKE\")\n",
	} {
		if got := sources[filepath.Join(root, name)]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := Choose("a mistake"); got != "CHOSEN_MISTAKE=a mistake" {
		t.Errorf("the environment's entry is %q", got)
	}
}

// TestLibrary: the standard library can be edited too.
func TestLibrary(t *testing.T) {
	t.Parallel()
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const from = "func Now() Time {"
	sources, err := apply(t.Context(), root, []Edit{ReplaceLibrary("time/time.go", from, from+" // edited")})
	if err != nil || len(sources) != 1 {
		t.Fatalf("%d files, %v", len(sources), err)
	}
	for path, source := range sources {
		if !strings.HasSuffix(path, "/src/time/time.go") || !strings.Contains(source, from+" // edited") {
			t.Errorf("%s is not edited", path)
		}
	}
}

// TestRoot: the tests of this package run within the source tree.
func TestRoot(t *testing.T) {
	t.Parallel()
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Error(err)
	}
}
