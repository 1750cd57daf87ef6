package pictures_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

const uploadID = "abcdefghijklmnopqrstuvwxyz"

// file is a file of several pieces, the last of which is shorter.
func file(pieces int) []byte {
	data := make([]byte, pieces*pictures.MaxPiece-1000)
	for i := range data {
		data[i] = byte(i>>9) ^ byte(i)
	}
	return data
}

func stage(ctx context.Context, dir pictures.Staging, u pictures.Upload, data []byte, offset int64) error {
	return dir.Write(ctx, u, offset, data[offset:min(int(offset)+pictures.MaxPiece, len(data))])
}

// stageAgain is stage of a piece of a file that was assembled. A process that another test starts just then has the
// file's lock, too, until it runs its program.
func stageAgain(t *testing.T, dir pictures.Staging, u pictures.Upload, data []byte, offset int64) (err error) {
	t.Helper()
	testenv.Eventually(t, "nobody has the lock", func() bool {
		err = stage(t.Context(), dir, u, data, offset)
		return !errors.Is(err, pictures.ErrBusy)
	})
	return err
}

// assembled is what Assemble says of a file.
func assembled(t *testing.T, dir pictures.Staging, u pictures.Upload, length int64) ([]byte, error) {
	t.Helper()
	file, err := dir.Assemble(t.Context(), u, length)
	if err != nil {
		return nil, err
	}
	data := slices.Clone(file.Data())
	want := pictures.Checksums{SHA256: sha256.Sum256(data), CRC32: crc32.ChecksumIEEE(data)}
	if sums := file.Checksums(); sums != want {
		t.Errorf("checksums of %d bytes are %x, want %x", len(data), sums, want)
	}
	return data, file.Close()
}

// TestStaging: pieces may come in any order, at once, twice, and through two openings of one store. What is there
// counts from the beginning.
func TestStaging(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		first, second := open(), open()
		data, u := file(5), pictures.Upload{User: 7, ID: uploadID}
		for range 2 {
			if err := first.Begin(t.Context(), u, int64(len(data))); err != nil {
				t.Fatal(err)
			}
		}
		for _, offset := range []int64{4, 3, 0} {
			if err := stage(t.Context(), second, u, data, offset*pictures.MaxPiece); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := first.Stored(t.Context(), u); err != nil || n != pictures.MaxPiece {
			t.Errorf("%d bytes are stored (%v), want the first piece: the second is missing", n, err)
		}
		if _, err := assembled(t, first, u, int64(len(data))); !errors.Is(err, pictures.ErrMissingPiece) {
			t.Errorf("read what is not complete: %v", err)
		}
		var group errgroup.Group
		for _, dir := range []pictures.Files{first, second, first} {
			for offset := int64(0); offset < int64(len(data)); offset += pictures.MaxPiece {
				group.Go(func() error { return stage(t.Context(), dir, u, data, offset) })
			}
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if n, err := first.Stored(t.Context(), u); err != nil || n != int64(len(data)) {
			t.Errorf("%d bytes are stored (%v), want %d", n, err, len(data))
		}
		if got, err := assembled(t, second, u, int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes (%v), not the file of %d", len(got), err, len(data))
		}
		if all, err := first.Staged(t.Context()); err != nil || len(all) != 1 || all[0] != u {
			t.Errorf("staged: %v (%v)", all, err)
		}
		if err := first.Discard(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if err := first.Discard(t.Context(), u); err != nil {
			t.Errorf("discard twice: %v", err)
		}
		_, read := assembled(t, second, u, int64(len(data)))
		_, stored := second.Stored(t.Context(), u)
		for what, err := range map[string]error{
			"write": stage(t.Context(), second, u, data, 0), "read": read, "stored": stored,
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s after discarding: %v, want fs.ErrNotExist", what, err)
			}
		}
		if all, err := first.Staged(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("left in the staging area: %v (%v)", all, err)
		}
	})
}

