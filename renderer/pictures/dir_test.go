package pictures_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
)

// A link planted in the store must not lead out of it.
func TestDirDoesNotFollowLinksOut(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	inside := filepath.Join(base, "store")
	id := pictures.ID([]byte("x"))
	for _, folder := range []string{outside, inside} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, id), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(inside, id[:2])); err != nil {
		t.Fatal(err)
	}
	dir, err := pictures.OpenDir(inside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, dir.Close()) })
	if r, err := dir.Open(t.Context(), id); err == nil {
		check(t, r.Close())
		t.Error("a link led out of the store")
	}
	if err := dir.Put(t.Context(), id, strings.NewReader("y")); err == nil {
		t.Error("a picture was written through a link")
	}
}

// A copy that fails half way leaves nothing behind: neither a picture nor a temporary file.
func TestDirPutLeavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	dir, err := pictures.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, dir.Close()) })
	id := pictures.ID([]byte("x"))
	broken := errors.New("cable pulled")
	half := io.MultiReader(strings.NewReader("half a picture"),
		readerFunc(func([]byte) (int, error) { return 0, broken }))
	if err := dir.Put(t.Context(), id, half); !errors.Is(err, broken) {
		t.Errorf("Put = %v, want the reader's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dir.Put(ctx, id, strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	if _, err := dir.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v, want fs.ErrNotExist", err)
	}
	left, err := os.ReadDir(filepath.Join(path, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestOpenDirSweepsOldTemporaries(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.Mkdir(filepath.Join(path, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(path, "tmp", "old"), filepath.Join(path, "tmp", "young")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	dir, err := pictures.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, dir.Close()) })
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old temporary file is still there (%v)", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young temporary file is gone: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
