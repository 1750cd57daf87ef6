package lint

import (
	"bytes"
	"errors"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the module's folder, seen from here.
const root = "../.."

// command runs a command in the module's folder and returns all it said.
func command(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), err
}

// mustSayNothing fails the test with what a checker said.
func mustSayNothing(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := command(t, nil, name, args...); err != nil || out != "" {
		t.Errorf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
}

// building is held while a tool is built: two at once would both compile what they share.
var building sync.Mutex

// tool builds a tool of ops/tools, or finds it in the build cache, and returns its path. The race detector, if GOFLAGS
// asks for it, is for our code: a tool would only be slow.
func tool(t *testing.T, name string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	out, err := command(t, []string{"GOFLAGS=", "CGO_ENABLED=0"}, "go", "tool", "-modfile=ops/tools/go.mod", "-n", name)
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n") // downloads are told first
	return lines[len(lines)-1]
}

// sources calls f with every file of ours that ends in suffix; path is seen from the module's folder.
func sources(t *testing.T, suffix string, f func(path string, content []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, suffix) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		n++
		f(path, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Errorf("no file ends in %s: the check looks in the wrong place", suffix)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	sources(t, ".go", func(path string, content []byte) {
		formatted, err := format.Source(content)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if !bytes.Equal(formatted, content) {
			t.Errorf("%s: not formatted: run gofmt -w %s", path, path)
		}
	})
}

// vetted is what go vet says, once.
var vetted struct {
	sync.Once
	said string
	err  error
}

// vet runs go vet, or waits for it. It compiles all packages with their tests: two programs that need them at once
// would both do so.
func vet(t *testing.T) (string, error) {
	t.Helper()
	vetted.Do(func() { vetted.said, vetted.err = command(t, nil, "go", "vet", "./...") })
	return vetted.said, vetted.err
}

func TestVet(t *testing.T) {
	t.Parallel()
	if said, err := vet(t); err != nil || said != "" {
		t.Errorf("go vet: %v\n%s", err, said)
	}
}

// TestStaticcheck: staticcheck reads every package that ours import, with a heap for which the garbage collector takes
// 29% of its processor time by default.
func TestStaticcheck(t *testing.T) {
	t.Parallel()
	env := []string{"GOGC=400", "GOMEMLIMIT=3GiB"}
	_, _ = vet(t) // what it says is for TestVet; staticcheck reads what it has compiled
	if out, err := command(t, env, tool(t, "staticcheck"), "./..."); err != nil || out != "" {
		t.Errorf("staticcheck: %v\n%s", err, out)
	}
}

// TestShell parses every shell script: .ci/run, what setup runs as root, and what hosts run, which have bash.
func TestShell(t *testing.T) {
	t.Parallel()
	sources(t, ".sh", func(path string, _ []byte) {
		shell := "sh"
		if strings.HasPrefix(path, "ops/deploy/") {
			shell = "bash"
		}
		mustSayNothing(t, shell, "-n", path)
	})
	mustSayNothing(t, "bash", "-n", ".ci/run")
}
