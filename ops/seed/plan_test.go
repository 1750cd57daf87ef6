package seed

import (
	"slices"
	"testing"

	"flickrkillr/ops/seed/landscape"
)

// The shape of the whole site: most users have a few photos, a handful thousands.
func TestPlanIsSkewed(t *testing.T) {
	t.Parallel()
	const users, photos = 100_000, 1_000_000
	p := newPlan(1, users, photos)
	counts := make([]int, users)
	next := int32(1)
	last := int64(0)
	for i, s := range p.sessions {
		if s.first != next {
			t.Fatalf("session %d begins with photo %d, want %d", i, s.first, next)
		}
		if int(s.nth) != counts[s.user] {
			t.Fatalf("session %d is its user's photo %d, want %d", i, s.nth, counts[s.user])
		}
		for k := range s.count {
			at := p.postedAt(i, k)
			if at < last || at < p.joined[s.user] {
				t.Fatalf("photo %d is posted too early", s.first+k)
			}
			last = at
		}
		next += s.count
		counts[s.user] += int(s.count)
	}
	if next != photos+1 {
		t.Errorf("%d photos, want %d", next-1, photos)
	}
	for user := range 3 {
		if own := p.byUser[p.from[user]:p.from[user+1]]; !slices.IsSorted(own) {
			t.Errorf("user %d's sessions are not in order", user)
		}
	}
	if counts[quietUser] != 0 || counts[anselUser] != 420 || counts[malloryUser] != 90 {
		t.Errorf("named users have %v photos", counts[:3])
	}
	slices.Sort(counts)
	for _, c := range []struct {
		what     string
		got      int
		min, max int
	}{
		{"a tenth and more have none", counts[users/20], 0, 0},
		{"median", counts[users/2], 2, 5},
		{"nine tenths", counts[users*9/10], 8, 25},
		{"99 of 100", counts[users*99/100], 80, 250},
		{"most", counts[users-1], 2500, 8000},
		{"over a thousand", users - slices.IndexFunc(counts, func(n int) bool { return n > 1000 }), 30, 200},
	} {
		if c.got < c.min || c.got > c.max {
			t.Errorf("%s: %d, want %d to %d", c.what, c.got, c.min, c.max)
		}
	}
}

// What the database would refuse must not be in the word lists.
func TestWords(t *testing.T) {
	t.Parallel()
	w, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	v := newVocabulary(w)
	if n := len(v.names); n < 2000 || n > 1<<16 {
		t.Errorf("%d tags", n)
	}
	for _, name := range v.names {
		if cleanTag(name) != name {
			t.Errorf("tag %q would be refused", name)
		}
	}
	album := landscape.NewAlbum(1, 200, sketchLong) // It has every scene.
	for i := range album.Len() {
		if scene := string(album.Scene(i)); len(w.titles[scene]) < 5 || len(w.places[scene]) < 5 ||
			len(w.tags[scene]) < 5 {
			t.Errorf("too few words for %s", scene)
		}
	}
	for _, s := range w.scripts {
		if len(s.names) == 0 || len(s.bios) == 0 || len(s.tags) == 0 || len(s.say) == 0 {
			t.Errorf("script %s lacks words", s.key)
		}
		for scene := range w.places {
			if len(s.titles[scene]) == 0 {
				t.Errorf("script %s has no title for %s", s.key, scene)
			}
		}
	}
}

func BenchmarkRows(b *testing.B) {
	w, err := loadWords()
	if err != nil {
		b.Fatal(err)
	}
	world := newWorld(newPlan(1, 10_000, 100_000), sketch(landscape.NewAlbum(1, 80, 1600), 1, 1600), w)
	m := world.maker()
	out := &rows{}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		out.b, out.n = out.b[:0], 0
		m.photos(out, &world.chunks[0])
		n += out.n
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/photo")
}
