package audit

import (
	"bytes"
	"strconv"
)

// Markers and tags, as in titles and paths.
const (
	markerWord = searchWord + " "
	tagWord    = "audit-"
	tagCount   = 8
	maxKey     = 26 // characters of the key of a picture
)

// markerTitle is the n-th title of a photo.
func markerTitle(photo int64, write int32) string {
	return markerWord + strconv.FormatInt(photo, 10) + "." + strconv.FormatInt(int64(write), 10)
}

// tagName is the audit's i-th tag.
func tagName(i int) string { return tagWord + strconv.Itoa(i) }

// shown is one photo in a body, by its marker.
type shown struct {
	photo int64
	write int32
}

// content is what a body shows of the audited photos.
type content struct {
	photos      []shown // in the order of their first occurrence
	conflicting []shown // photos with a second, different title in the same body
	tags        uint32  // links to the auditor's tags
	albums      []int64 // links to albums, in their order
	picture     string  // the key in the first address of a picture
}

// scan reads a body without parsing HTML: markers and links stand in it literally.
func scan(body []byte) content {
	var s content
	if _, address, ok := bytes.Cut(body, []byte("/img/")); ok {
		key, _, _ := bytes.Cut(address[:min(len(address), maxKey+1)], []byte("/"))
		s.picture = string(key)
	}
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

func (s *content) add(m shown) {
	for _, have := range s.photos {
		if have.photo == m.photo {
			if have.write != m.write {
				s.conflicting = append(s.conflicting, m)
			}
			return
		}
	}
	s.photos = append(s.photos, m)
}

// after finds a word that is followed by a number, and returns what follows. Rest is nil if the word does not occur, ok
// is false if no number follows.
func after(b []byte, word string) (rest []byte, number int64, ok bool) {
	i := bytes.Index(b, []byte(word))
	if i < 0 {
		return nil, 0, false
	}
	rest = b[i+len(word):]
	number, n := digits(rest)
	return rest[n:], number, n > 0
}

// digits reads a number of at most 18 digits, and returns how many it had.
func digits(b []byte) (number int64, n int) {
	for n < len(b) && n < 18 && b[n] >= '0' && b[n] <= '9' {
		number = number*10 + int64(b[n]-'0')
		n++
	}
	return number, n
}
