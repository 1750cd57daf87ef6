package seed

import (
	"math"
	"time"
)

// style is how a user photographs and writes, so that their pages look individual.
type style struct {
	script    int       // Index of words.scripts, -1 for plain English.
	scenes    [3]string // What they mostly photograph.
	everyone  bool      // Photographs everything.
	bodies    [2]int    // Their cameras, mostly the first.
	stripped  bool      // Their files carry no camera data.
	titles    titling
	tagging   float64 // Mean number of tags.
	describes float64 // Share of photos with a description.
	popular   float64 // Factor on faves.
	hostile   bool
	key       uint64
}

type titling int

const (
	inWords titling = iota
	inLowerCase
	asSeries // "Lake Bled #3", "Untitled".
	asFiles  // "DSC_0412".
	untitled
)

func (m *maker) style(user int32) style {
	d := m.dice.of(forStyle, uint64(user))
	s := style{
		script: -1, bodies: [2]int{d.IntN(len(m.bodies)), d.IntN(len(m.bodies))},
		tagging: one(d, []float64{0, 0, 1, 1.5, 2, 3, 3.5, 5, 8}), describes: d.Float64() * 0.75,
		popular: 0.5 * math.Exp(1.5*d.NormFloat64()), key: d.Uint64(),
	}
	for i := range s.scenes {
		s.scenes[i] = m.gallery.all[d.IntN(len(m.gallery.all))].scene
	}
	if d.chance(0.16) {
		s.script = d.IntN(len(m.words.scripts))
	}
	s.stripped = d.chance(0.15)
	s.titles = one(d, []titling{inWords, inWords, inWords, inWords, inWords, inLowerCase, asSeries, asFiles, untitled})
	switch user {
	case anselUser:
		s = style{
			script: -1, everyone: true, tagging: 5, describes: 0.6, popular: 30, key: s.key, bodies: [2]int{4, 13},
		}
	case malloryUser:
		s.hostile, s.script, s.describes = true, -1, 1
	}
	return s
}

// shoot is a session as an event: a user at a place on a day.
type shoot struct {
	style  style
	scene  string
	place  string
	day    int64 // Midnight of the day the photos were taken, microseconds since 2000.
	season int
	year   int
	body   int
}

func (m *maker) shoot(i int) shoot {
	p := &m.plan.sessions[i]
	s := shoot{style: m.style(p.user)}
	d := m.dice.of(forSession, uint64(i))
	switch r := d.Float64(); {
	case s.style.everyone: // Each scene in turn, so that a page of theirs has some of everything.
		s.scene = m.gallery.scenes[int(p.nth/5)%len(m.gallery.scenes)]
	case r < 0.5:
		s.scene = s.style.scenes[0]
	case r < 0.75:
		s.scene = s.style.scenes[1]
	case r < 0.87:
		s.scene = s.style.scenes[2]
	default:
		s.scene = m.gallery.all[d.IntN(len(m.gallery.all))].scene
	}
	s.place = one(d, m.placesOf(s.scene))
	s.body = s.style.bodies[0]
	if d.chance(0.2) {
		s.body = s.style.bodies[1]
	}
	ago := d.geometric(4) // Days.
	if d.chance(0.12) {
		ago = 20 + d.geometric(90)
	}
	const day = 24 * 3600 * second
	s.day = (p.at/day - int64(ago)) * day
	date := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s.day) * time.Microsecond)
	s.year = date.Year()
	s.season = int(date.Month()) % 12 / 3 // December to February is winter.
	return s
}

func (m *maker) placesOf(scene string) []string {
	if scene == "autumn leaves" {
		scene = "blossom"
	}
	return m.words.places[scene]
}
