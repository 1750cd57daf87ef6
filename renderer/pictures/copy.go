package pictures

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/sleep"
)

// Copied is how far a copy is.
type Copied struct {
	Files, Bytes int64 // copied, read back and compared
	There        int64 // files that were there, with the same bytes or a derivative that was made later
	Gone         int64 // files that were deleted meanwhile
}

const (
	copiesAtOnce = 8
	copyTries    = 10          // of a file, while a place does not answer
	copyPause    = time.Second // between them
)

// errOtherBytes: a copy is not what it was copied from, or is missing.
var errOtherBytes = errors.New("pictures: the copy has other bytes")

// Copy copies all files from one place to another, and reads each back, also those that are there already, unless they
// are derivatives of another length: these were made later and stay. What is there with other bytes is copied once
// more. So a copy that was cut short, or that found damage, is run again.
//
// Pictures move while a site serves if its renderers use [Both], with to as the first place, when Copy begins. What is
// put then is there. What is deleted meanwhile may be put by Copy after that. Copy deletes nothing, as the same file
// may have been uploaded again: see [IDs].
//
// Copy calls report, one call at a time, after each file. Files that are staged are not copied.
func Copy(ctx context.Context, from, to Files, report func(Copied)) (Copied, error) {
	return copyAll(ctx, from, to, report, func(f pair) bool {
		return f.second.Name != "" && f.second.Bytes != f.first.Bytes && !ValidID(f.first.Name)
	})
}

// Backup is [Copy] of originals alone, from which derivatives are made again. It does not read an original that is
// there with the same length: its name is a hash of what it has, and no place has half of a file.
func Backup(ctx context.Context, from, to Files, report func(Copied)) (Copied, error) {
	return copyAll(ctx, originals{from}, to, report, func(f pair) bool {
		return f.second.Name != "" && f.second.Bytes == f.first.Bytes
	})
}

// originals lists the originals of a place alone.
type originals struct{ Files }

// List implements Files.
func (o originals) List(ctx context.Context, after string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for f, err := range o.Files.List(ctx, after) {
			if (err != nil || ValidID(f.Name)) && !yield(f, err) {
				return
			}
		}
	}
}

// copyAll copies the files of which there does not say that the second place has them already.
func copyAll(
	ctx context.Context, from, to Files, report func(Copied), there func(pair) bool,
) (Copied, error) {
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
		case there(f):
			c.note(Copied{There: 1})
		default:
			group.Go(func() error { return c.patiently(limited, f) })
		}
	}
	err := group.Wait() // before c is read
	return c.so, cmp.Or(err, listing, c.damage)
}

// IDs gives the ids of pictures of which a place has files. After a [Copy] these may be ones that must go: a photo was
// deleted meanwhile, or during an earlier copy that was cut short, or before the dump that a backup is restored with.
func IDs(ctx context.Context, place Files) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for f, err := range place.List(ctx, "") {
			id, _, _ := strings.Cut(f.Name, ".")
			if err == nil && id == last {
				continue
			}
			if last = id; !yield(id, err) {
				return
			}
		}
	}
}

// copying is a copy under way.
type copying struct {
	from, to Files
	report   func(Copied)

	mu     sync.Mutex
	so     Copied
	damage error // that was found first; what else there is is copied
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

// damaged notes a copy with other bytes.
func (c *copying) damaged(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.damage = cmp.Or(c.damage, fmt.Errorf("%w: %s", errOtherBytes, name))
}

// patiently copies a file, again while a place does not answer.
func (c *copying) patiently(ctx context.Context, f pair) error {
	for try := 1; ; try++ {
		err := c.file(ctx, f)
		if !errors.Is(err, ErrUnavailable) || try == copyTries || !sleep.For(ctx, copyPause) {
			return err
		}
	}
}

// file copies a file of the first place of a pair, unless the second has it.
func (c *copying) file(ctx context.Context, f pair) error {
	name := f.first.Name
	there, err := [sha256.Size]byte{}, error(fs.ErrNotExist)
	if f.second.Bytes == f.first.Bytes && f.second.Name != "" {
		there, err = sumOfFile(ctx, c.to, name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && idOf(there) == name {
		c.note(Copied{There: 1})
		return nil
	}
	isThere := err == nil
	data, err := whole(ctx, c.from, f.first)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(Copied{Gone: 1})
		return nil
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if isThere && there == sum {
		c.note(Copied{There: 1})
		return nil
	}
	if err := c.to.Put(ctx, name, bytes.NewReader(data)); err != nil {
		return err
	}
	copied, err := sumOfFile(ctx, c.to, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	same := err == nil && copied == sum
	switch stored, err := IsStored(ctx, c.from, name); {
	case err != nil:
		return err
	case !stored:
		c.note(Copied{Gone: 1})
	case !same:
		c.damaged(name)
	default:
		c.note(Copied{Files: 1, Bytes: int64(len(data))})
	}
	return nil
}

// whole reads a file as it is, which may be empty.
func whole(ctx context.Context, store Store, f File) ([]byte, error) {
	data := bytes.NewBuffer(make([]byte, 0, f.Bytes+bytes.MinRead))
	err := copyFile(ctx, data, store, f.Name)
	return data.Bytes(), err
}

// sumOfFile is the SHA-256 of a file.
func sumOfFile(ctx context.Context, store Store, name string) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	err = copyFile(ctx, hash, store, name)
	hash.Sum(sum[:0])
	return sum, err
}

// copyFile writes a file of a store into w.
func copyFile(ctx context.Context, w io.Writer, store Store, name string) (err error) {
	r, err := store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err = io.Copy(w, &contextReader{ctx: ctx, r: r}); err != nil {
		return fmt.Errorf("pictures: read %s: %w", name, err)
	}
	return nil
}
