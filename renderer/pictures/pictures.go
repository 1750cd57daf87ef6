// Package pictures keeps the photographs themselves: it takes an original in, keeps it as it came, and makes the
// JPEGs that browsers see.
//
// Input: a file somebody sent (Ingest), or a picture's id and a width (Stored, Derive). Output: what is known about the
// picture (its id, size as seen, dominant colour, camera data), or the bytes of a JPEG. Originals lie in a Store under
// an id made of their own bytes, so an id never changes its meaning and a derivative can be cached for ever.
// Derivatives lie beside them: Ingest makes most, Derive makes and keeps one that is missing, Stored only reads. An
// original is never handed out: whatever reaches a browser has been decoded and encoded anew, which is what makes a
// file that is also a script, or that names the place it was taken, harmless.
//
// Must not touch: rows, the bus, HTTP. It does not limit how many pictures are decoded at once either: the
// caller's pool does that, because only the caller knows how much memory there is (see Limits for what one costs).
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

// Store keeps files by name: originals, whose name is their id, and derivatives (DerivativeName). Directories are its
// one implementation here; the three methods are all that an object store such as S3 needs to offer to stand in.
//
// Open of a name that is not there returns an error for which errors.Is(err, fs.ErrNotExist) holds. Delete removes an
// original with its derivatives, and succeeds when there is none. Put replaces what was under the name, all at once: no
// reader ever sees half a file. Any other name is refused with ErrBadID.
type Store interface {
	Put(ctx context.Context, name string, r io.Reader) error
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	Delete(ctx context.Context, id string) error
}

// ErrBadID is returned for an id that is not 26 characters of a-z and 2-7, and for a file name made of no such id.
var ErrBadID = errors.New("pictures: not a picture id (26 characters of a-z, 2-7)")

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

// ValidID says whether id has the form of a picture's id.
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

// validName says whether name is one of an original or of a derivative in one of page.Widths. Only such names ever
// become file names.
func validName(name string) bool {
	id, rest, derived := strings.Cut(name, ".")
	if !ValidID(id) || !derived {
		return ValidID(name)
	}
	for _, width := range page.Widths() {
		if rest == strconv.Itoa(width)+".jpg" {
			return true
		}
	}
	return false
}
