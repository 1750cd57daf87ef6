package seed

import (
	"slices"
	"strconv"
	"strings"
)

// albumsOf is the number of albums of a user. Users with few photos have none.
func (m *maker) albumsOf(user int) int {
	p := m.plan
	photos := 0
	for _, i := range p.byUser[p.from[user]:p.from[user+1]] {
		photos += int(p.sessions[i].count)
	}
	switch d := m.dice.of(forAlbum, uint64(user)); {
	case user == anselUser && photos > 0:
		return min(8, 1+photos/8)
	case photos < 10 || d.chance(0.45):
		return 0
	default:
		return 1 + d.few(min(12, photos/8))
	}
}

func albumColumns() []string {
	return []string{"id", "user_id", "created_at", "title", "description"}
}

func albumPhotoColumns() []string { return []string{"album_id", "photo_id", "user_id", "position"} }

const maxAlbumPhotos = 250

// albums writes the albums of the users from index from up to, without, to, with ids from id on, and their photos.
func (m *maker) albums(out, content *rows, from, to int, id int64) {
	for user := from; user < to; user++ {
		n := m.albumsOf(user)
		if n == 0 {
			continue
		}
		mine := m.plan.byUser[m.plan.from[user]:m.plan.from[user+1]]
		shoots := make([]shoot, len(mine))
		for i, s := range mine {
			shoots[i] = m.shoot(int(s))
		}
		used := map[string]bool{}
		for a := range n {
			m.album(out, content, user, a, id, mine, shoots, used)
			id++
		}
	}
}

// album writes one album: of a journey, a subject, a year or a selection.
func (m *maker) album(out, content *rows, user, nth int, id int64, mine []int32, shoots []shoot, used map[string]bool) {
	d := m.dice.of(forAlbum, uint64(user)<<8|uint64(nth)|1<<60)
	seedOf := d.IntN(len(mine)) // Each album grows around one session, so that none is empty.
	about := &shoots[seedOf]
	var title string
	var belongs func(i int) bool
	switch kind := (nth + d.IntN(2)) % 4; kind {
	case 0:
		title = capital(albumSubject(about.scene))
		belongs = func(i int) bool { return shoots[i].scene == about.scene }
	case 1:
		title = strings.TrimPrefix(about.place, "the ") + " " + strconv.Itoa(about.year)
		belongs = func(i int) bool { return shoots[i].place == about.place || i == seedOf }
	case 2:
		title = strconv.Itoa(about.year)
		belongs = func(i int) bool { return shoots[i].year == about.year }
	default:
		title = one(d, []string{"Favourites", "Portfolio", "The best of it", "On the wall", "Prints"})
		share := 0.12 + 0.3*d.Float64()
		belongs = func(i int) bool { return i == seedOf || mix64(uint64(id)<<20^uint64(i))%1000 < uint64(share*1000) }
	}
	if about.style.script >= 0 && d.chance(0.6) {
		if of := m.words.scripts[about.style.script].titles[about.scene]; len(of) > 0 {
			title = one(d, of)
			belongs = func(i int) bool { return shoots[i].scene == about.scene }
		}
	}
	if about.style.hostile {
		title = one(d, m.words.hostile)
	}
	if used[title] {
		title += ", again"
	}
	used[title] = true

	var photos []int32
	last := 0
	for i, s := range mine {
		if belongs(i) && len(photos) < maxAlbumPhotos {
			for k := range m.plan.sessions[s].count {
				photos = append(photos, m.plan.sessions[s].first+k)
			}
			last = int(s)
		}
	}
	slices.Reverse(photos) // The newest first; the first public one is the cover.
	out.begin(int16(len(albumColumns())))
	out.bigint(id)
	out.bigint(int64(user) + 1)
	out.bigint(m.plan.sessions[last].at + 3600*second)
	out.open()
	out.b = append(out.b, title...)
	out.close(maxTitle)
	out.open()
	if d.chance(0.4) {
		out.b = m.description(out.b, d, about, &m.gallery.all[0], 0, 0)
	}
	out.close(maxDescription)
	for i, photo := range photos {
		content.begin(int16(len(albumPhotoColumns())))
		content.bigint(id)
		content.bigint(int64(photo))
		content.bigint(int64(user) + 1)
		content.integer(int32(i) + 1)
	}
}

func albumSubject(scene string) string {
	switch scene {
	case "mountains":
		return "high places"
	case "night":
		return "after dark"
	case "sea":
		return "salt water"
	case "city":
		return "cities"
	case "clouds":
		return "above"
	case "storm":
		return "weather"
	case "lake":
		return "lakes"
	}
	return scene
}
