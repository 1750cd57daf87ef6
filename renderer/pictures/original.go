package pictures

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Original is the file of an original that is open for reading at any place. The caller must close it.
type Original struct {
	file interface {
		io.ReaderAt
		io.Closer
	}
	Size int64 // bytes
}

// OpenOriginal opens an original. An error for which errors.Is(err, fs.ErrNotExist) holds says that there is no such
// file. It is read within ctx.
func OpenOriginal(ctx context.Context, store Store, id string) (*Original, error) {
	if !ValidID(id) {
		return nil, ErrBadID
	}
	r, err := store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	file, ok := r.(interface {
		fs.File
		io.ReaderAt
	})
	if !ok {
		return nil, errors.Join(errors.New("pictures: the store reads files from their beginning only"), r.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pictures: open an original: %w", err), r.Close())
	}
	return &Original{file: file, Size: info.Size()}, nil
}

// ReadAt implements io.ReaderAt.
func (o *Original) ReadAt(p []byte, offset int64) (int, error) { return o.file.ReadAt(p, offset) }

// Close releases the file.
func (o *Original) Close() error { return o.file.Close() }

// Type says which format an original has: its media type, and how names of such files end. Both are "" for a file that
// is none of those that [Ingest] takes.
func (o *Original) Type() (media, extension string) {
	var head [512]byte
	n, _ := o.ReadAt(head[:], 0) // what cannot be read has no type
	f, err := sniff(head[:n])
	if err != nil {
		return "", ""
	}
	return "image/" + f.name, Extension(f.name)
}

// Extension is how names of files of a format end, see [Image].
func Extension(format string) string {
	if format == "jpeg" {
		return ".jpg"
	}
	return "." + format
}
