package testenv

import (
	"context"
	"os"
	"sync"
	"testing"
)

// Prepared is a database that is filled once in a test process, and of which each test gets a copy of its own. Its zero
// value is ready; a process may have one.
type Prepared struct {
	once sync.Once
	err  error
}

// URL makes a copy, dropped when the test ends, and returns how its owner connects to it. The first caller's fill fills
// the migrated database at the URL it is given, and leaves no connection to it; the others wait.
func (p *Prepared) URL(t testing.TB, fill func(ctx context.Context, url string) error) string {
	t.Helper()
	c := cluster(t)
	const name = "prepared"
	p.once.Do(func() {
		ctx := context.WithoutCancel(t.Context()) // it outlives the test that comes first
		if p.err = adminExec(ctx, c, "create database "+name+" owner killr template "+template); p.err == nil {
			p.err = fill(ctx, c.URLFor(name))
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return newDatabase(t, name)
}

// sharedDir is what Main removes; path is "" until a test wants it.
var sharedDir struct {
	mu   sync.Mutex
	path string
}

// SharedDir is a directory that lives as long as the test process.
func SharedDir(t testing.TB) string {
	t.Helper()
	sharedDir.mu.Lock()
	defer sharedDir.mu.Unlock()
	if sharedDir.path == "" {
		dir, err := os.MkdirTemp("", "killr-test-")
		if err != nil {
			t.Fatal(err)
		}
		sharedDir.path = dir
	}
	return sharedDir.path
}

func removeSharedDir() error {
	sharedDir.mu.Lock()
	defer sharedDir.mu.Unlock()
	if sharedDir.path == "" {
		return nil
	}
	return os.RemoveAll(sharedDir.path)
}