// TestStagingRefusesPieces: a piece begins where one can, and has the length that it has there.
func TestStagingRefusesPieces(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		dir := open()
		known, unknown := pictures.Upload{User: 1, ID: uploadID}, pictures.Upload{User: 2, ID: uploadID}
		const length = pictures.MaxPiece + 10
		for u, n := range map[pictures.Upload]int64{known: length, unknown: 0} {
			if err := dir.Begin(t.Context(), u, n); err != nil {
				t.Fatal(err)
			}
		}
		data := make([]byte, pictures.MaxPiece+1)
		for _, c := range []struct {
			u      pictures.Upload
			offset int64
			size   int
			ok     bool
		}{
			{known, 0, pictures.MaxPiece, true},
			{known, pictures.MaxPiece, 10, true},
			{known, 0, 10, false},
			{known, pictures.MaxPiece, 11, false},
			{known, 2 * pictures.MaxPiece, 10, false},
			{known, 1, 10, false},
			{known, -pictures.MaxPiece, 10, false},
			{unknown, 0, 0, false},
			{unknown, 0, pictures.MaxPiece + 1, false},
			{unknown, 3 * pictures.MaxPiece, 5, true},
			{unknown, pictures.MaxFile, 1, false},
			{unknown, 1 << 62, 1, false},
		} {
			err := dir.Write(t.Context(), c.u, c.offset, data[:c.size])
			if c.ok != (err == nil) || !c.ok && !errors.Is(err, pictures.ErrBadPiece) {
				t.Errorf("%d bytes at %d of user %d: %v", c.size, c.offset, c.u.User, err)
			}
		}
		// A length that was not known becomes known, and stays.
		for _, n := range []int64{length, 0, 5} {
			if err := dir.Begin(t.Context(), unknown, n); err != nil {
				t.Fatal(err)
			}
		}
		err := dir.Write(t.Context(), unknown, 3*pictures.MaxPiece, data[:5])
		if !errors.Is(err, pictures.ErrBadPiece) {
			t.Errorf("behind the end that is known by now: %v", err)
		}
		for _, u := range []pictures.Upload{{0, uploadID}, {-1, uploadID}, {1, "../" + uploadID[3:]}, {1, ""}} {
			_, stored := dir.Stored(t.Context(), u)
			_, read := assembled(t, dir, u, 1)
			for _, err := range []error{dir.Begin(t.Context(), u, 1), dir.Write(t.Context(), u, 0, data[:1]), stored,
				read, dir.Discard(t.Context(), u)} {
				if !errors.Is(err, pictures.ErrBadID) {
					t.Errorf("%v: %v", u, err)
				}
			}
		}
	})
}

