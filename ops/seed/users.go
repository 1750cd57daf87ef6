package seed

import (
	"strconv"
	"strings"
)

func userColumns() []string {
	return []string{"id", "created_at", "photo_count", "name", "display_name", "bio"}
}

const maxUserName = 31

// nameUsers gives every user a unique name.
func (w *world) nameUsers() {
	m := w.maker()
	w.names = make([]string, w.plan.users)
	taken := make(map[string]struct{}, w.plan.users)
	for i := range w.names {
		name, _ := m.identity(int32(i))
		for n := 0; ; n++ {
			try := name
			if n > 0 { // As people do it: with a number behind.
				digits := strconv.Itoa(int(mix64(uint64(i)*31+uint64(n)) % 10_000))
				try = name[:min(len(name), maxUserName-len(digits))] + digits
			}
			if _, ok := taken[try]; !ok {
				taken[try] = struct{}{}
				w.names[i] = try
				break
			}
		}
	}
}

// identity returns the name of a user, before it is made unique, and the display name.
func (m *maker) identity(user int32) (name, display string) {
	switch user {
	case anselUser:
		return "ansel", "Ansel Winterbourne"
	case malloryUser:
		return "mallory", m.words.hostile[0]
	case quietUser:
		return "quiet", "Quiet Observer"
	}
	d := m.dice.of(forUser, uint64(user))
	given, family := one(d, m.words.given), one(d, m.words.family)
	a, b := one(d, m.words.word), one(d, m.words.word)
	display = capital(given) + " " + capital(family)
	switch d.IntN(10) {
	case 0, 1:
		name = given + "_" + family
	case 2:
		name = given + family
	case 3:
		name = given[:1] + "-" + family
	case 4:
		name = given + strconv.Itoa(60+d.IntN(50)%40)
		display = capital(given)
	case 5:
		name = a + "-and-" + b
		display = capital(a) + " & " + capital(b)
	case 6:
		name = a + b
		display = capital(a) + b
	case 7:
		name = family + "-" + one(d, []string{"photo", "photos", "foto", "pictures", "images", "film"})
		display = capital(family) + " Photo"
	case 8:
		name = given + "_" + b
	default:
		name = family + given[:1]
	}
	if d.chance(0.15) {
		display = name
	}
	if d.chance(0.004) {
		display = one(d, m.words.hostile)
	}
	return name[:min(len(name), maxUserName)], display
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// users writes the users from index from up to, without, to.
func (m *maker) users(out *rows, from, to int) {
	p := m.plan
	for u := from; u < to; u++ {
		photos := int32(0)
		for _, i := range p.byUser[p.from[u]:p.from[u+1]] {
			photos += p.public(p.sessions[i])
		}
		_, display := m.identity(int32(u))
		s := m.style(int32(u))
		d := m.dice.of(forUser, uint64(u)|1<<40)
		var mine *script
		if s.script >= 0 {
			mine = &m.words.scripts[s.script]
			if d.chance(0.8) {
				display = one(d, mine.names)
			}
		}
		if display == "" {
			display = m.names[u]
		}
		out.begin(int16(len(userColumns())))
		out.bigint(int64(u) + 1)
		out.bigint(p.joined[u])
		out.integer(photos)
		out.text(m.names[u])
		out.open()
		out.b = append(out.b, display...)
		out.close(maxName)
		out.open()
		out.b = m.bio(out.b, d, int32(u), mine)
		out.close(maxBio)
	}
}

// bio appends what a user says about themselves; more than half say nothing.
func (m *maker) bio(dst []byte, d *dice, user int32, mine *script) []byte {
	switch {
	case user == anselUser:
		return append(dst, "Landscapes, mostly early and mostly on foot. I have carried a large camera up a great many hills and still think the "+
			"best pictures are the ones within a day's walk of home.\n\nPrints on request. Comments very welcome."...)
	case user == malloryUser, d.chance(0.002):
		for range 3 {
			dst = append(append(dst, one(d, m.words.hostile)...), '\n')
		}
		return dst
	case d.chance(0.55):
		return dst
	case mine != nil && d.chance(0.7):
		return append(dst, one(d, mine.bios)...)
	case d.chance(0.003): // As long as a bio may be.
		for len(dst) == 0 || d.chance(0.99) {
			dst = append(append(dst, one(d, m.words.bios)...), ' ')
		}
		return dst
	}
	dst = append(dst, one(d, m.words.bios)...)
	if d.chance(0.25) {
		dst = append(append(dst, ' '), one(d, m.words.bios)...)
	}
	return dst
}
