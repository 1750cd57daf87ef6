package seed

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"flickrkillr/ops/seed/landscape"
)

// Limits of the database, in characters.
const (
	maxTitle       = 200
	maxDescription = 5000
	maxBio         = 2000
	maxName        = 100
)

// title appends the title of photo k of a shoot.
func (m *maker) title(dst []byte, d *dice, s *shoot, p *picture, k, nth int) []byte {
	w := m.words
	switch {
	case s.style.hostile: // In turn, so that none is missing.
		return append(dst, w.hostile[nth%len(w.hostile)]...)
	case d.IntN(2000) == 0:
		return append(dst, one(d, w.hostile)...)
	case s.style.script >= 0 && d.chance(0.75):
		if of := w.scripts[s.style.script].titles[p.scene]; len(of) > 0 {
			return append(dst, one(d, of)...)
		}
		return dst
	}
	switch s.style.titles {
	case untitled:
		return dst
	case asFiles:
		return m.expand(dst, w.titles["file"][s.style.key%uint64(len(w.titles["file"]))], s, p, k, nth)
	case asSeries:
		return m.expand(dst, one(d, w.titles["any"]), s, p, k, nth)
	}
	if d.chance(0.04) {
		return dst
	}
	patterns := w.titles[p.scene]
	if len(p.subjects) > 0 && d.chance(0.5) {
		if of := w.titles[one(d, p.subjects)]; len(of) > 0 {
			patterns = of
		}
	}
	if d.chance(0.06) {
		patterns = w.titles["any"]
	}
	from := len(dst)
	dst = m.expand(dst, one(d, patterns), s, p, k, nth)
	if s.style.titles == inLowerCase {
		for i, c := range dst[from:] {
			if c >= 'A' && c <= 'Z' {
				dst[from+i] = c + 'a' - 'A'
			}
		}
	}
	return dst
}

// expand appends a pattern with its {words} replaced. If the pattern begins with one, the text begins with a capital.
func (m *maker) expand(dst []byte, pattern string, s *shoot, p *picture, k, nth int) []byte {
	from := len(dst)
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '{' {
			dst = append(dst, pattern[i])
			continue
		}
		end := i + 1
		for end < len(pattern) && pattern[end] != '}' {
			end++
		}
		switch pattern[i+1 : end] {
		case "place":
			dst = append(dst, s.place...)
		case "light":
			dst = append(dst, lightName(p.light)...)
		case "season":
			dst = append(dst, seasonOf(s, p)...)
		case "year":
			dst = strconv.AppendInt(dst, int64(s.year), 10)
		case "n":
			dst = strconv.AppendInt(dst, int64(k+1), 10)
		case "file":
			dst = strconv.AppendInt(dst, int64(1000+(nth*3+int(s.style.key%900))%9000), 10)
		}
		i = end
	}
	if pattern[0] == '{' && len(dst) > from && dst[from] >= 'a' && dst[from] <= 'z' {
		dst[from] -= 'a' - 'A'
	}
	return dst
}

func lightName(l landscape.Light) string {
	switch l {
	case landscape.Dawn:
		return "first light"
	case landscape.Golden:
		return "golden hour"
	case landscape.Noon:
		return "midday"
	case landscape.Overcast:
		return "a grey day"
	case landscape.Sunset:
		return "last light"
	case landscape.BlueHour:
		return "blue hour"
	}
	return "night"
}

// seasonOf is the season of the date, unless the picture shows another.
func seasonOf(s *shoot, p *picture) string {
	switch {
	case slices.Contains(p.subjects, "snow"):
		return "winter"
	case slices.Contains(p.subjects, "autumn"):
		return "autumn"
	case slices.Contains(p.subjects, "spring"):
		return "spring"
	}
	return seasons()[s.season]
}

// description appends a photo's description: often none, mostly a sentence, sometimes a long story.
func (m *maker) description(dst []byte, d *dice, s *shoot, p *picture, k, nth int) []byte {
	w := m.words
	switch {
	case s.style.hostile, d.IntN(2500) == 0:
		dst = append(dst, one(d, w.hostile)...)
		return append(append(dst, '\n'), one(d, w.hostile)...)
	case !d.chance(s.style.describes):
		return dst
	}
	if s.style.script >= 0 && d.chance(0.8) {
		dst = append(dst, one(d, w.scripts[s.style.script].say)...)
		if d.chance(0.7) {
			return dst
		}
		dst = append(dst, "\n\n"...)
	}
	switch r := d.Float64(); {
	case r < 0.45:
		return append(dst, one(d, w.short)...)
	case r < 0.82:
		return m.expand(dst, one(d, w.long), s, p, k, nth)
	case r < 0.985:
		return m.sentences(dst, d, s, p, k, nth, 2+d.IntN(4), 1000)
	case r < 0.998:
		return append(dst, one(d, w.lists)...)
	}
	return m.sentences(dst, d, s, p, k, nth, 1000, maxDescription-250-d.IntN(2000))
}

// sentences appends up to n sentences in paragraphs, and at most about limit bytes.
func (m *maker) sentences(dst []byte, d *dice, s *shoot, p *picture, k, nth, n, limit int) []byte {
	from := len(dst)
	for i := range n {
		if len(dst)-from > limit {
			break
		}
		switch {
		case i == 0:
		case d.chance(0.2):
			dst = append(dst, "\n\n"...)
		default:
			dst = append(dst, ' ')
		}
		dst = m.expand(dst, one(d, m.words.long), s, p, k, nth)
	}
	return dst
}

// cut shortens text to at most n characters.
func cut(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	at := 0
	for range n {
		if at >= len(text) {
			return text
		}
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return text[:at]
}
