package seed

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	terms "flickrkillr/renderer/words"
)

// searchWorld is what the search index needs of other tables' rows, kept while those are made.
type searchWorld struct {
	displays []string  // Display names, by user.
	titles   []string  // Of albums.
	contents [][]int32 // Photos of albums.
	from, in []int32   // Photo i (id-1) is in the albums in[from[i]:from[i+1]], by index.

	mu       sync.Mutex
	indexers []*indexer
}

func (s *searchWorld) begin(users, albums int) {
	s.displays, s.titles, s.contents = make([]string, users), make([]string, albums), make([][]int32, albums)
}

// members turns the contents of albums around.
func (s *searchWorld) members(photos int) {
	s.from = make([]int32, photos+1)
	for _, ids := range s.contents {
		for _, id := range ids {
			s.from[id]++
		}
	}
	for i := range photos {
		s.from[i+1] += s.from[i]
	}
	s.in = make([]int32, s.from[photos])
	next := slices.Clone(s.from)
	for album, ids := range s.contents {
		for _, id := range ids {
			s.in[next[id-1]] = int32(album)
			next[id-1]++
		}
	}
	s.contents = nil
}

// indexer makes and counts lexemes; each maker has its own.
type indexer struct {
	builder terms.Builder
	counts  map[string]*counted
	scratch rows
}

type counted struct {
	photos int32
	form   string
}

func (m *maker) index() *indexer {
	if m.indexer == nil {
		m.indexer = &indexer{counts: map[string]*counted{}}
		m.search.mu.Lock()
		defer m.search.mu.Unlock()
		m.search.indexers = append(m.search.indexers, m.indexer)
	}
	return m.indexer
}

func (x *indexer) count(lexemes []terms.Lexeme) {
	for _, l := range lexemes {
		if c := x.counts[l.Text]; c != nil {
			c.photos++
			if l.Form < c.form { // The same one however the work was shared out.
				c.form = strings.Clone(l.Form)
			}
			continue
		}
		x.counts[strings.Clone(l.Text)] = &counted{1, strings.Clone(l.Form)}
	}
}

func photoSearchColumns() []string {
	return []string{"photo_id", "user_id", "faves", "quality", "year", "shape", "camera", "words"}
}

// photoSearch writes the search index's rows of a chunk's public photos. The photos are made once more, which takes less than keeping them.
func (m *maker) photoSearch(out *rows, of *chunk) {
	x := m.index()
	c := chunk{from: of.from, to: of.to, first: of.first}
	var p terms.Photo
	for i := c.from; i < c.to; i++ {
		s := m.shoot(i)
		for k := range m.plan.sessions[i].count {
			x.scratch.b, c.tags, c.perPhoto = x.scratch.b[:0], c.tags[:0], c.perPhoto[:0]
			m.photo(&x.scratch, &c, i, int(k), &s)
			if !m.now.private {
				m.searched(&p)
				lexemes := x.builder.Photo(&p)
				x.count(lexemes)
				m.photoSearchRow(out, &p, lexemes)
			}
		}
	}
}

// searched fills in what is searched of the photo made last.
func (m *maker) searched(p *terms.Photo) {
	n := &m.now
	tags, albums := p.Tags[:0], p.Albums[:0]
	for _, tag := range n.tags {
		tags = append(tags, m.tags.names[tag])
	}
	slices.Sort(tags)
	for _, album := range m.search.in[m.search.from[n.id-1]:m.search.from[n.id]] {
		albums = append(albums, m.search.titles[album])
	}
	taken := n.taken
	if taken == 0 {
		taken = n.posted
	}
	*p = terms.Photo{
		Title: string(n.title), Description: string(n.description), Tags: tags, Albums: albums, Owner: m.names[n.user-1], Display: m.search.displays[n.user-1],
		Camera: n.camera, Lens: n.lens, Year: timeOf(taken).Year(), Width: int(n.width), Height: int(n.height), ID: n.id,
		Faves: int(n.faves), Quality: terms.Quality(int(n.faves), timeOf(n.posted)),
	}
}

// timeOf is the inverse of micros.
func timeOf(micros int64) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(micros) * time.Microsecond)
}

func (m *maker) photoSearchRow(out *rows, p *terms.Photo, lexemes []terms.Lexeme) {
	out.begin(int16(len(photoSearchColumns())))
	out.bigint(p.ID)
	out.bigint(m.now.user)
	out.integer(int32(p.Faves))
	out.integer(int32(p.Quality))
	out.integer(int32(p.Year))
	out.text(terms.Shape(p.Width, p.Height))
	out.text(p.Camera)
	out.open()
	out.b = terms.AppendBinary(out.b, lexemes)
	out.closeBytes()
}

func personSearchColumns() []string { return []string{"user_id", "words"} }

// personSearch writes the search index's rows of the users from index from up to to.
func (m *maker) personSearch(out *rows, from, to int) {
	x := m.index()
	for u := from; u < to; u++ {
		out.begin(int16(len(personSearchColumns())))
		out.bigint(int64(u) + 1)
		out.open()
		out.b = terms.AppendBinary(out.b, x.builder.Person(&terms.Person{Name: m.names[u], Display: m.search.displays[u]}))
		out.closeBytes()
	}
}

func searchWordColumns() []string { return []string{"word", "photos", "form"} }

// searchWords writes how many photos have each lexeme.
func (m *maker) searchWords(out *rows) {
	m.search.mu.Lock()
	defer m.search.mu.Unlock()
	all := map[string]*counted{}
	for _, x := range m.search.indexers {
		for text, c := range x.counts {
			if sum := all[text]; sum != nil {
				sum.photos += c.photos
				sum.form = min(sum.form, c.form)
			} else {
				all[text] = c
			}
		}
	}
	for _, text := range slices.Sorted(maps.Keys(all)) {
		out.begin(int16(len(searchWordColumns())))
		out.text(text)
		out.integer(all[text].photos)
		out.text(all[text].form)
	}
}
