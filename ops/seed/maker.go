package seed

import (
	"math"

	"flickrkillr/ops/seed/landscape"
)

// world is the input of all rows. It does not change while they are made.
type world struct {
	plan    *plan
	gallery *gallery
	words   *words
	tags    *vocabulary
	bodies  []body
	names   []string // Of users, by index.
	chunks  []chunk  // The photos, in pieces to be made at once.
}

// chunk is a run of sessions, and the tags of their photos, which another table needs: one list after the other.
type chunk struct {
	from, to int // Sessions.
	first    int32
	perPhoto []uint8
	tags     []uint16
}

const chunkPhotos = 4000

func newWorld(p *plan, g *gallery, w *words) *world {
	all := &world{plan: p, gallery: g, words: w, tags: newVocabulary(w), bodies: bodies()}
	all.nameUsers()
	photos := int32(0)
	for i, s := range p.sessions {
		if photos == 0 {
			all.chunks = append(all.chunks, chunk{from: i, first: s.first})
		}
		photos += s.count
		all.chunks[len(all.chunks)-1].to = i + 1
		if photos >= chunkPhotos {
			photos = 0
		}
	}
	return all
}

// maker makes rows; each goroutine has its own.
type maker struct {
	*world
	dice *dice
}

func (w *world) maker() *maker { return &maker{world: w, dice: newDice(w.plan.seed)} }

func photoColumns() []string {
	return []string{
		"id", "user_id", "posted_at", "taken_at", "width", "height", "color", "faves", "iso", "aperture", "focal_mm",
		"private", "image_id", "title", "description", "camera", "lens", "exposure",
	}
}

// photos writes the photos of a chunk, and keeps their tags for photoTags.
func (m *maker) photos(out *rows, c *chunk) {
	c.tags, c.perPhoto = c.tags[:0], c.perPhoto[:0]
	for i := c.from; i < c.to; i++ {
		s := m.shoot(i)
		for k := range m.plan.sessions[i].count {
			m.photo(out, c, i, int(k), &s)
		}
	}
}

func (m *maker) photo(out *rows, c *chunk, session, k int, s *shoot) {
	of := m.plan.sessions[session]
	id := of.first + int32(k)
	nth := int(of.nth) + k
	p := &m.gallery.all[m.pictureOf(s, nth)]
	likes := m.likes(id, &s.style)
	d := m.dice.of(forPhoto, uint64(id))
	posted := m.plan.postedAt(session, int32(k))
	e := expose(d, m.bodies[s.body], p.light)
	taken := s.day + takenAt(d, p.light) + int64(k)*97*second
	known := !s.style.stripped && !d.chance(0.05)
	if !known {
		e = exposure{}
	}

	out.begin(int16(len(photoColumns())))
	out.bigint(int64(id))
	out.bigint(int64(of.user) + 1)
	out.bigint(posted)
	if !known || taken >= posted || e.seconds == "" {
		taken = 0
		out.null()
	} else {
		out.bigint(taken)
	}
	out.integer(int32(p.width))
	out.integer(int32(p.height))
	out.integer(int32(p.color))
	out.integer(likes)
	out.integerOrNull(e.iso)
	out.realOrNull(e.aperture)
	out.realOrNull(e.focal)
	out.boolean(m.plan.private(id))
	out.text(p.id())
	out.open()
	out.b = m.title(out.b, d, s, p, k, nth)
	out.close(maxTitle)
	out.open()
	out.b = m.description(out.b, d, s, p, k, nth)
	out.close(maxDescription)
	out.textOrNull(e.camera)
	out.textOrNull(e.lens)
	out.textOrNull(e.seconds)

	had := len(c.tags)
	c.tags = m.tags.choose(c.tags, d, s, p, s.season, s.year)
	c.perPhoto = append(c.perPhoto, uint8(len(c.tags)-had))
}

// takenAt is a time of day for a light, from midnight.
func takenAt(d *dice, l landscape.Light) int64 {
	const minute = 60 * second
	from, span := int64(1290), int64(140) // Night.
	switch l {
	case landscape.Dawn:
		from, span = 330, 90
	case landscape.Golden:
		from, span = 1020, 90
	case landscape.Noon:
		from, span = 600, 300
	case landscape.Overcast:
		from, span = 480, 540
	case landscape.Sunset:
		from, span = 1110, 70
	case landscape.BlueHour:
		from, span = 1180, 50
	}
	return (from+d.Int64N(span))*minute + d.Int64N(60)*second
}

// pictureOf is the index of the picture of a user's nth photo.
func (m *maker) pictureOf(s *shoot, nth int) int32 {
	return m.gallery.choose(s.scene, mix64(s.style.key^uint64(len(s.scene))), nth)
}

// likes follow a power law (exponent 1.8), multiplied by the popularity of the photographer: most photos have few or
// none. They have dice of their own, because world.shownFirst needs the most liked photos before any row is made.
func (m *maker) likes(id int32, of *style) int32 {
	if m.plan.private(id) {
		return 0
	}
	u := m.dice.of(forLikes, uint64(id)).Float64()
	return int32(min(of.popular*(math.Pow(1-u, -0.8)-0.9), 20_000))
}

func photoTagColumns() []string { return []string{"photo_id", "tag_id"} }

// photoTags writes the tags of a chunk's photos.
func (m *maker) photoTags(out *rows, c *chunk) {
	tags := c.tags
	for i, n := range c.perPhoto {
		for _, tag := range tags[:n] {
			out.begin(int16(len(photoTagColumns())))
			out.bigint(int64(c.first) + int64(i))
			out.bigint(int64(tag) + 1)
		}
		tags = tags[n:]
	}
}

func tagColumns() []string { return []string{"id", "name"} }

func (m *maker) tagRows(out *rows) {
	for i, name := range m.tags.names {
		out.begin(int16(len(tagColumns())))
		out.bigint(int64(i) + 1)
		out.text(name)
	}
}

func imageColumns() []string {
	return []string{"created_at", "bytes", "width", "height", "color", "id"}
}

// images writes a row for each original. Its size in bytes is an estimate until Paint has painted it.
func (m *maker) images(out *rows) {
	from, _ := spanOfTime()
	for i := range m.gallery.all {
		p := &m.gallery.all[i]
		out.begin(int16(len(imageColumns())))
		out.bigint(from)
		out.bigint(max(1, int64(float64(p.width*p.height)*originalBytesPerPixel)))
		out.integer(int32(p.width))
		out.integer(int32(p.height))
		out.integer(int32(p.color))
		out.text(p.id())
	}
}
