package pictures

import "encoding/binary"

// gifApplicationDraws reports whether the picture needs an application extension: its colour profile, or how often it
// repeats, which one block of three bytes says.
func gifApplicationDraws(extension []byte) bool {
	const head = 3 + 11 // its introducer, its label, the length of the name, the name
	if len(extension) < head || extension[2] != 11 {
		return false
	}
	switch string(extension[3:head]) {
	case "ICCRGBG1012":
		return true
	case "NETSCAPE2.0", "ANIMEXTS1.0":
		return len(extension) == head+1+3+1 && extension[head] == 3
	}
	return false
}

// Labels of extensions of GIF files: how a frame is shown, and what an application has to say.
const gifControl, gifApplication = 0xf9, 0xff

// gif keeps what draws the picture. Comments, plain texts, which browsers do not draw, data of applications and
// extensions that nobody knows go. A GIF has no orientation.
func (s *stripper) gif(orientation) bool {
	data := s.data
	blocks := func(at int) int { // where sub-blocks that begin at a place end; 0: not within the file
		for at < len(data) {
			n := int(data[at])
			if at += 1 + n; n == 0 {
				return at
			}
		}
		return 0
	}
	if len(data) < 13 {
		return false
	}
	at := 13 + colors(data[10])
	if at > len(data) {
		return false
	}
	s.keep(0, at)
	for at < len(data) {
		end, kept := 0, true
		switch data[at] {
		case ';':
			s.keep(at, at+1)
			return true
		case '!':
			if at+2 >= len(data) {
				return false
			}
			end = blocks(at + 2)
			kept = data[at+1] == gifControl && end-at == 8 || // which has one block of four bytes
				end != 0 && data[at+1] == gifApplication && gifApplicationDraws(data[at:end])
		case ',':
			if at+10 >= len(data) {
				return false
			}
			first := at + 10 + colors(data[at+9]) + 1 // behind the size of codes
			if first < len(data) {
				end = blocks(first)
			}
		}
		if end == 0 {
			return false
		}
		switch {
		case data[at] == ',':
			s.gifFrame(at, end)
		case kept:
			s.keep(at, end)
		}
		at = end
	}
	return false
}

// gifFrame keeps a frame. What its blocks have behind the last pixel goes.
func (s *stripper) gifFrame(at, end int) {
	head := s.data[at:]
	first := at + 10 + colors(head[9])
	blocks := s.data[first+1 : end]
	used := first + 1 + gifPixelsEnd(blocks, s.data[first],
		int(binary.LittleEndian.Uint16(head[5:]))*int(binary.LittleEndian.Uint16(head[7:])))
	if used >= end-1 { // only the empty block follows
		s.keep(at, end)
		return
	}
	block := first + 1
	for block+1+int(s.data[block]) < used {
		block += 1 + int(s.data[block])
	}
	s.keep(at, block)
	s.add([]byte{byte(used - block - 1)})
	s.keep(block+1, used)
	s.add([]byte{0})
}

// gifPixelsEnd returns how many bytes of blocks there are until the last code that draws one of so many pixels, and the
// code behind it that says that they end (LZW as in GIF89a, appendix F). It is as long as the blocks if that comes
// never.
func gifPixelsEnd(blocks []byte, width byte, pixels int) int {
	if width < 2 || width > 8 {
		return len(blocks)
	}
	const most = 12 // bits of a code
	clearCode := 1 << width
	endCode := clearCode + 1
	var lengths [1 << most]int // pixels that a code draws
	for i := range clearCode {
		lengths[i] = 1
	}
	size, next, last := int(width)+1, endCode+1, -1 // the code that is defined next, and the one before
	at, left := 0, 0                                // left: bytes of the block
	bits, have := 0, 0
	for {
		for have < size {
			for left == 0 {
				if at >= len(blocks) || blocks[at] == 0 {
					return len(blocks)
				}
				left = int(blocks[at])
				at++
			}
			bits |= int(blocks[at]) << have
			at, left, have = at+1, left-1, have+8
		}
		code := bits & (1<<size - 1)
		bits, have = bits>>size, have-size
		switch {
		case code == clearCode:
			size, next, last = int(width)+1, endCode+1, -1
			continue
		case code == endCode, pixels <= 0: // without an end code this one is behind the last pixel
			return at
		case code > next, code == next && last < 0:
			return len(blocks)
		}
		if last >= 0 && next < 1<<most {
			lengths[next] = lengths[last] + 1
			next++
		}
		pixels -= lengths[code]
		if next == 1<<size && size < most {
			size++
		}
		last = code
	}
}
