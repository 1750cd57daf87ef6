package seed

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/ops/seed/landscape"
)

// vocabulary is all tags, by what they suit. A tag's number is its index in names; its id is one more.
type vocabulary struct {
	names   []string
	number  map[string]uint16
	scene   map[string][]uint16
	place   map[string]uint16
	subject map[string]uint16
	light   map[landscape.Light][]uint16
	season  [4]uint16
	year    map[int]uint16
	mono    []uint16
	any     []uint16
	tail    []uint16
	scripts [][]uint16
	hostile []uint16
}

const (
	maxTags     = 12 // Of a photo.
	maxTagRunes = 64
)

func newVocabulary(w *words) *vocabulary {
	v := &vocabulary{
		number: map[string]uint16{}, scene: map[string][]uint16{}, place: map[string]uint16{},
		subject: map[string]uint16{}, light: map[landscape.Light][]uint16{}, year: map[int]uint16{},
	}
	for _, scene := range slices.Sorted(maps.Keys(w.tags)) {
		if scene != "any" {
			v.scene[scene] = v.addAll(w.tags[scene])
		}
	}
	v.any = v.addAll(w.tags["any"])
	for _, scene := range slices.Sorted(maps.Keys(w.places)) {
		for _, place := range w.places[scene] {
			v.place[place] = v.add(strings.TrimPrefix(strings.ToLower(place), "the "))
		}
	}
	for _, l := range []landscape.Light{
		landscape.Dawn, landscape.Golden, landscape.Noon, landscape.Overcast, landscape.Sunset, landscape.BlueHour,
		landscape.Night,
	} {
		v.light[l] = v.addAll(lightTags(l))
	}
	for i, s := range seasons() {
		v.season[i] = v.add(s)
	}
	for y := 2017; y <= 2026; y++ {
		v.year[y] = v.add(strconv.Itoa(y))
	}
	v.mono = v.addAll([]string{"blackandwhite", "bw", "monochrome"})
	for _, s := range w.scripts {
		v.scripts = append(v.scripts, v.addAll(s.tags))
	}
	for _, s := range w.hostile {
		if tag := cleanTag(s); tag != "" {
			v.hostile = append(v.hostile, v.add(tag))
		}
	}
	// Every pair once, in a mixed order: the first ones are used most.
	pairs := len(w.tailA) * len(w.tailB)
	for i := range pairs {
		k := i * 1009 % pairs // A prime that divides neither length.
		v.tail = append(v.tail, v.add(w.tailA[k%len(w.tailA)]+" "+w.tailB[k/len(w.tailA)]))
	}
	return v
}

func lightTags(l landscape.Light) []string {
	switch l {
	case landscape.Dawn:
		return []string{"dawn", "sunrise", "morning"}
	case landscape.Golden:
		return []string{"golden hour", "goldenhour", "sunlight"}
	case landscape.Noon:
		return []string{"blue sky", "sunny", "day"}
	case landscape.Overcast:
		return []string{"overcast", "moody", "grey"}
	case landscape.Sunset:
		return []string{"sunset", "dusk", "colours"}
	case landscape.BlueHour:
		return []string{"blue hour", "bluehour", "twilight"}
	}
	return []string{"night", "dark", "stars"}
}

func seasons() [4]string { return [4]string{"winter", "spring", "summer", "autumn"} }

func (v *vocabulary) add(name string) uint16 {
	n, ok := v.number[name]
	if !ok {
		n = uint16(len(v.names))
		v.number[name] = n
		v.names = append(v.names, name)
	}
	return n
}

func (v *vocabulary) addAll(names []string) []uint16 {
	out := make([]uint16, len(names))
	for i, name := range names {
		out[i] = v.add(name)
	}
	return out
}

// cleanTag turns any text into a tag that the database accepts: lower case, no control characters, single spaces.
func cleanTag(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToLower(s))
	s = firstRunes(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " "), maxTagRunes)
	for len(s) > 120 {
		s = firstRunes(s, len([]rune(s))-1)
	}
	return strings.Trim(s, " ")
}

// choose appends the tags of a photo to dst: none to maxTags, suitable ones first, without repetition.
func (v *vocabulary) choose(dst []uint16, d *dice, s *shoot, p *picture, season, year int) []uint16 {
	n := 0
	if s.style.tagging > 0 {
		n = min(maxTags, d.geometric(s.style.tagging+1)-1)
	}
	start := len(dst)
	put := func(tag uint16) {
		for _, t := range dst[start:] {
			if t == tag {
				return
			}
		}
		dst = append(dst, tag)
	}
	if s.style.hostile {
		n = max(n, 2)
		put(one(d, v.hostile))
	}
	// A tag that is drawn twice counts once, so there are more draws than tags.
	for range n + n/2 + 1 {
		if len(dst)-start >= n {
			break
		}
		switch k := d.IntN(20); {
		case k < 8:
			scene := v.scene[p.scene]
			put(scene[d.few(len(scene))])
		case k < 10 && len(p.subjects) > 0:
			if tag, ok := v.number[one(d, p.subjects)]; ok {
				put(tag)
			}
		case k < 12:
			put(one(d, v.light[p.light]))
		case k < 14:
			put(v.place[s.place])
		case k < 15:
			put(v.season[season])
		case k < 16 && v.year[year] != 0:
			put(v.year[year])
		case k < 17 && p.mono:
			put(one(d, v.mono))
		case k < 18 && s.style.script >= 0:
			put(one(d, v.scripts[s.style.script]))
		case k < 18:
			put(v.any[d.few(len(v.any))])
		default:
			put(v.tail[d.zipf(len(v.tail))])
		}
	}
	return dst
}
