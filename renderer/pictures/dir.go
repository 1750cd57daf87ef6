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
	"time"
)

// Dir is a Store in a directory. Originals lie in folders named by the first two characters of their id (at most
// 1,024 folders), and get there by rename from the folder "tmp", after an fsync, so that a crash leaves a whole
// picture or none. All access goes through an os.Root: no name, and no symbolic link planted in the directory, leads out of it.
//
// A Dir may be used by several goroutines and by several processes at once.
type Dir struct {
	root *os.Root
}

const (
	tmpFolder = "tmp"
	// staleAfter is how old a temporary file must be before OpenDir takes it for the leaving of a crash. Another
	// process may be writing a younger one.
	staleAfter = time.Hour
)

// OpenDir opens the store in the directory at name, makes the directory if it is not there, and removes temporary
// files that a crash left in it.
func OpenDir(name string) (*Dir, error) {
	if err := os.MkdirAll(name, 0o755); err != nil {
		return nil, fmt.Errorf("pictures: make the directory: %w", err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("pictures: open the directory: %w", err)
	}
	d := &Dir{root: root}
	if err := d.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("pictures: clear temporary files: %w", err), root.Close())
	}
	return d, nil
}

// Close releases the directory. Readers that Open returned stay usable.
func (d *Dir) Close() error { return d.root.Close() }

// Put implements Store. Its errors wrap those of the file system, so a full disk is errors.Is(err, syscall.ENOSPC).
func (d *Dir) Put(ctx context.Context, id string, r io.Reader) error {
	if !ValidID(id) {
		return ErrBadID
	}
	tmp := path.Join(tmpFolder, id+"."+rand.Text())
	if err := d.write(ctx, tmp, r); err != nil {
		return fmt.Errorf("pictures: put %s: %w", id, errors.Join(err, d.remove(tmp)))
	}
	if err := d.place(tmp, id); err != nil {
		return fmt.Errorf("pictures: put %s: %w", id, errors.Join(err, d.remove(tmp)))
	}
	return nil
}

// Open implements Store.
func (d *Dir) Open(_ context.Context, id string) (io.ReadCloser, error) {
	if !ValidID(id) {
		return nil, ErrBadID
	}
	f, err := d.root.Open(fileName(id))
	if err != nil {
		return nil, fmt.Errorf("pictures: open %s: %w", id, err)
	}
	return f, nil
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, id string) error {
	if !ValidID(id) {
		return ErrBadID
	}
	if err := d.remove(fileName(id)); err != nil {
		return fmt.Errorf("pictures: delete %s: %w", id, err)
	}
	return nil
}

func fileName(id string) string { return path.Join(id[:2], id) }

// write makes the file name hold what r gives, on the disk and not only in memory.
func (d *Dir) write(ctx context.Context, name string, r io.Reader) (err error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrNotExist) { // The folder for temporary files was never made, or somebody tidied it away.
		if err := d.root.MkdirAll(tmpFolder, 0o755); err != nil {
			return err
		}
		f, err = d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
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

// place renames a written temporary file to where id is looked for, and makes that last through a crash.
func (d *Dir) place(tmp, id string) error {
	folder := id[:2]
	switch err := d.root.Mkdir(folder, 0o755); {
	case err == nil: // A new folder: its own name has to reach the disk too.
		if err := d.syncFolder("."); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if err := d.root.Rename(tmp, fileName(id)); err != nil {
		return err
	}
	return d.syncFolder(folder)
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

// contextReader stops a long copy when its context ends: neither files nor most readers know contexts.
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
