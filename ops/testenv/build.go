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

// Program builds killr, once for all tests of a package, and returns its path. It is built without the compiler's
// profile, which takes a minute and changes nothing that is tested, and without the race detector, even if the tests
// run with it: painting would take ten times as long.
func Program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(SharedDir(t), "killr")
	built.Do(func() {
		cmd := exec.Command("go", "build", "-pgo=off", "-o", path, "flickrkillr")
		cmd.Env = append(os.Environ(), "GOFLAGS="+strings.ReplaceAll(os.Getenv("GOFLAGS"), "-race", ""))
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return path
}
