package photoimport

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// File is a picture that is open for reading at any place.
type File interface {
	io.ReaderAt
	io.Closer
}

// entry is a file in a folder or a zip file.
type entry struct {
	root string // the folder or zip file
	name string // in it, with slashes
	size int64
	open func() (File, error)
}

func (e *entry) base() string { return path.Base(e.name) }

// read reads a whole file of at most limit bytes.
func (e *entry) read(limit int64) ([]byte, error) {
	if e.size > limit {
		return nil, fmt.Errorf("%s has %d bytes unpacked: %d are the most that is read", e.name, e.size, limit)
	}
	file, err := e.open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, 0, e.size))
}

// maxFiles bounds how many files one import has: each takes a few hundred bytes of memory.
const maxFiles = 2_000_000

// files are what several folders and zip files have.
type files struct {
	all   []*entry
	most  int // that there may be
	zips  []io.Closer
	wrong []Problem
}

// add lists what a path has: a zip file, or a folder with files and zip files.
func (l *files) add(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return l.addZip(root)
	}
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case d == nil:
			return err
		case err != nil:
			l.wrong = append(l.wrong, Problem{name, err})
			return nil
		case name != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		case strings.EqualFold(filepath.Ext(name), ".zip"):
			if err := l.addZip(name); err != nil {
				l.wrong = append(l.wrong, Problem{name, err})
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			l.wrong = append(l.wrong, Problem{name, err})
			return nil
		}
		within, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return l.append(&entry{root: root, name: filepath.ToSlash(within), size: info.Size(),
			open: func() (File, error) { return os.Open(name) }})
	})
}

func (l *files) addZip(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	var r *zip.Reader
	if err == nil {
		r, err = zip.NewReader(file, info.Size())
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		_ = file.Close()
		return fmt.Errorf("%s is no zip file: %w", name, err)
	}
	l.zips = append(l.zips, file)
	for _, f := range r.File {
		if !f.FileInfo().Mode().IsRegular() {
			continue
		}
		if f.UncompressedSize64 > math.MaxInt64/2 {
			l.wrong = append(l.wrong, Problem{f.Name, errors.New("its length is impossible")})
			continue
		}
		if err := l.append(&entry{root: name, name: f.Name, size: int64(f.UncompressedSize64),
			open: func() (File, error) { return openZipped(file, f) }}); err != nil {
			return err
		}
	}
	return nil
}

func (l *files) append(e *entry) error {
	if len(l.all) == l.most {
		return fmt.Errorf("there are more than %d files: give fewer at once", l.most)
	}
	l.all = append(l.all, e)
	return nil
}

// openZipped opens a file in a zip file, unless it is damaged. One that is compressed is written to a temporary file
// first, of the length that the zip file says.
func openZipped(from *os.File, f *zip.File) (File, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f.Method == zip.Store {
		at, err := f.DataOffset()
		if err == nil {
			_, err = io.Copy(io.Discard, r) // compares the checksum
		}
		if err != nil {
			return nil, fmt.Errorf("the zip file is damaged: %w", err)
		}
		return stored{io.NewSectionReader(from, at, int64(f.UncompressedSize64))}, nil
	}
	file, err := os.CreateTemp("", "killr-import")
	if err != nil {
		return nil, err
	}
	t := temporary{file}
	n, err := io.Copy(file, io.LimitReader(r, int64(f.UncompressedSize64)+1)) // compares the checksum at the end
	if err == nil && n != int64(f.UncompressedSize64) {
		err = errors.New("the file has another length than the zip file says")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the zip file is damaged: %w", err), t.Close())
	}
	return t, nil
}

type stored struct{ *io.SectionReader }

func (stored) Close() error { return nil }

type temporary struct{ *os.File }

func (t temporary) Close() error { return errors.Join(t.File.Close(), os.Remove(t.Name())) }
