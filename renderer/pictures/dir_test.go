package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
)

func TestDirKeepsWhatIsPut(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	id := pictures.ID([]byte("first"))
	for _, content := range []string{"first", "first, replaced"} {
		if err := dir.Put(t.Context(), id, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if got := readStored(t, dir, id); string(got) != content {
			t.Errorf("stored %q, want %q", got, content)
		}
	}
	if err := dir.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open after delete: %v, want fs.ErrNotExist", err)
	}
	if err := dir.Delete(t.Context(), id); err != nil {
		t.Errorf("second delete: %v", err)
	}
}

func TestDirRefusesNamesThatAreNoIDs(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	good := pictures.ID([]byte("x"))
	for _, id := range []string{
		"", "..", "../../etc/passwd", good[:25], good + "a", strings.ToUpper(good), "../" + good[3:],
		good[:24] + "/x", good[:24] + "%2e", good[:25] + "\x00", good[:25] + "\n", good[:23] + "\u202e",
		strings.Repeat("a", 4096), good[:25] + "1",
	} {
		if err := dir.Put(t.Context(), id, strings.NewReader("x")); !errors.Is(err, pictures.ErrBadID) {
			t.Errorf("Put(%q) = %v, want ErrBadID", id, err)
		}
		if _, err := dir.Open(t.Context(), id); !errors.Is(err, pictures.ErrBadID) {
			t.Errorf("Open(%q) = %v, want ErrBadID", id, err)
		}
		if err := dir.Delete(t.Context(), id); !errors.Is(err, pictures.ErrBadID) {
			t.Errorf("Delete(%q) = %v, want ErrBadID", id, err)
		}
	}
}

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

// Many writers and readers of one id: every reader sees one whole version.
func TestDirIsNeverHalf(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	id := pictures.ID([]byte("x"))
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 200_000) }
	if err := dir.Put(t.Context(), id, bytes.NewReader(version(0))); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5 {
				if err := dir.Put(t.Context(), id, bytes.NewReader(version(i))); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				got := readStored(t, dir, id)
				if len(got) != 200_000 || !bytes.Equal(got, bytes.Repeat(got[:1], 200_000)) {
					t.Error("a reader saw a mixture")
				}
			}
		})
	}
	wg.Wait()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
