package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// inFiles runs a test on each kind of store, and on two together. open opens the same store again.
func inFiles(t *testing.T, test func(t *testing.T, open func() pictures.Files)) {
	t.Helper()
	inPlaces(t, test)
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		first, second := testenv.S3Bucket(t), t.TempDir()
		test(t, func() pictures.Files { return pictures.OpenBoth(openFiles(t, first), openFiles(t, second)) })
	})
}

// inPlaces runs a test on each kind of store.
func inPlaces(t *testing.T, test func(t *testing.T, open func() pictures.Files)) {
	t.Helper()
	for kind, where := range map[string]func(t *testing.T) string{
		"directory": func(t *testing.T) string { return t.TempDir() },
		"bucket":    func(t *testing.T) string { return testenv.S3Bucket(t) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			location := where(t)
			test(t, func() pictures.Files { return openFiles(t, location) })
		})
	}
}

func openFiles(t testing.TB, location string) pictures.Files {
	t.Helper()
	store, err := pictures.OpenFiles(location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, store.Close()) })
	return store
}

// listed names the files of a store behind a name.
func listed(t testing.TB, store pictures.Files, after string) (names []string) {
	t.Helper()
	for f, err := range store.List(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	return names
}

func TestFilesKeepsWhatIsPut(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		id := pictures.ID([]byte("first"))
		for _, content := range []string{"first", "first, replaced"} {
			if err := store.Put(t.Context(), id, strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			if got := readStored(t, store, id); string(got) != content {
				t.Errorf("stored %q, want %q", got, content)
			}
		}
		if err := store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open after delete: %v, want fs.ErrNotExist", err)
		}
		if err := store.Delete(t.Context(), id); err != nil {
			t.Errorf("second delete: %v", err)
		}
	})
}

func TestFilesRefusesNamesThatAreNoIDs(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		good := pictures.ID([]byte("x"))
		for _, id := range []string{
			"", "..", "../../etc/passwd", good[:25], good + "a", strings.ToUpper(good), "../" + good[3:],
			good[:24] + "/x", good[:24] + "%2e", good[:25] + "\x00", good[:25] + "\n", good[:23] + "\u202e",
			strings.Repeat("a", 4096), good[:25] + "1",
		} {
			if err := store.Put(t.Context(), id, strings.NewReader("x")); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Put(%q) = %v, want ErrBadID", id, err)
			}
			if _, err := store.Open(t.Context(), id); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Open(%q) = %v, want ErrBadID", id, err)
			}
			if err := store.Delete(t.Context(), id); !errors.Is(err, pictures.ErrBadID) {
				t.Errorf("Delete(%q) = %v, want ErrBadID", id, err)
			}
		}
	})
}

// A copy that fails half way leaves nothing behind: neither a picture nor a temporary file.
func TestFilesPutLeavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		id := pictures.ID([]byte("x"))
		broken := errors.New("cable pulled")
		half := io.MultiReader(strings.NewReader("half a picture"),
			readerFunc(func([]byte) (int, error) { return 0, broken }))
		if err := store.Put(t.Context(), id, half); !errors.Is(err, broken) {
			t.Errorf("Put = %v, want the reader's error", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := store.Put(ctx, id, strings.NewReader("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v, want context.Canceled", err)
		}
		if _, err := store.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open = %v, want fs.ErrNotExist", err)
		}
		if left := listed(t, store, ""); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// Many writers and readers of one id: every reader sees one whole version.
func TestFilesIsNeverHalf(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		id := pictures.ID([]byte("x"))
		version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 200_000) }
		if err := store.Put(t.Context(), id, bytes.NewReader(version(0))); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 5 {
					if err := store.Put(t.Context(), id, bytes.NewReader(version(i))); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range 20 {
					got := readStored(t, store, id)
					if len(got) != 200_000 || !bytes.Equal(got, bytes.Repeat(got[:1], 200_000)) {
						t.Error("a reader saw a mixture")
					}
				}
			})
		}
		wg.Wait()
	})
}

// BenchmarkUploads takes files of 5 MB to originals.
func BenchmarkUploads(b *testing.B) {
	data := file(10)
	for kind, where := range map[string]string{"directory": b.TempDir(), "bucket": testenv.S3Bucket(b)} {
		b.Run(kind, func(b *testing.B) {
			store, u := openFiles(b, where), pictures.Upload{User: 1, ID: uploadID}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				err := store.Begin(b.Context(), u, int64(len(data)))
				for offset := int64(0); err == nil && offset < int64(len(data)); offset += pictures.MaxPiece {
					err = stage(b.Context(), store, u, data, offset)
				}
				if err != nil {
					b.Fatal(err)
				}
				whole, err := store.Assemble(b.Context(), u, int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				err = errors.Join(whole.Keep(b.Context(), store, pictures.ID(data)), whole.Close(),
					store.Discard(b.Context(), u), store.Delete(b.Context(), pictures.ID(data)))
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
