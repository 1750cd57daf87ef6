package testenv

import (
	"context"
	"sync"
	"testing"

	"flickrkillr/ops/lab/mutant"
)

var built struct {
	sync.Once
	path string
	err  error
}

// Program builds killr, once for all tests of a package, and returns its path. It is built without the race detector,
// even if the tests run with it: painting would take ten times as long.
func Program(t testing.TB) string {
	t.Helper()
	dir := SharedDir(t)
	built.Do(func() {
		ctx := context.Background() // of the package, and not of the test that comes first
		root, err := mutant.Root(ctx)
		if err != nil {
			built.err = err
			return
		}
		built.path, built.err = mutant.Build(ctx, root, dir, nil)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}
