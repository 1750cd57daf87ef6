package pictures

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Shared is the form in which others get an original: the same picture, bit for bit, without what its file says
// besides, such as the place, the camera's serial number, or a smaller picture of what was cut off. Of the metadata it
// has the orientation alone. It holds no pixels: it says which parts of the original it is made of.
type Shared struct {
	Size  int64 // bytes
	parts []part
}

// part is a piece of a file: some bytes, or a range of the original.
type part struct {
	at      int64  // where it begins in the file that is made
	literal []byte // nil: a range
	from, n int64  // of the original
}

// ErrNotShared is returned for a file of which it is not known what it says besides the picture.
var ErrNotShared = errors.New("pictures: the file cannot be shared without its metadata")

// maxParts bounds the memory of a Shared. Files of cameras and programs make fewer than ten.
const maxParts = 4096

// Share says of which parts of an original the form for others is made. It fails with [ErrNotShared].
func Share(original []byte) (*Shared, error) {
	f, err := sniff(original)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotShared, err)
	}
	s := &stripper{data: original}
	strip := map[string]func(orientation) bool{"jpeg": s.jpeg, "png": s.png, "gif": s.gif, "webp": s.webp}[f.name]
	done := strip != nil && strip(0) && !s.full()
	if turned := tiffOrientation(s.exif); done && turned > 1 {
		s.Shared = Shared{}
		done = strip(turned) && !s.full()
	}
	if !done {
		return nil, fmt.Errorf("%w: a file of format %s", ErrNotShared, f.name)
	}
	shared := s.Shared // a pointer into s would keep the whole original
	return &shared, nil
}

// ReadAt reads len(p) bytes of the form for others, fewer only at its end, from the original.
func (s *Shared) ReadAt(original io.ReaderAt, p []byte, offset int64) (n int, err error) {
	for _, one := range s.parts {
		size := max(one.n, int64(len(one.literal)))
		if one.at+size <= offset || n == len(p) {
			continue
		}
		skip := offset - one.at
		want := p[n:min(int64(len(p)), int64(n)+size-skip)]
		if one.literal != nil {
			copy(want, one.literal[skip:])
		} else if _, err := original.ReadAt(want, one.from+skip); err != nil {
			return n, fmt.Errorf("pictures: read an original: %w", err)
		}
		n, offset = n+len(want), offset+int64(len(want))
	}
	return n, nil
}

// stripper makes a Shared of a file in memory. Its methods return false for a file whose structure is broken.
type stripper struct {
	Shared
	data []byte
	exif []byte // the first that the file has
}

// full reports whether there are more parts than a form may have. Then no more are added: the file is not shared.
func (s *stripper) full() bool { return len(s.parts) > maxParts }

// keep adds a range of the original.
func (s *stripper) keep(from, to int) {
	if s.full() {
		return
	}
	if last := len(s.parts) - 1; last >= 0 && s.parts[last].literal == nil &&
		s.parts[last].from+s.parts[last].n == int64(from) {
		s.parts[last].n += int64(to - from)
	} else if to > from {
		s.parts = append(s.parts, part{at: s.Size, from: int64(from), n: int64(to - from)})
	}
	s.Size += int64(to - from)
}

// found notes EXIF data of the original.
func (s *stripper) found(exif []byte) {
	if s.exif == nil {
		s.exif = exif
	}
}

// add adds bytes that the original does not have.
func (s *stripper) add(literal []byte) {
	if s.full() {
		return
	}
	s.parts = append(s.parts, part{at: s.Size, literal: literal})
	s.Size += int64(len(literal))
}

// orientationOnly is EXIF data that says the orientation and nothing else (TIFF 6.0: one directory with one entry).
func orientationOnly(o orientation) []byte {
	return []byte{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(o), 0, 0, 0, 0, 0, 0}
}

// Markers of JPEG files (ITU-T T.81, B.1).
const (
	jpegSOI   = 0xd8
	jpegEOI   = 0xd9
	jpegSOS   = 0xda
	jpegAPP0  = 0xe0
	jpegAPP1  = 0xe1
	jpegAPP2  = 0xe2
	jpegAPP14 = 0xee
)

