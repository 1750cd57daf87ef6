package pictures

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"flickrkillr/schema/page"
)

// Dir is a Store in a directory. Files lie in folders named by the first two characters of their id, at most 1,024. A
// file is written to the folder "tmp", synced, and renamed, so that a crash leaves a whole file or none. All access
// goes through an os.Root: no name and no symbolic link leads out of the directory. Only the owner can read it:
// folders have mode 0700, files 0600.
//
// Several goroutines and several processes may use a Dir at once.
type Dir struct {
	root *os.Root
}

const (
	tmpFolder = "tmp"
	// staleAfter is how old a temporary file must be before OpenDir takes it for the leaving of a crash. Another
	// process may be writing a younger one.
	staleAfter = time.Hour

	folderMode = 0o700
	fileMode   = 0o600
)

// OpenDir opens the store in a directory. It creates a missing directory and removes temporary files that a crash left.
// If the directory's mode is not 0700, it sets the modes of everything in it.
func OpenDir(name string) (*Dir, error) {
	if err := os.MkdirAll(name, folderMode); err != nil {
		return nil, fmt.Errorf("pictures: make the directory: %w", err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("pictures: open the directory: %w", err)
	}
	d := &Dir{root: root}
	if err := d.protect(); err != nil {
		return nil, errors.Join(fmt.Errorf("pictures: make the directory its owner's alone: %w", err), root.Close())
	}
	if err := d.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("pictures: clear temporary files: %w", err), root.Close())
	}
	return d, nil
}

// Close releases the directory. Readers that Open returned stay usable.
func (d *Dir) Close() error { return d.root.Close() }

// Put implements Store. Its errors wrap those of the file system, so a full disk is errors.Is(err, syscall.ENOSPC).
func (d *Dir) Put(ctx context.Context, name string, r io.Reader) error {
	if !validName(name) {
		return ErrBadID
	}
	tmp := path.Join(tmpFolder, name+"."+rand.Text())
	if err := d.write(ctx, tmp, r); err != nil {
		return fmt.Errorf("pictures: put %s: %w", name, errors.Join(err, d.remove(tmp)))
	}
	err := ctx.Err() // a file that comes late may be one that was removed meanwhile
	if err == nil {
		err = d.place(tmp, name)
	}
	if err != nil {
		return fmt.Errorf("pictures: put %s: %w", name, errors.Join(err, d.remove(tmp)))
	}
	return nil
}

// Open implements Store.
func (d *Dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if !validName(name) {
		return nil, ErrBadID
	}
	f, err := d.root.Open(fileName(name))
	if err != nil {
		return nil, fmt.Errorf("pictures: open %s: %w", name, err)
	}
	return f, nil
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, name string) error {
	if !validName(name) {
		return ErrBadID
	}
	var errs []error
	for _, name := range goWith(name) {
		errs = append(errs, d.remove(fileName(name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("pictures: delete %s: %w", name, err)
	}
	return nil
}

// Size implements Store.
func (d *Dir) Size(_ context.Context, name string) (files int, bytes int64, err error) {
	if !validName(name) {
		return 0, 0, ErrBadID
	}
	for _, name := range goWith(name) {
		switch info, err := d.root.Stat(fileName(name)); {
		case err == nil:
			files, bytes = files+1, bytes+info.Size()
		case !errors.Is(err, fs.ErrNotExist):
			return 0, 0, fmt.Errorf("pictures: measure %s: %w", name, err)
		}
	}
	return files, bytes, nil
}

// goWith lists a file and those that go with it: with an original, after it, its draft and derivatives.
func goWith(name string) []string {
	all := []string{name}
	if ValidID(name) {
		all = append(all, DraftName(name))
		for _, width := range page.Widths() {
			all = append(all, DerivativeName(name, width))
		}
	}
	return all
}

func fileName(name string) string { return path.Join(name[:2], name) }

// write writes what r gives to the file name and syncs it to the disk.
func (d *Dir) write(ctx context.Context, name string, r io.Reader) (err error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrNotExist) { // The folder for temporary files was never made, or somebody tidied it away.
		if err := d.root.MkdirAll(tmpFolder, folderMode); err != nil {
			return err
		}
		f, err = d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, &contextReader{ctx: ctx, r: r}); err != nil {
		return err
	}
	return f.Sync()
}

// place renames a temporary file to its name, and syncs the folder so that the name survives a crash.
func (d *Dir) place(tmp, name string) error {
	if err := d.makeFolder(name); err != nil {
		return err
	}
	if err := d.root.Rename(tmp, fileName(name)); err != nil {
		return err
	}
	return d.syncFolder(name[:2])
}

// makeFolder makes the folder in which a file of a name lies.
func (d *Dir) makeFolder(name string) error {
	switch err := d.root.Mkdir(name[:2], folderMode); {
	case err == nil: // A new folder: its own name has to reach the disk too.
		return d.syncFolder(".")
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	return nil
}

func (d *Dir) syncFolder(name string) (err error) {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// protect sets the modes of the directory and everything in it. Stores made by older versions have others. The
// directory itself comes last, so that its mode tells that all is done.
func (d *Dir) protect() error {
	info, err := d.root.Stat(".")
	if err != nil || info.Mode().Perm() == folderMode {
		return err
	}
	err = fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // Another process moved a temporary file meanwhile.
			return nil
		case err != nil || name == ".":
			return err
		case e.IsDir():
			err = d.root.Chmod(name, folderMode)
		case e.Type().IsRegular():
			err = d.root.Chmod(name, fileMode)
		}
		if errors.Is(err, fs.ErrNotExist) || notOurs(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := d.root.Chmod(".", folderMode); !notOurs(err) {
		return err
	}
	return nil
}

// notOurs reports whether modes cannot be changed because the directory is mounted read-only, or another user owns it
// and decides.
func notOurs(err error) bool { return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EPERM) }

func (d *Dir) sweep() error {
	entries, err := fs.ReadDir(d.root.FS(), tmpFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // Another process finished with it.
		}
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) > staleAfter {
			if err := d.remove(path.Join(tmpFolder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// contextReader ends a long copy when its context ends, since files and most readers ignore contexts.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
