package pictures

import (
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"io"
)

// summing sums a file piece by piece. After each piece it lets others go on, who may be people that wait for a page: a
// file of 5 MB takes 4 ms of a processor, one of 50 MiB 40 ms.
type summing struct {
	sha256 hash.Hash
	crc32  uint32
	others *giveWay
}

// newSumming begins. The caller closes it.
func newSumming() *summing { return &summing{sha256: sha256.New(), others: newGiveWay()} }

// add sums the next piece of the file.
func (s *summing) add(piece []byte) {
	s.crc32 = crc32.Update(s.crc32, crc32.IEEETable, piece)
	s.sha256.Write(piece) // it never fails
	s.others.wait()
}

// sums are those of what was added.
func (s *summing) sums() (all Checksums) {
	all.CRC32 = s.crc32
	s.sha256.Sum(all.SHA256[:0])
	return all
}

func (s *summing) close() { s.others.close() }

// Sum reads a file of a length in bytes and returns its checksums. It lets others go on meanwhile. A file that is
// shorter is an error.
func Sum(file io.Reader, length int64) (Checksums, error) {
	summing := newSumming()
	defer summing.close()
	for piece := make([]byte, MaxPiece); length > 0; length -= int64(len(piece)) {
		piece = piece[:min(length, MaxPiece)]
		if _, err := io.ReadFull(file, piece); err != nil {
			return Checksums{}, err
		}
		summing.add(piece)
	}
	return summing.sums(), nil
}
