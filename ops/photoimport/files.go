package photoimport

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		return nil, fmt.Errorf("%s has %d bytes, which is too long", e.name, e.size)
	}
	file, err := e.open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, 0, e.size))
}

// files are what several folders and zip files have.
type files struct {
	all   []*entry
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
		l.all = append(l.all, &entry{root: root, name: filepath.ToSlash(within), size: info.Size(),
			open: func() (File, error) { return os.Open(name) }})
		return nil
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
		l.all = append(l.all, &entry{root: name, name: f.Name, size: int64(f.UncompressedSize64),
			open: func() (File, error) { return openZipped(file, f) }})
	}
	return nil
}

// openZipped opens a file in a zip file. One that is compressed is written to a temporary file first.
func openZipped(from *os.File, f *zip.File) (File, error) {
	if f.Method == zip.Store {
		at, err := f.DataOffset()
		if err != nil {
			return nil, err
		}
		return stored{io.NewSectionReader(from, at, int64(f.UncompressedSize64))}, nil
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	file, err := os.CreateTemp("", "killr-import")
	if err != nil {
		return nil, err
	}
	t := temporary{file}
	if _, err := io.Copy(file, io.LimitReader(r, int64(f.UncompressedSize64)+1)); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

type stored struct{ *io.SectionReader }

func (stored) Close() error { return nil }

type temporary struct{ *os.File }

func (t temporary) Close() error { return errors.Join(t.File.Close(), os.Remove(t.Name())) }