// TestStagingFindsDamage: a piece that a crash has damaged counts as missing, and is taken again.
func TestStagingFindsDamage(t *testing.T) {
	t.Parallel()
	data, u := file(2), pictures.Upload{User: 7, ID: uploadID}
	for name, damage := range map[string]func(all []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"short":   func(all []byte) []byte { return all[:pictures.MaxPiece-1] },
		"zeroes":  func(all []byte) []byte { clear(all[:pictures.MaxPiece]); return all },
		"one bit": func(all []byte) []byte { all[1000] ^= 1; return all },
	} {
		path := t.TempDir()
		dir := openAt(t, path)
		if err := dir.Begin(t.Context(), u, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []int64{0, pictures.MaxPiece} {
			if err := stage(t.Context(), dir, u, data, offset); err != nil {
				t.Fatal(err)
			}
		}
		stored := filepath.Join(path, "staging", "7", uploadID, "data")
		all, err := os.ReadFile(stored)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stored, damage(all), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := dir.Stored(t.Context(), u); err != nil || n%pictures.MaxPiece != 0 && n != int64(len(data)) {
			t.Errorf("%s: no piece can follow %d bytes (%v)", name, n, err)
		}
		if _, err := assembled(t, dir, u, int64(len(data))); !errors.Is(err, pictures.ErrMissingPiece) {
			t.Errorf("%s: %v, want ErrMissingPiece", name, err)
		}
		if n, err := dir.Stored(t.Context(), u); err != nil || n != 0 {
			t.Errorf("%s: %d bytes count as stored (%v)", name, n, err)
		}
		for _, offset := range []int64{0, pictures.MaxPiece} { // what is cut takes along all behind it
			if err := stageAgain(t, dir, u, data, offset); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := assembled(t, dir, u, int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: sent again: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestStagingKeeps: a file becomes an original without being copied, once and again. From then on its pieces stay as
// they are, and the original stays when the upload goes. While a file is assembled nobody changes a piece, and who
// assembles it beside another copies it.
func TestStagingKeeps(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	first, second := openAt(t, path), openAt(t, path)
	data, u := file(2), pictures.Upload{User: 7, ID: uploadID}
	id := pictures.ID(data)
	if err := first.Begin(t.Context(), u, 0); err != nil {
		t.Fatal(err)
	}
	behind := int64(3 * pictures.MaxPiece) // where no piece belongs once the length is known
	if err := first.Write(t.Context(), u, behind, data[:5]); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{0, pictures.MaxPiece} {
		if err := stage(t.Context(), first, u, data, offset); err != nil {
			t.Fatal(err)
		}
	}
	names := func(file string) (os.FileInfo, uint64) {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info, uint64(info.Sys().(*syscall.Stat_t).Nlink)
	}
	staged, original := filepath.Join(path, "staging", "7", uploadID, "data"), filepath.Join(path, id[:2], id)
	one, err := first.Assemble(t.Context(), u, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := stage(t.Context(), second, u, data, 0); !errors.Is(err, pictures.ErrBusy) {
		t.Errorf("a piece is written while the file is assembled: %v", err)
	}
	other, err := second.Assemble(t.Context(), u, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for n, file := range []pictures.Assembled{other, one} { // both copy: somebody else assembles it; there is one
		if !bytes.Equal(file.Data(), data) {
			t.Errorf("assembled %d: %d bytes are not the file", n, len(file.Data()))
		}
		if err := file.Keep(t.Context(), []pictures.Store{second, first}[n], id); err != nil {
			t.Fatal(err)
		}
		if _, links := names(original); links != 1 {
			t.Errorf("original %d has %d names: it is no copy", n, links)
		}
	}
	if err := first.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := one.Keep(t.Context(), first, id); err != nil {
			t.Fatal(err)
		}
		a, links := names(original)
		if b, _ := names(staged); !os.SameFile(a, b) || links != 2 {
			t.Errorf("the original has %d names: it is a copy", links)
		}
	}
	if err := errors.Join(one.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	if err := stageAgain(t, second, u, data, 0); err != nil {
		t.Errorf("a piece that comes again: %v", err)
	}
	if _, err := assembled(t, second, u, pictures.MaxPiece); !errors.Is(err, pictures.ErrMissingPiece) {
		t.Errorf("the first piece of an original as a whole file: %v", err)
	}
	changed := bytes.Clone(data[:pictures.MaxPiece])
	changed[0]++
	if err := second.Write(t.Context(), u, 0, changed); !errors.Is(err, pictures.ErrBadPiece) {
		t.Errorf("a piece of an original is changed: %v", err)
	}
	if err := second.Discard(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := readStored(t, first, id); !bytes.Equal(got, data) {
		t.Errorf("the original is %d bytes, not the file", len(got))
	}
}

// TestStagedRemovesWhatWasDiscarded by a process that was killed then.
func TestStagedRemovesWhatWasDiscarded(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	dir := openAt(t, path)
	half := filepath.Join(path, "staging", "discarded."+strings.ToUpper(uploadID))
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if all, err := dir.Staged(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("staged: %v (%v)", all, err)
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func openAt(t testing.TB, path string) *pictures.Dir {
	t.Helper()
	dir, err := pictures.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return dir
}
