package pictures

import "encoding/binary"

// webpDraws are the chunks that the picture needs.
var webpDraws = map[string]bool{"VP8 ": true, "VP8L": true, "ALPH": true, "ANIM": true, "ICCP": true}

// Flags of the chunk VP8X that say which other chunks there are.
const webpHasEXIF, webpHasXMP = 0x08, 0x04

func (s *stripper) webp(turned orientation) bool {
	data := s.data[:min(int64(len(s.data)), 8+int64(binary.LittleEndian.Uint32(s.data[4:])))]
	if len(data) < 12 {
		return false
	}
	riff := append([]byte(nil), data[:12]...)
	s.add(riff)
	extended := false
	for at := 12; at+8 <= len(data); {
		length := binary.LittleEndian.Uint32(data[at+4:])
		if int64(length) > int64(len(data)-at-8) {
			return false
		}
		end := min(at+8+int(length)+int(length&1), len(data))
		switch name := string(data[at : at+4]); {
		case name == "VP8X" && length >= 10:
			extended = true
			header := append([]byte(nil), data[at:at+18]...)
			header[4], header[5], header[6], header[7] = 10, 0, 0, 0 // what may follow says nothing of the picture
			header[8] &^= webpHasEXIF | webpHasXMP
			if turned != 0 {
				header[8] |= webpHasEXIF
			}
			s.add(header)
		case name == "EXIF":
			s.found(data[at+8 : at+8+int(length)])
		case name == "ANMF":
			if !s.webpFrame(at, at+8+int(length)) {
				return false
			}
			if end-at > 8+int(length) {
				s.add([]byte{0})
			}
		case webpDraws[name]:
			s.keep(at, end)
			if end-at < 8+int(length)+int(length&1) { // the file ends without the byte that makes its length even
				s.add([]byte{0})
			}
		}
		at = end
	}
	if tiff := orientationOnly(turned); turned != 0 && extended {
		s.add(append(binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(tiff))), tiff...))
	}
	binary.LittleEndian.PutUint32(riff[4:], uint32(s.Size-8))
	return len(s.parts) > 1
}

// webpFrame keeps a frame of an animation without its byte of padding, and of its chunks those that draw it.
func (s *stripper) webpFrame(at, end int) bool {
	const head = 8 + 16 // of a chunk, and what ANMF says of the place and the time
	if end-at < head {
		return false
	}
	type kept struct{ from, to int }
	var all []kept
	size := 16
	for chunk := at + head; chunk < end; {
		if chunk+8 > end {
			return false
		}
		length := int64(binary.LittleEndian.Uint32(s.data[chunk+4:]))
		if length > int64(end-chunk-8) {
			return false
		}
		next := min(chunk+8+int(length+length&1), end)
		switch string(s.data[chunk : chunk+4]) {
		case "ALPH", "VP8 ", "VP8L":
			all = append(all, kept{chunk, next})
			size += next - chunk
		}
		chunk = next
	}
	s.add(binary.LittleEndian.AppendUint32([]byte("ANMF"), uint32(size)))
	s.keep(at+8, at+head)
	for _, one := range all {
		s.keep(one.from, one.to)
	}
	return !s.full()
}
