package zipfile_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"flickrkillr/schema/zipfile"
)

var modified = time.Date(2026, 11, 30, 12, 34, 56, 0, time.UTC)

// build makes a whole zip file.
func build(t *testing.T, files map[string][]byte, names []string) []byte {
	t.Helper()
	var b, directory []byte
	var mark zipfile.Mark
	for _, name := range names {
		e := zipfile.Entry{Name: name, Size: int64(len(files[name])), CRC32: crc32.ChecksumIEEE(files[name]),
			Modified: modified}
		if int64(len(b)) != mark.Local || int64(len(directory)) != mark.Directory {
			t.Fatalf("%s is at %d and %d, not at %+v", name, len(b), len(directory), mark)
		}
		directory = e.AppendDirectory(directory, mark.Local)
		b = append(e.AppendLocal(b), files[name]...)
		mark.Add(&e)
	}
	b = mark.AppendEnd(append(b, directory...))
	if int64(len(b)) != mark.Size() {
		t.Fatalf("%d bytes, want %d", len(b), mark.Size())
	}
	return b
}

// TestZip: other programs read what is written.
func TestZip(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"photos.json": []byte("{}"), "photos/Zürich 夜明け.jpg": bytes.Repeat([]byte("x"), 100_000),
		"photos/empty.jpg": {}}
	names := []string{"photos/Zürich 夜明け.jpg", "photos/empty.jpg", "photos.json"}
	data := build(t, files, names)
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != len(names) {
		t.Fatalf("%d files", len(r.File))
	}
	for i, f := range r.File {
		got, err := fs(f)
		if err != nil || f.Name != names[i] || !bytes.Equal(got, files[f.Name]) || !f.Modified.Equal(modified) ||
			f.Method != zip.Store || f.Mode() != 0o644 || f.NonUTF8 {
			t.Errorf("%s: %d bytes, %v, %v, %v, %v", f.Name, len(got), err, f.Modified, f.Mode(), f.NonUTF8)
		}
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"unzip", "-tqq", path},
		{"python3", "-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; " +
			"assert len(z.namelist()) == 3", path}} {
		program, err := exec.LookPath(command[0])
		if err != nil {
			t.Logf("%s is not there", command[0])
			continue
		}
		if out, err := exec.CommandContext(t.Context(), program, command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", command[0], err, out)
		}
	}
}

func fs(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// virtual is a zip file whose files have the same byte throughout and take no memory.
type virtual struct {
	entries []zipfile.Entry
	marks   []zipfile.Mark // before each entry, and behind the last
	tail    []byte
}

func newVirtual(entries []zipfile.Entry) *virtual {
	v := &virtual{entries: entries, marks: []zipfile.Mark{{}}}
	for i := range entries {
		mark := v.marks[i]
		v.tail = entries[i].AppendDirectory(v.tail, mark.Local)
		mark.Add(&entries[i])
		v.marks = append(v.marks, mark)
	}
	v.tail = v.marks[len(entries)].AppendEnd(v.tail)
	return v
}

func (v *virtual) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		at := at + int64(n)
		last := v.marks[len(v.entries)]
		if at >= last.Local {
			copied := copy(p[n:], v.tail[min(at-last.Local, int64(len(v.tail))):])
			if n += copied; copied == 0 {
				return n, io.EOF
			}
			continue
		}
		i := sort.Search(len(v.entries), func(i int) bool { return v.marks[i+1].Local > at })
		head := v.entries[i].AppendLocal(nil)
		from := at - v.marks[i].Local
		if from < int64(len(head)) {
			n += copy(p[n:], head[from:])
			continue
		}
		left := v.marks[i+1].Local - at
		fill := p[n:min(int64(len(p)), int64(n)+left)]
		clear(fill)
		n += len(fill)
	}
	return n, nil
}

// TestZip64: what is beyond 4 GiB, and beyond 65,535 files, is read by others, too.
func TestZip64(t *testing.T) {
	t.Parallel()
	var many []zipfile.Entry
	for i := range 70_000 {
		many = append(many, zipfile.Entry{Name: fmt.Sprintf("photos/%d.jpg", i), Size: 3, CRC32: crc32.ChecksumIEEE(
			[]byte{0, 0, 0})})
	}
	for name, entries := range map[string][]zipfile.Entry{
		"many": many,
		"far":  {{Name: "a", Size: 3 << 30}, {Name: "b", Size: 3 << 30}, {Name: "c", Size: 1}},
		"large": {{Name: "a", Size: 5 << 30}, {Name: "b", Size: 7 << 30},
			{Name: "c", Size: 1<<32 - 1}, {Name: "d", Size: 1<<32 - 2}, {Name: "e"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVirtual(entries)
			size := v.marks[len(entries)].Size()
			r, err := zip.NewReader(v, size)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.File) != len(entries) {
				t.Fatalf("%d files", len(r.File))
			}
			for i, f := range r.File {
				at, err := f.DataOffset()
				if want := v.marks[i].Local + entries[i].LocalSize(); err != nil || at != want ||
					f.Name != entries[i].Name || f.UncompressedSize64 != uint64(entries[i].Size) {
					t.Fatalf("%s: at %d, want %d, %d bytes, %v", f.Name, at, want, f.UncompressedSize64, err)
				}
			}
			last := r.File[len(r.File)-1]
			if last.CRC32 == 0 { // the checksums of large files are not computed here
				return
			}
			if _, err := fs(last); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ at, want string }{
		{"1969-07-20T20:17:40Z", "1980-01-01T00:00:00Z"}, {"2300-01-01T00:00:00Z", "2107-12-31T23:59:58Z"},
		{"2026-11-30T23:59:59+02:00", "2026-11-30T21:59:58Z"}, {"0001-01-01T00:00:00Z", "1980-01-01T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		v := newVirtual([]zipfile.Entry{{Name: "a", Modified: at}})
		r, err := zip.NewReader(v, v.marks[1].Size())
		if err != nil {
			t.Fatal(err)
		}
		if got := r.File[0].Modified.UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s becomes %s, want %s", c.at, got, c.want)
		}
	}
}
