package pictures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"

	"github.com/minio/minio-go/v7"
)

// File is a file of a store.
type File struct {
	Name  string
	Bytes int64
}

// List implements Files.
func (d *Dir) List(ctx context.Context, after string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		folders, err := d.list(".")
		if err != nil {
			yield(File{}, fmt.Errorf("pictures: list: %w", err))
			return
		}
		for _, folder := range folders {
			if len(folder) != 2 || folder < after[:min(len(after), 2)] {
				continue
			}
			for f, err := range d.filesIn(folder) {
				if err == nil {
					err = ctx.Err()
				}
				if (f.Name > after || err != nil) && !yield(f, err) || err != nil {
					return
				}
			}
		}
	}
}

// filesIn lists the files of a folder.
func (d *Dir) filesIn(folder string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		names, err := d.list(folder)
		for _, name := range names {
			if !validName(name) {
				continue
			}
			info, gone := d.root.Stat(fileName(name))
			switch {
			case errors.Is(gone, fs.ErrNotExist):
			case gone != nil:
				err = gone
			case !yield(File{name, info.Size()}, nil):
				return
			}
		}
		if err != nil {
			yield(File{}, fmt.Errorf("pictures: list %s: %w", folder, err))
		}
	}
}

// filesAtOnce is how many files one request lists.
const filesAtOnce = 1000

// List implements Files.
func (b *Bucket) List(ctx context.Context, after string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		last := ""
		if validName(after) {
			last = b.prefix + fileName(after)
		}
		for more := true; more; {
			page, err := b.page(ctx, last)
			if err != nil {
				yield(File{}, fmt.Errorf("pictures: list: %w", err))
				return
			}
			for _, o := range page {
				last = o.Key
				name := path.Base(o.Key)
				if validName(name) && o.Key == b.prefix+fileName(name) && !yield(File{name, o.Size}, nil) {
					return
				}
			}
			more = len(page) == filesAtOnce
		}
	}
}

// page lists the objects behind a key.
func (b *Bucket) page(ctx context.Context, after string) (page []minio.ObjectInfo, err error) {
	err = b.do(ctx, moveLimit, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		page = page[:0]
		for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{
			Prefix: b.prefix, StartAfter: after, Recursive: true, MaxKeys: filesAtOnce,
		}) {
			if o.Err != nil {
				return o.Err
			}
			if page = append(page, o); len(page) == filesAtOnce {
				return nil
			}
		}
		return ctx.Err()
	})
	return page, err
}
