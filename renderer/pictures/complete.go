package pictures

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// jpegScans is how many scans a JPEG may have. Progressive ones of cameras and editors have 10, and with a thumbnail
// some more. The decoder visits the whole picture for each, and has no bound of its own.
const jpegScans = 1000

var errScans = errors.New("the file has too many scans")

var errTruncated = errors.New("the file ends before its picture does")

// complete refuses a file whose end is missing, by its structure alone: a megabyte takes well under a millisecond. What
// follows the end of the picture does not matter, since it reaches no browser.
func (f format) complete(data []byte) error {
	if !f.ends(data) {
		return refuseDamaged(errTruncated)
	}
	if f.name == "jpeg" && bytes.Count(data, []byte("\xff\xda")) > jpegScans {
		return refuseDamaged(errScans)
	}
	return nil
}

// jpegEnds reports whether a JPEG has an end marker (EOI) behind its first scan. A marker before that is one of a
// thumbnail. Within a scan a byte 0xff is followed by 0 or the number of a restart marker.
func jpegEnds(data []byte) bool {
	const scan, end = 0xda, "\xff\xd9"
	for at := 2; at+4 <= len(data); {
		if data[at] != 0xff {
			return false
		}
		if data[at+1] == 0xff { // padding
			at++
			continue
		}
		if data[at+1] == scan {
			return bytes.Contains(data[at:], []byte(end))
		}
		at += 2 + int(binary.BigEndian.Uint16(data[at+2:]))
	}
	return false
}

// pngEnds reports whether a PNG has its last chunk, IEND.
func pngEnds(data []byte) bool {
	const head, checksum = 8, 4 // of a chunk: length and kind before its data, a checksum behind
	for at := 8; at+head+checksum <= len(data); {
		if string(data[at+4:at+head]) == "IEND" {
			return true
		}
		at += head + int(binary.BigEndian.Uint32(data[at:])) + checksum
	}
	return false
}

// gifEnds reports whether a GIF has its trailer.
func gifEnds(data []byte) bool {
	const header, trailer, extension, frame = 13, ';', '!', ','
	if len(data) < header {
		return false
	}
	for at := header + colors(data[10]); at < len(data); {
		switch data[at] {
		case trailer:
			return true
		case extension:
			at += 2
		case frame:
			if at+10 > len(data) {
				return false
			}
			at += 11 + colors(data[at+9]) // its size, its colours, and the least size of a code
		default:
			return false
		}
		for at < len(data) && data[at] != 0 { // blocks of data, the last of which is empty
			at += 1 + int(data[at])
		}
		at++
	}
	return false
}

// colors is the length of a GIF's table of colours, whose size is in the flags before it.
func colors(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// webpEnds reports whether a WebP is as long as its RIFF header says.
func webpEnds(data []byte) bool {
	return len(data) >= 12 && int64(len(data)) >= 8+int64(binary.LittleEndian.Uint32(data[4:]))
}
