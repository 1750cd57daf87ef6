package pictures

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"io"
	"strconv"
	"strings"

	"flickrkillr/schema/page"
)

// Store keeps files by name: originals, named by their id, and derivatives, named by [DerivativeName].
//
// Open of a name that does not exist returns an error for which errors.Is(err, fs.ErrNotExist) holds. Delete removes a
// file, the original before its draft and derivatives, which go with it, and succeeds if there are none. Size says how
// many files Delete would remove now, and their bytes. Put replaces a file atomically: no reader sees half a file. What
// Open returns is an fs.File and an io.ReaderAt. All methods refuse other names with ErrBadID. [ErrUnavailable] says
// that the store is away, which tells nothing of its files.
type Store interface {
	Put(ctx context.Context, name string, r io.Reader) error
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	Delete(ctx context.Context, name string) error
	Size(ctx context.Context, name string) (files int, bytes int64, err error)
}

// ErrBadID is returned for an id that is not 26 characters of a-z and 2-7, and for the name of a file without such an
// id.
var ErrBadID = errors.New("pictures: not a picture id (26 characters of a-z, 2-7)")

// DraftName is the file name of an original's draft, see [KeepDraft].
func DraftName(id string) string { return id + ".draft.jpg" }

// DerivativeName is the file name of an original's derivative that is width pixels wide, such as "<id>.640.jpg".
func DerivativeName(id string, width int) string { return id + "." + strconv.Itoa(width) + ".jpg" }

// idLength is 128 bits in base32 without padding: ceil(128/5).
const idLength = 26

// ID returns the id of an original: the first 128 bits of its SHA-256 in lower-case base32 (RFC 4648, no padding).
func ID(original []byte) string {
	sum := sha256.Sum256(original)
	return idOf(sum)
}

func idOf(sum [sha256.Size]byte) string {
	const lower = "abcdefghijklmnopqrstuvwxyz234567"
	return base32.NewEncoding(lower).WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}

// ValidID reports whether id has the form of a picture's id.
func ValidID(id string) bool {
	if len(id) != idLength {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// validName reports whether name is that of an original, of a draft, or of a derivative in one of page.Widths. Only
// such names become file names.
func validName(name string) bool {
	id, rest, derived := strings.Cut(name, ".")
	if !ValidID(id) || !derived {
		return ValidID(name)
	}
	if name == DraftName(id) {
		return true
	}
	for _, width := range page.Widths() {
		if rest == strconv.Itoa(width)+".jpg" {
			return true
		}
	}
	return false
}
