package pictures

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
)

// Both is a [Files] over two places, while pictures move from one to the other, see [Copy]. Files are put into the
// first, and read from the second where the first has none. Deleting takes a file from the second before the first, so
// a copy that is made meanwhile either finds the file gone, or is deleted, too.
//
// An upload goes on where it was begun.
type Both struct{ first, second Files }

// OpenBoth joins two places. Closing it closes both.
func OpenBoth(first, second Files) *Both { return &Both{first, second} }

// Put implements Store.
func (b *Both) Put(ctx context.Context, name string, r io.Reader) error {
	return b.first.Put(ctx, name, r)
}

// Open implements Store.
func (b *Both) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.first.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return b.second.Open(ctx, name)
	}
	return r, err
}

// Delete implements Store.
func (b *Both) Delete(ctx context.Context, name string) error {
	if err := b.second.Delete(ctx, name); err != nil {
		return err
	}
	return b.first.Delete(ctx, name)
}

// Size implements Store. A file that is in both places counts twice.
func (b *Both) Size(ctx context.Context, name string) (files int, bytes int64, err error) {
	files, bytes, err = b.first.Size(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	more, moreBytes, err := b.second.Size(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	return files + more, bytes + moreBytes, nil
}

// List implements Files. A file that is in both places is given once, as the first has it.
func (b *Both) List(ctx context.Context, after string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for pair, err := range inBoth(ctx, b.first, b.second, after) {
			if f := cmp.Or(pair.first, pair.second); !yield(f, err) {
				return
			}
		}
	}
}

// pair is a file as each of two places has it; the zero File: it has none.
type pair struct{ first, second File }

// inBoth lists two places side by side.
func inBoth(ctx context.Context, first, second Files, after string) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		nextFirst, stopFirst := iter.Pull2(first.List(ctx, after))
		defer stopFirst()
		nextSecond, stopSecond := iter.Pull2(second.List(ctx, after))
		defer stopSecond()
		one, oneErr, oneOK := nextFirst()
		two, twoErr, twoOK := nextSecond()
		for oneOK || twoOK {
			if err := errors.Join(oneErr, twoErr); err != nil {
				yield(pair{}, err)
				return
			}
			var next pair
			takeOne, takeTwo := oneOK && (!twoOK || one.Name <= two.Name), twoOK && (!oneOK || two.Name <= one.Name)
			if takeOne {
				next.first = one
				one, oneErr, oneOK = nextFirst()
			}
			if takeTwo {
				next.second = two
				two, twoErr, twoOK = nextSecond()
			}
			if !yield(next, nil) {
				return
			}
		}
	}
}

// holder is where an upload was begun, or is to be.
func (b *Both) holder(ctx context.Context, u Upload) (Files, error) {
	_, err := b.first.Stored(ctx, u)
	if errors.Is(err, fs.ErrNotExist) {
		switch _, elsewhere := b.second.Stored(ctx, u); {
		case elsewhere == nil:
			return b.second, nil
		case errors.Is(elsewhere, fs.ErrNotExist):
			return b.first, nil
		default:
			return nil, elsewhere
		}
	}
	return b.first, err
}

// Begin implements Staging.
func (b *Both) Begin(ctx context.Context, u Upload, length int64) error {
	at, err := b.holder(ctx, u)
	if err != nil {
		return err
	}
	return at.Begin(ctx, u, length)
}

// Write implements Staging.
func (b *Both) Write(ctx context.Context, u Upload, offset int64, data []byte) error {
	at, err := b.holder(ctx, u)
	if err != nil {
		return err
	}
	return at.Write(ctx, u, offset, data)
}

// Stored implements Staging.
func (b *Both) Stored(ctx context.Context, u Upload) (int64, error) {
	at, err := b.holder(ctx, u)
	if err != nil {
		return 0, err
	}
	return at.Stored(ctx, u)
}

// Assemble implements Staging.
func (b *Both) Assemble(ctx context.Context, u Upload, length int64) (Assembled, error) {
	at, err := b.holder(ctx, u)
	if err != nil {
		return nil, err
	}
	return at.Assemble(ctx, u, length)
}

// Discard implements Staging.
func (b *Both) Discard(ctx context.Context, u Upload) error {
	return errors.Join(b.first.Discard(ctx, u), b.second.Discard(ctx, u))
}

// KeepsData implements Staging.
func (b *Both) KeepsData() bool { return b.first.KeepsData() || b.second.KeepsData() }

// Staged implements Staging.
func (b *Both) Staged(ctx context.Context) ([]Upload, error) {
	all, err := b.first.Staged(ctx)
	if err != nil {
		return nil, err
	}
	more, err := b.second.Staged(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range more {
		if !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all, nil
}

// Close closes both places.
func (b *Both) Close() error { return errors.Join(b.first.Close(), b.second.Close()) }

// Buckets lists the buckets among the places of a Files.
func Buckets(files Files) []*Bucket {
	switch f := files.(type) {
	case *Bucket:
		return []*Bucket{f}
	case *Both:
		return append(Buckets(f.first), Buckets(f.second)...)
	}
	return nil
}
