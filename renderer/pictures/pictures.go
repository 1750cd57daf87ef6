// Package pictures keeps the photographs themselves: it takes an original in, keeps it as it came, and makes the
// JPEGs that browsers see.
//
// In flows a file somebody sent (Ingest) or a picture's id and a width (Derive); out flow what is known about the
// picture (its id, size as seen, dominant colour, camera data) or the bytes of a JPEG. Originals lie in a Store under
// an id made of their own bytes, so an id never changes its meaning and a derivative can be cached for ever.
// An original is never handed out: whatever reaches a browser has been decoded and encoded anew, which is what makes
// a file that is also a script, or that names the place it was taken, harmless.
//
// The package knows no rows, no bus and no HTTP. It does not limit how many pictures are decoded at once either: the
// caller's pool does that, because only the caller knows how much memory there is (see Limits for what one costs).
package pictures

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"io"
)

// Store keeps originals under their ids. Directories are its one implementation here; the three methods are all that
// an object store such as S3 needs to offer to stand in.
//
// Open of an id that is not there returns an error for which errors.Is(err, fs.ErrNotExist) holds; Delete of one that
// is not there succeeds. Put replaces whatever was under the id, all at once: no reader ever sees half a picture.
// Any other id than ValidID allows is refused with ErrBadID.
type Store interface {
	Put(ctx context.Context, id string, r io.Reader) error
	Open(ctx context.Context, id string) (io.ReadCloser, error)
	Delete(ctx context.Context, id string) error
}

// ErrBadID is returned for an id that is not 26 characters of a-z and 2-7.
var ErrBadID = errors.New("pictures: not a picture id (26 characters of a-z, 2-7)")

// Widths returns the widths, in pixels, that Derive makes, ascending.
func Widths() []int { return []int{320, 640, 1280} }

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

// ValidID says whether id has the form of a picture's id. Only such names ever become file names.
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
