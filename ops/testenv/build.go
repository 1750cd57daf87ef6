package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var built struct {
	sync.Once
	err error
}

// Program builds killr, once for all tests of a package, and returns its path.
func Program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(SharedDir(t), "killr")
	built.Do(func() { built.err = BuildProgram(path) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return path
}

// BuildProgram builds killr as a file, with further flags of go build. It is built without the compiler's profile,
// which takes a minute and changes nothing that is tested, and without the race detector, even if the tests run with
// it: painting would take ten times as long.
func BuildProgram(path string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-pgo=off", "-o", path}, flags...), "flickrkillr")...)
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.ReplaceAll(os.Getenv("GOFLAGS"), "-race", ""))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
