package audit

import (
	"bytes"
	"strconv"
)

// Markers and tags, as they stand in titles and in paths.
const (
	markerWord = searchWord + " "
	tagWord    = "audit-"
	tagCount   = 8
)

// mark is the title of a photo's n-th write.
func mark(photo int64, write int32) string {
	return markerWord + strconv.FormatInt(photo, 10) + "." + strconv.FormatInt(int64(write), 10)
}

// tagName is the auditor's i-th tag.
func tagName(i int) string { return tagWord + strconv.Itoa(i) }

// shown is one photo that a body shows, by its marker.
type shown struct {
	photo int64
	write int32
}

// sight is what a body shows of the audited photos.
type sight struct {
	photos []shown // in the order of their first occurrence
	torn   []shown // photos that the same body shows with another title, too
	tags   uint32  // links to the auditor's tags
	albums []int64 // links to albums, in their order
}

// scan reads a body without parsing it: markers and links stand in it as they are.
func scan(body []byte) sight {
	var s sight
	for rest := body; ; {
		var m shown
		var ok bool
		if rest, m.photo, ok = after(rest, markerWord); rest == nil {
			break
		}
		if !ok || len(rest) == 0 || rest[0] != '.' {
			continue
		}
		write, n := digits(rest[1:])
		if n == 0 {
			continue
		}
		m.write, rest = int32(write), rest[1+n:]
		s.add(m)
	}
	for rest := body; ; {
		var tag int64
		var ok bool
		if rest, tag, ok = after(rest, "/tag/"+tagWord); rest == nil {
			break
		}
		if ok && tag < tagCount {
			s.tags |= 1 << tag
		}
	}
	for rest := body; ; {
		var album int64
		var ok bool
		if rest, album, ok = after(rest, `href="/album/`); rest == nil {
			break
		}
		if ok && len(rest) > 0 && rest[0] == '"' {
			s.albums = append(s.albums, album)
		}
	}
	return s
}

func (s *sight) add(m shown) {
	for _, have := range s.photos {
		if have.photo == m.photo {
			if have.write != m.write {
				s.torn = append(s.torn, m)
			}
			return
		}
	}
	s.photos = append(s.photos, m)
}

// after finds a word and the number behind it, and gives what follows; nil when the word is not there, ok false when no
// number follows.
func after(b []byte, word string) (rest []byte, number int64, ok bool) {
	i := bytes.Index(b, []byte(word))
	if i < 0 {
		return nil, 0, false
	}
	rest = b[i+len(word):]
	number, n := digits(rest)
	return rest[n:], number, n > 0
}

// digits reads a number of up to 18 digits, and says how many it had.
func digits(b []byte) (number int64, n int) {
	for n < len(b) && n < 18 && b[n] >= '0' && b[n] <= '9' {
		number = number*10 + int64(b[n]-'0')
		n++
	}
	return number, n
}