// jpeg keeps what draws the picture: tables, frames, scans, and of the application's segments JFIF, colour profiles,
// and Adobe's colour transform. What follows the end of the picture goes, too: phones put further pictures there.
func (s *stripper) jpeg(turned orientation) bool {
	data := s.data
	exif := func() {
		if turned != 0 {
			tiff := append([]byte("Exif\x00\x00"), orientationOnly(turned)...)
			s.add(append([]byte{0xff, jpegAPP1, 0, byte(len(tiff) + 2)}, tiff...))
			turned = 0
		}
	}
	s.keep(0, 2) // the start of the image, as sniff has seen
	for at := 2; ; {
		for at+1 < len(data) && data[at] == 0xff && data[at+1] == 0xff { // fill bytes
			at++
		}
		if at+2 > len(data) || data[at] != 0xff {
			return false
		}
		marker := data[at+1]
		switch {
		case marker == jpegEOI:
			exif()
			s.keep(at, at+2)
			return true
		case marker == jpegSOI || marker == 1 || marker >= 0xd0 && marker <= 0xd7: // these have no length
			at += 2
			continue
		}
		if at+4 > len(data) {
			return false
		}
		end := at + 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if end < at+4 || end > len(data) {
			return false
		}
		if marker != jpegAPP0 {
			exif()
		}
		s.jpegSegment(marker, at, end)
		if at = end; marker == jpegSOS {
			scan := jpegScan(data, at)
			s.keep(at, scan)
			at = scan
		}
	}
}

// jfifBytes and adobeBytes are the lengths of the bodies that those segments have without a thumbnail or anything else.
const jfifBytes, adobeBytes = 14, 12

// jpegSegment keeps a segment if the picture needs it. Of JFIF it leaves out the thumbnail, which may show what was cut
// off the picture.
func (s *stripper) jpegSegment(marker byte, at, end int) {
	body := s.data[at+4 : end]
	switch {
	case marker == jpegAPP0:
		if len(body) >= jfifBytes && bytes.HasPrefix(body, []byte("JFIF\x00")) {
			bare := append([]byte{0xff, jpegAPP0, 0, 2 + jfifBytes}, body[:jfifBytes]...)
			bare[len(bare)-2], bare[len(bare)-1] = 0, 0 // the size of the thumbnail
			s.add(bare)
		}
	case marker == jpegAPP1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
		s.found(body)
	case marker == jpegAPP2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")),
		marker == jpegAPP14 && len(body) == adobeBytes && bytes.HasPrefix(body, []byte("Adobe")),
		jpegDraws(marker):
		s.keep(at, end)
	}
}

// jpegDraws reports whether segments with this marker are tables, frames or scans.
func jpegDraws(marker byte) bool {
	switch {
	case marker >= 0xc0 && marker <= 0xcf: // frames, Huffman tables, arithmetic conditioning; JPG is reserved
		return marker != 0xc8
	case marker == jpegSOS, marker == 0xdb, marker == 0xdc, marker == 0xdd: // scan, quantization, lines, restarts
		return true
	}
	return false
}

// jpegScan returns where the coded data of a scan end that begin at a place: before a marker other than a restart.
func jpegScan(data []byte, at int) int {
	for at < len(data) {
		next := bytes.IndexByte(data[at:], 0xff)
		if next < 0 || at+next+1 >= len(data) {
			return len(data)
		}
		at += next
		if m := data[at+1]; m == 0 || m >= 0xd0 && m <= 0xd7 {
			at += 2
		} else if m == 0xff {
			at++
		} else {
			return at
		}
	}
	return len(data)
}

// pngDraws are the chunks that the picture needs. Others, such as texts and times, go.
var pngDraws = map[string]bool{"IHDR": true, "PLTE": true, "IDAT": true, "tRNS": true, "gAMA": true, "cHRM": true,
	"sRGB": true, "iCCP": true, "sBIT": true, "bKGD": true, "pHYs": true, "cICP": true, "mDCV": true, "cLLI": true,
	"acTL": true, "fcTL": true, "fdAT": true}

func (s *stripper) png(turned orientation) bool {
	s.keep(0, 8)
	for at := 8; at+12 <= len(s.data); {
		length := binary.BigEndian.Uint32(s.data[at:])
		if int64(length) > int64(len(s.data)-at-12) {
			return false
		}
		end := at + 12 + int(length)
		name := string(s.data[at+4 : at+8])
		if turned != 0 && (name == "IDAT" || name == "IEND") {
			s.add(pngChunk("eXIf", orientationOnly(turned)))
			turned = 0
		}
		if name == "IEND" {
			s.keep(at, end)
			return true
		}
		if pngDraws[name] {
			s.keep(at, end)
		} else if name == "eXIf" {
			s.found(s.data[at+8 : end-4])
		}
		at = end
	}
	return false
}

func pngChunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}
