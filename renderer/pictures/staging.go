package pictures

import (
	"context"
	"crypto/sha256"
	"errors"
)

// Upload names a file that is on its way: whose it is, and an id of the form of a picture's.
type Upload struct {
	User int64
	ID   string
}

// Staging keeps the pieces of files that are on their way. Any process may take any piece, in any order, and more than
// once. A piece counts as there once it is whole.
//
// A crash of the machine may lose pieces, or damage them. A damaged one counts as missing, so a sender sends it again.
//
// Begin makes room for an upload. length is that of the file, at most MaxFile, 0 while it is not known; a known one
// stays. Write stores data as the piece that begins at an offset, a multiple of MaxPiece. It returns ErrBadPiece for a
// piece that has no place in the file, and ErrBusy for one that may be taken a moment later. Stored says how many bytes
// from the beginning are there. Assemble returns a file, or ErrMissingPiece if not all of a length is there, or the
// length is known and another. Discard removes everything of an upload, which ends before the first piece goes. Of an
// upload that was not begun, or was discarded, Write, Stored and
// Assemble say errors.Is(err, fs.ErrNotExist), and Discard does nothing. Staged lists what was begun and not discarded.
type Staging interface {
	Begin(ctx context.Context, u Upload, length int64) error
	Write(ctx context.Context, u Upload, offset int64, data []byte) error
	Stored(ctx context.Context, u Upload) (offset int64, err error)
	Assemble(ctx context.Context, u Upload, length int64) (Assembled, error)
	Discard(ctx context.Context, u Upload) error
	Staged(ctx context.Context) ([]Upload, error)
	// KeepsData says whether data may still be read when Write has returned.
	KeepsData() bool
}

// Assembled is a file all of whose pieces are there. The caller must close it; until then it does not change.
type Assembled interface {
	// Data is the whole file. Its memory is used again after Close.
	Data() []byte
	// Checksums are those of Data.
	Checksums() Checksums
	// Keep stores it as an original. Its errors are those of [Store].Put.
	Keep(ctx context.Context, store Store, id string) error
	Close() error
}

// Checksums are those of a whole file.
type Checksums struct {
	SHA256 [sha256.Size]byte
	CRC32  uint32 // IEEE, as zip files have it
}

// MaxPiece is the length in bytes of every piece but the last.
const MaxPiece = 512 << 10

// MaxFile is the length in bytes of the largest file.
const MaxFile = defaultBytes

// Errors of Staging.
var (
	// ErrBadPiece: the piece does not begin where one begins, or has another length than it can have there.
	ErrBadPiece = errors.New("pictures: no such piece of the file")
	// ErrMissingPiece: a piece is missing or damaged.
	ErrMissingPiece = errors.New("pictures: a piece of the file is missing")
	// ErrBusy: the file is being assembled.
	ErrBusy = errors.New("pictures: the file is being assembled")
)

// fits reports whether a file of a length, 0 if that is not known, has a piece of size bytes at offset.
func fits(length, offset int64, size int) bool {
	switch {
	case offset < 0 || offset%MaxPiece != 0 || size <= 0 || size > MaxPiece:
		return false
	case length == 0:
		return offset+int64(size) <= MaxFile
	}
	return int64(size) == min(MaxPiece, length-offset)
}

func (u Upload) valid() bool { return u.User > 0 && ValidID(u.ID) }
