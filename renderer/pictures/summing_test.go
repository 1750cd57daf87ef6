package pictures_test

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"testing"

	"flickrkillr/renderer/pictures"
)

// TestSum: a file of any length has its checksums, and one that is cut off has none.
func TestSum(t *testing.T) {
	t.Parallel()
	data := file(3)
	for _, length := range []int{0, 1, pictures.MaxPiece, pictures.MaxPiece + 1, 2 * pictures.MaxPiece, len(data)} {
		whole := data[:length]
		sums, err := pictures.Sum(bytes.NewReader(data), int64(length))
		want := pictures.Checksums{SHA256: sha256.Sum256(whole), CRC32: crc32.ChecksumIEEE(whole)}
		if err != nil || sums != want {
			t.Errorf("of %d bytes: %x, %v; want %x", length, sums, err, want)
		}
		if sums, err := pictures.Sum(bytes.NewReader(whole), int64(length)+1); err == nil {
			t.Errorf("a byte behind %d bytes is missing: %x and no error", length, sums)
		}
	}
}
