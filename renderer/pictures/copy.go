package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/sleep"
)

// Copied is how far a copy is.
type Copied struct {
	Files, Bytes int64 // copied, read back and compared
	There        int64 // files that were there
	Gone         int64 // files that were deleted meanwhile
}

const (
	copiesAtOnce = 8
	copyTries    = 10          // of a file, while a place does not answer
	copyPause    = time.Second // between them
)

// errOtherBytes: a copy is not what it was copied from, or is missing.
var errOtherBytes = errors.New("pictures: the copy has other bytes")

// Copy copies all files from one place to another, and reads each back. It passes over files that are there. So one
// that was cut short is run again. An original that is there with another length is copied once more; of a derivative
// the one that is there stays, as it was made later.
//
// Pictures move while a site serves if its renderers use [Both], with to as the first place, when Copy begins. What is
// put then is there, and what is deleted meanwhile is deleted in from first: Copy looks for that after each file.
//
// Copy calls report, one call at a time, after each file. Files that are staged are not copied.
func Copy(ctx context.Context, from, to Files, report func(Copied)) (Copied, error) {
	c := copying{from: from, to: to, report: report}
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(copiesAtOnce)
	var listing error
	for f, err := range inBoth(limited, from, to, "") {
		if err != nil {
			listing = err
			break
		}
		switch {
		case f.first.Name == "": // put there meanwhile
		case f.second.Name != "" && (f.second.Bytes == f.first.Bytes || !ValidID(f.first.Name)):
			c.note(Copied{There: 1})
		default:
			group.Go(func() error { return c.patiently(limited, f.first) })
		}
	}
	err := group.Wait()
	if err == nil {
		err = listing
	}
	return c.so, err
}

// copying is a copy under way.
type copying struct {
	from, to Files
	report   func(Copied)

	mu sync.Mutex
	so Copied
}

// note counts a file.
func (c *copying) note(more Copied) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.so.Files += more.Files
	c.so.Bytes += more.Bytes
	c.so.There += more.There
	c.so.Gone += more.Gone
	c.report(c.so)
}

// patiently copies a file, again while a place does not answer.
func (c *copying) patiently(ctx context.Context, f File) error {
	for try := 1; ; try++ {
		err := c.file(ctx, f)
		if !errors.Is(err, ErrUnavailable) || try == copyTries || !sleep.For(ctx, copyPause) {
			return err
		}
	}
}

func (c *copying) file(ctx context.Context, f File) error {
	data, err := whole(ctx, c.from, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(Copied{Gone: 1})
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.to.Put(ctx, f.Name, bytes.NewReader(data)); err != nil {
		return err
	}
	copied, err := whole(ctx, c.to, f.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch stored, err := IsStored(ctx, c.from, f.Name); {
	case err != nil:
		return err
	case !stored:
		c.note(Copied{Gone: 1})
		return c.to.Delete(ctx, f.Name)
	case !bytes.Equal(copied, data):
		return fmt.Errorf("%w: %s", errOtherBytes, f.Name)
	}
	c.note(Copied{Files: 1, Bytes: int64(len(data))})
	return nil
}

// whole reads a file as it is, which may be empty.
func whole(ctx context.Context, store Store, name string) (data []byte, err error) {
	r, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if data, err = io.ReadAll(&contextReader{ctx: ctx, r: r}); err != nil {
		return nil, fmt.Errorf("pictures: read %s: %w", name, err)
	}
	return data, nil
}
