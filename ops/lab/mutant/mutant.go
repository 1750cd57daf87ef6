// Package mutant builds the program with a deliberate mistake, to prove that an instrument finds it.
//
// **Input**: the source tree and [Edit]s of it. **Output**: the path of a program. **Must not touch**: the source tree:
// the compiler reads the edited files from elsewhere (go build -overlay).
package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const module = "flickrkillr"

// Edit replaces one piece of a source file.
type Edit struct {
	file     string // as seen from the root of the module, or of Go's own sources
	from, to string // from stands there exactly once
	goroot   bool   // file is one of Go's standard library
}

// Replace replaces, in a file named as seen from the root of the module, a text that stands there exactly once.
func Replace(file, from, to string) Edit { return Edit{file: file, from: from, to: to} }

// ReplaceLibrary is Replace for a file of Go's standard library, such as "time/time.go": of that which the program is
// built with, not of the one that is installed.
func ReplaceLibrary(file, from, to string) Edit {
	return Edit{file: file, from: from, to: to, goroot: true}
}

// One program can have several mistakes, of which each process makes at most one: that which its environment chooses.
const (
	chosenVariable    = "chosenMistake"  // of each package with an edit that uses Chosen
	chosenEnvironment = "CHOSEN_MISTAKE" // not KILLR_: a site keeps those from its processes
)

// Chosen is an expression of Go, for the new text of an edit: true in a process that makes this mistake.
func Chosen(mistake string) string { return fmt.Sprintf("(%s == %q)", chosenVariable, mistake) }

// Choose is the entry of the environment that makes a process, and those that it starts, make a mistake.
func Choose(mistake string) string { return chosenEnvironment + "=" + mistake }

// Root finds the source tree: the module that the working directory belongs to.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("a mutant needs Go, and the source tree as the working directory: go list: %w", err)
	}
	root, ok := strings.CutPrefix(strings.TrimSpace(string(out)), module+" ")
	if !ok {
		return "", fmt.Errorf("the working directory belongs to %s, not to the source tree of %s",
			strings.TrimSpace(string(out)), module)
	}
	return root, nil
}

// Build builds the program with some edits, or none, in the directory dir, and returns its path. It fails if the source
// no longer contains what is to be replaced. The program has no symbols for debuggers and was optimised without the
// profile, so that it is built in seconds. Like a release it needs no libraries of C.
func Build(ctx context.Context, root, dir string, edits []Edit) (program string, err error) {
	sources, err := apply(ctx, root, edits)
	if err != nil {
		return "", err
	}
	command, environ := "go", os.Environ()
	if slices.ContainsFunc(edits, func(e Edit) bool { return e.goroot }) {
		// The compiler replaces no file in the module cache, where downloaded toolchains are: it sees it elsewhere.
		goroot, err := goRoot(ctx, root)
		if err != nil {
			return "", err
		}
		link := filepath.Join(dir, "goroot")
		if err := os.Symlink(goroot, link); err != nil {
			return "", err
		}
		for path, source := range maps.Clone(sources) {
			if inside, ok := strings.CutPrefix(path, goroot+string(filepath.Separator)); ok {
				delete(sources, path)
				sources[filepath.Join(link, inside)] = source
			}
		}
		command = filepath.Join(link, "bin", "go")
		environ = append(environ, "GOROOT="+link, "GOTOOLCHAIN=local")
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for path, source := range sources {
		overlay.Replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(overlay.Replace[path], []byte(source), 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "killr")
	// The race detector, if the tests have it, would only be slow.
	flags := slices.DeleteFunc(strings.Fields(os.Getenv("GOFLAGS")), func(flag string) bool {
		return flag == "-race" || strings.HasPrefix(flag, "-gcflags=")
	})
	cmd := exec.CommandContext(
		ctx, command, "build", "-pgo=off", "-ldflags=-s -w", "-overlay", file, "-o", program, module,
	)
	cmd.Dir = root
	cmd.Env = append(environ, "GOFLAGS="+strings.Join(flags, " "), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(ctx.Err(), fmt.Errorf("go build of a mutant: %w\n%s", err, out))
	}
	return program, nil
}

// Check fails if the source no longer contains what the edits replace.
func Check(ctx context.Context, root string, edits []Edit) error {
	_, err := apply(ctx, root, edits)
	return err
}

// apply returns the edited files, and those that the edits need, by their paths.
func apply(ctx context.Context, root string, edits []Edit) (map[string]string, error) {
	sources, goroot := map[string]string{}, ""
	for _, e := range edits {
		path := filepath.Join(root, e.file)
		if e.goroot {
			if goroot == "" {
				var err error
				if goroot, err = goRoot(ctx, root); err != nil {
					return nil, err
				}
			}
			path = filepath.Join(goroot, "src", e.file)
		}
		if sources[path] == "" {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			sources[path] = string(b)
		}
		if n := strings.Count(sources[path], e.from); n != 1 {
			return nil, fmt.Errorf("%s has %q %d times: the mutant must follow the code", e.file, e.from, n)
		}
		sources[path] = strings.Replace(sources[path], e.from, e.to, 1)
		if strings.Contains(e.to, chosenVariable) {
			if err := declareChosen(sources, path); err != nil {
				return nil, err
			}
		}
	}
	return sources, nil
}

// declareChosen adds a file with the variable of Chosen to the package that a file belongs to.
func declareChosen(sources map[string]string, path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
	if err != nil {
		return err
	}
	sources[filepath.Join(filepath.Dir(path), "chosen_mistake.go")] = fmt.Sprintf(
		"package %s\n\nimport \"os\"\n\nvar %s = os.Getenv(%q)\n", file.Name.Name, chosenVariable, chosenEnvironment,
	)
	return nil
}

// goRoot is the folder of the Go that the module at root is built with.
func goRoot(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find Go's standard library: go env: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
