package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// The staging area of a Bucket is the folder "staging". Each upload has a folder "<user>-<id>" there, so that one
// request lists a thousand uploads. In it are the object "begun", which has the length of the file, and one object for
// each piece, named by its number. The CRC-32C of a piece is noted beside it.
//
// A piece that arrives while the upload is discarded may stay behind. It is found by Staged, as it is in the folder of
// an upload that is not open. An original is put by one request from memory, and keeps nothing of the pieces.
const begunObject = "begun"

// crcNote is the name under which the CRC-32C of a piece is noted, as servers write it.
const crcNote = "Crc32c"

// piecesAtOnce is how many pieces are fetched at once.
const piecesAtOnce = 8

func (u Upload) key(name string) string {
	return stagingFolder + "/" + strconv.FormatInt(u.User, 10) + "-" + u.ID + "/" + name
}

func (u Upload) piece(offset int64) string { return u.key(fmt.Sprintf("%03d", offset/MaxPiece)) }

// Begin implements Staging.
func (b *Bucket) Begin(ctx context.Context, u Upload, length int64) error {
	if !u.valid() || length < 0 || length > MaxFile {
		return ErrBadID
	}
	known, err := b.length(ctx, u)
	if errors.Is(err, fs.ErrNotExist) || err == nil && known == 0 && length > 0 {
		err = b.put(ctx, u.key(begunObject), bytes.NewReader(strconv.AppendInt(nil, length, 10)), nil)
	}
	if err != nil {
		return fmt.Errorf("pictures: begin upload %s: %w", u.ID, err)
	}
	return nil
}

// length is the length of the file, 0 if that is not known.
func (b *Bucket) length(ctx context.Context, u Upload) (int64, error) {
	data, _, err := b.fetch(ctx, u.key(begunObject), 20)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(data), 10, 64)
}

// Write implements Staging. It stores the piece while it asks for the length of the file, so that a piece takes the
// time of one request. A piece that turns out to have no place is removed, with what was there before.
func (b *Bucket) Write(ctx context.Context, u Upload, offset int64, data []byte) error {
	if !u.valid() {
		return ErrBadID
	}
	if !fits(0, offset, len(data)) {
		return fmt.Errorf("pictures: upload %s: %w", u.ID, ErrBadPiece)
	}
	var storing errgroup.Group
	storing.Go(func() error {
		return b.put(ctx, u.piece(offset), bytes.NewReader(data), map[string]string{crcNote: crcOf(data)})
	})
	length, err := b.length(ctx, u)
	stored := storing.Wait()
	remove := func() error { return b.remove(context.WithoutCancel(ctx), u.piece(offset)) } // the time may be over
	switch {
	case err == nil && !fits(length, offset, len(data)):
		err = errors.Join(ErrBadPiece, remove())
	case err == nil:
		err = stored
	case errors.Is(err, fs.ErrNotExist): // Staged finds what this leaves
		err = errors.Join(err, remove())
	}
	if err != nil {
		return fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	return nil
}

func crcOf(piece []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(piece, castagnoli)), 16)
}

// Stored implements Staging. It looks at the list of pieces alone: what is damaged is found by Assemble.
func (b *Bucket) Stored(ctx context.Context, u Upload) (stored int64, err error) {
	if !u.valid() {
		return 0, ErrBadID
	}
	begun, gap := false, false
	for key, size := range b.list(ctx, askLimit, u.key(""), &err) { // pieces first, in their order
		begun = begun || key == u.key(begunObject)
		if gap = gap || key != u.piece(stored); !gap {
			stored += size
			gap = size != MaxPiece
		}
	}
	if err == nil && !begun {
		err = fs.ErrNotExist
	}
	if err != nil {
		return 0, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	return stored, nil
}

// Assemble implements Staging. It removes pieces that are damaged.
func (b *Bucket) Assemble(ctx context.Context, u Upload, length int64) (Assembled, error) {
	if !u.valid() || length < 0 || length > MaxFile {
		return nil, ErrBadID
	}
	known, err := b.length(ctx, u)
	if err == nil && known != 0 && known != length {
		err = ErrMissingPiece
	}
	var whole []byte
	if err == nil {
		whole, err = b.pieces(ctx, u, length)
	}
	if err != nil {
		return nil, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	summing := newSumming()
	defer summing.close()
	for piece := range slices.Chunk(whole, MaxPiece) {
		summing.add(piece)
	}
	return &fetched{whole, summing.sums()}, nil
}

// pieces fetches the pieces of a file.
func (b *Bucket) pieces(ctx context.Context, u Upload, length int64) ([]byte, error) {
	whole := make([]byte, length)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(piecesAtOnce)
	for offset := int64(0); offset < length; offset += MaxPiece {
		group.Go(func() error {
			part := whole[offset:min(offset+MaxPiece, length)]
			data, about, err := b.fetch(ctx, u.piece(offset), MaxPiece)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return ErrMissingPiece
			case err != nil:
				return err
			case len(data) != len(part) || about.UserMetadata[crcNote] != crcOf(data):
				return errors.Join(ErrMissingPiece, b.remove(ctx, u.piece(offset)))
			}
			copy(part, data)
			return nil
		})
	}
	return whole, group.Wait()
}

// fetched is the [Assembled] of a Bucket: a file in memory.
type fetched struct {
	data []byte
	sums Checksums
}

func (f *fetched) Data() []byte { return f.data }

func (f *fetched) Checksums() Checksums { return f.sums }

func (f *fetched) Keep(ctx context.Context, store Store, id string) error {
	return store.Put(ctx, id, bytes.NewReader(f.data))
}

func (f *fetched) Close() error { return nil }

// Discard implements Staging.
func (b *Bucket) Discard(ctx context.Context, u Upload) error {
	if !u.valid() {
		return ErrBadID
	}
	err := b.remove(ctx, u.key(begunObject))
	var left []string
	if err == nil {
		for key := range b.list(ctx, askLimit, u.key(""), &err) {
			left = append(left, key)
		}
	}
	if err == nil && len(left) > 0 {
		err = b.removeAll(ctx, func(yield func(string) bool) {
			for _, key := range left {
				if !yield(key) {
					return
				}
			}
		})
	}
	if err != nil {
		return fmt.Errorf("pictures: discard upload %s: %w", u.ID, err)
	}
	return nil
}

// KeepsData implements Staging: connections of a request that was given up may read for longer.
func (b *Bucket) KeepsData() bool { return true }

// Staged implements Staging. It also lists what has only pieces left.
func (b *Bucket) Staged(ctx context.Context) (all []Upload, err error) {
	for folder := range b.list(ctx, moveLimit, stagingFolder+"/", &err) {
		user, id, _ := strings.Cut(path.Base(folder), "-")
		number, wrong := strconv.ParseInt(user, 10, 64)
		if u := (Upload{number, id}); wrong == nil && u.valid() {
			all = append(all, u)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pictures: list uploads: %w", err)
	}
	return all, nil
}
