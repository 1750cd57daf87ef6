package audit

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	second = time.Second
	milli  = time.Millisecond
)

// history is a hand-made history of one user, ansel, with photos 9, 8 and 7, all public with title 0 since version 100.
// Photos 8 and 9 are in album 3, in that order; photo 7 has tag 0.
type history struct {
	t       *testing.T
	owner   *owner
	checker *checker
	found   []Violation
	late    time.Duration
}

func newHistory(t *testing.T) *history {
	s := &history{t: t, owner: newOwner(0, 1, "ansel")}
	s.owner.albums = []album{{id: 3, position: map[int64]int32{8: 1, 9: 2, 7: 3}}}
	s.checker = &checker{photos: map[int64]*photo{}, quiet: QuietBound,
		faults:    &faultLog{now: func() moment { return 0 }},
		violation: func(v Violation) { s.found = append(s.found, v) },
		stale:     func(d time.Duration) { s.late = max(s.late, d) },
		announced: func(version int64) bool { return version == 1000 }}
	for _, id := range []int64{9, 8, 7} {
		p := &photo{id: id, owner: s.owner, exists: true, now: state{public: true}}
		switch id {
		case 9, 8:
			p.now.albums = 1
		case 7:
			p.now.tags = 1
		}
		s.owner.photos = append(s.owner.photos, p)
		s.checker.photos[id] = p
		s.owner.settle(nil, &event{photo: p, state: p.now, version: 100, after: 99, scope: 100})
	}
	s.owner.known = 100
	return s
}

// write adds a change of the state of a photo, acknowledged at a time, 1 ms after it began.
func (s *history) write(acked moment, id, version int64, change func(*state)) *event {
	p := s.checker.photos[id]
	e := &event{
		photo: p, state: p.now, what: "change", via: Psql, version: version, after: version - 1, begun: acked - milli,
		acked: acked,
	}
	change(&e.state)
	if e.state.public != p.now.public {
		e.scope = version
	}
	p.now = e.state
	s.owner.settle(nil, e)
	return e
}

func title(n int32) func(*state)   { return func(s *state) { s.write = n } }
func hide(s *state)                { s.public = false }
func publish(s *state)             { s.public = true }
func tag(bits uint32) func(*state) { return func(s *state) { s.tags = bits } }
func file(bits uint32) func(*state) {
	return func(s *state) { s.albums = bits }
}

// answer is a page of a kind, requested at a time and answered within 1 ms, made from a version of ansel, with the
// titles of photos as in "9.0 8.0 7.0".
func (s *history) answer(k kind, begin moment, version int64, body string) *observation {
	o := &observation{target: target{kind: k, path: "/", owner: s.owner}, begin: begin, end: begin + milli, status: 200,
		cache: "near",
		named: []named{{owner: s.owner, version: version}}, content: &content{}}
	switch k {
	case tagPage, homePage:
		o.target.owner = nil
	case photoPage:
		o.target.photo = s.checker.photos[7]
	case userPage:
		o.content.albums = []int64{3}
	}
	for _, m := range strings.Fields(body) {
		seen := scan([]byte("audit " + m + "<"))
		if len(seen.photos) != 1 {
			s.t.Fatalf("no marker: %q", m)
		}
		o.content.add(seen.photos[0])
	}
	return o
}

// absent is a 404 of photo 7 at a version of its own.
func (s *history) absent(begin moment, version int64) *observation {
	p := s.checker.photos[7]
	return &observation{target: target{kind: photoPage, path: "/photo/7", owner: s.owner, photo: p}, begin: begin,
		end: begin + milli, status: 404,
		cache: "near", named: []named{{owner: s.owner, photo: p, version: version}}}
}

// expect checks answers, and fails the test unless exactly these rules are broken.
func (s *history) expect(rules string, answers ...*observation) {
	s.t.Helper()
	s.found = nil
	for _, o := range answers {
		s.checker.check(o)
	}
	var got []string
	for _, v := range s.found {
		if !slices.Contains(got, v.Rule) {
			got = append(got, v.Rule)
		}
	}
	slices.Sort(got)
	if strings.Join(got, " ") != rules {
		s.t.Errorf("broken: %q, want %q\n%v", got, rules, s.found)
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.write(10*second, 8, 105, title(1))
	s.expect("", s.answer(userPage, 5*second, 100, "9.0 8.0 7.0"), s.answer(userPage, 10*second, 105, "9.0 8.1 7.0"),
		s.answer(albumPage, 10*second, 105, "8.1 9.0"), s.answer(homePage, 10*second, 105, "8.1"),
		s.answer(feedPage, 20*second, 105, "9.0 8.1 7.0"))
	// Before the acknowledgement either is right; after it, the old one is for another second.
	s.expect(
		"", s.answer(userPage, 10*second-2*milli, 105, "9.0 8.1 7.0"),
		s.answer(userPage, 11*second, 100, "9.0 8.0 7.0"),
	)
	if s.late != second {
		t.Errorf("it was late by %v", s.late)
	}
	head := s.answer(userPage, 10*second, 105, "")
	head.content, head.headOnly = nil, true
	s.expect("", head)
}

func TestLabel(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.write(10*second, 8, 105, title(1))
	s.write(20*second, 9, 110, hide)
	s.write(30*second, 7, 115, tag(4))
	s.write(40*second, 8, 120, file(0))
	photo := func(version int64, body string, tags uint32, albums ...int64) *observation {
		o := s.answer(photoPage, 40*second, version, body)
		o.content.tags, o.content.albums = tags, albums
		return o
	}
	for _, c := range []struct {
		name  string
		o     *observation
		wrong bool
	}{
		{"new version, new rows", s.answer(userPage, 10*second, 105, "9.0 8.1 7.0"), false},
		{"new version, old rows", s.answer(userPage, 10*second, 105, "9.0 8.0 7.0"), true},
		{"old version, new rows", s.answer(userPage, 10*second, 100, "9.0 8.1 7.0"), true},
		{"a version between", s.answer(userPage, 10*second, 104, "9.0 8.0 7.0"), true},
		{"a version above all", s.answer(userPage, 40*second, 121, "8.1 7.0"), true},
		{"a version that was announced", s.answer(feedPage, 40*second, 1000, "8.1 7.0"), false},
		{"such a version, old rows", s.answer(feedPage, 40*second, 1000, "9.0 8.1 7.0"), true},
		{"one is missing", s.answer(userPage, 10*second, 105, "9.0 8.1"), true},
		{"one is missing in a listing of everybody", s.answer(homePage, 10*second, 105, "8.1"), false},
		{"one too many", s.answer(userPage, 20*second, 110, "9.0 8.1 7.0"), true},
		{"a hidden one in a listing of everybody", s.answer(homePage, 20*second, 110, "9.0"), true},
		{"an old title in a listing of everybody", s.answer(homePage, 20*second, 110, "8.0"), true},
		{"the wrong order", s.answer(userPage, 10*second, 105, "8.1 9.0 7.0"), true},
		{"the album's order", s.answer(albumPage, 10*second, 105, "8.1 9.0"), false},
		{"not the album's order", s.answer(albumPage, 10*second, 105, "9.0 8.1"), true},
		{"not in the album", s.answer(albumPage, 10*second, 105, "8.1 9.0 7.0"), true},
		{"no more in the album", s.answer(albumPage, 40*second, 120, "8.1"), true},
		{"the album is empty", s.answer(albumPage, 40*second, 120, ""), false},
		{"a photo of before", s.answer(homePage, 10*second, 105, "6.0"), false},
		{"somebody else's photo", s.answer(userPage, 10*second, 105, "9.0 8.1 7.0 6.0"), true},
		{"its tag", s.answer(tagPage, 10*second, 105, "7.0"), false},
		{"not its tag", s.answer(tagPage, 10*second, 105, "8.1"), true},
		{"no more its tag", s.answer(tagPage, 30*second, 115, "7.0"), true},
		{"the photo's tags", photo(115, "7.0", 4), false},
		{"the photo's old tags", photo(115, "7.0", 1), true},
		{"an album the photo is not in", photo(115, "7.0", 4, 3), true},
		{"another photo's page", photo(115, "8.1", 4), true},
	} {
		want := ""
		if c.wrong {
			want = "label"
		}
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.checker.faults.list = []FaultEvent{{Began: 0}} // only the label is asked about
			c.o.cache = "stale"
			s.expect(want, c.o)
		})
	}
	s.t = t
	conflicting := s.answer(homePage, 40*second, 120, "8.1 8.0")
	unnamed := s.answer(homePage, 40*second, 120, "8.1")
	unnamed.named = nil
	lost := s.answer(userPage, 40*second, 120, "")
	lost.status, lost.content = 404, nil
	// its only photo is hidden, so the album should not be shown
	checkAlbums := s.answer(userPage, 40*second, 120, "8.1 7.0")
	for _, o := range []*observation{conflicting, unnamed, lost, checkAlbums} {
		s.expect("label", o)
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.write(10*second, 8, 105, title(1))
	s.write(10*second+500*milli, 8, 106, title(2))
	old := func(begin moment) *observation { return s.answer(userPage, begin, 100, "9.0 8.0 7.0") }
	s.expect("", old(11*second))
	s.expect("fresh", old(11*second+milli))
	if !strings.Contains(s.found[0].Write, "version 105") {
		t.Errorf("the write it contradicts is not the first one: %s", s.found[0].Write)
	}
	s.expect("", s.answer(userPage, 11*second+milli, 105, "9.0 8.1 7.0"))
	stale := old(20 * second)
	stale.cache = "stale"
	s.expect("", stale)

	// With something broken until shortly before the write, or after it, the longer bound holds; and only that.
	for _, h := range []FaultEvent{
		{Began: second, Ended: 7 * second}, {Began: 10 * second, Ended: 11 * second}, {Began: 9 * second},
	} {
		s.checker.faults.list = []FaultEvent{h}
		s.expect("", old(14*second))
		s.expect("fresh", old(14*second+milli))
	}
	s.checker.faults.list = []FaultEvent{{Began: second, Ended: 6 * second}, {Began: 12 * second}}
	s.expect("fresh", old(11*second+milli))
}

func TestGone(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.write(10*second, 9, 105, hide)
	shows := func(begin moment, cache string) *observation {
		o := s.answer(userPage, begin, 100, "9.0 8.0 7.0")
		o.cache = cache
		return o
	}
	s.expect("", shows(11*second, "near"))
	s.expect("fresh gone", shows(12*second, "near"))
	// A stale copy is right as long as nobody could know.
	s.expect("gone", shows(15*second, "stale"))
	s.checker.faults.list = []FaultEvent{{Began: 9 * second}}
	s.expect("", shows(60*second, "stale"))
	s.checker.faults.list = []FaultEvent{{Began: 9 * second, Ended: 20 * second}}
	s.expect("", shows(23*second, "stale"))
	s.expect("gone", shows(25*second, "stale"))
	s.checker.faults.list = nil
	// It comes back.
	s.write(30*second, 9, 110, publish)
	s.expect(
		"", s.answer(userPage, 30*second, 110, "9.0 8.0 7.0"), s.answer(userPage, 30*second-milli, 110, "9.0 8.0 7.0"),
	)
	s.expect("fresh gone", shows(29*second, "near"))
	s.expect("fresh", shows(32*second, "near")) // an old page, but nothing on it is gone
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.expect("fresh", s.absent(5*second, 50)) // of before the audit: it has been public ever since
	s.write(10*second, 7, 105, hide)
	s.write(20*second, 7, 110, publish)
	s.write(20*second, 8, 111, title(1)) // nothing to the scope of photo 7
	s.write(30*second, 7, 115, hide)
	s.expect(
		"", s.absent(10*second, 105), s.absent(10*second-2*milli, 105), s.absent(20*second+999*milli, 105),
		s.absent(30*second, 115), s.absent(90*second, 115),
	)
	s.expect("fresh", s.absent(22*second, 105))
	s.expect("label", s.absent(20*second, 110))
	bare := s.absent(30*second, 115)
	bare.named = nil
	s.expect("label", bare)
	bare.withheld = true
	s.expect("", bare)
	// The page of before is old as soon as the photo is gone.
	s.expect("", s.answerPhoto(29*second, 111))
	s.expect("fresh gone", s.answerPhoto(32*second, 111))
}

func (s *history) answerPhoto(begin moment, version int64) *observation {
	o := s.answer(photoPage, begin, version, "7.0")
	o.content.tags = 1
	return o
}

func TestOwn(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	e := s.write(10*second, 7, 105, hide)
	other := s.write(10*second, 8, 106, title(1))
	mine := func(o *observation, e *event) *observation {
		o.own = e
		return o
	}
	s.expect(
		"", mine(s.answer(userPage, 10*second, 105, "9.0 8.0"), e),
		mine(s.answer(userPage, 10*second, 106, "9.0 8.1"), e), mine(s.absent(10*second, 105), e),
	)
	s.expect("own", mine(s.answer(userPage, 10*second, 100, "9.0 8.0 7.0"), e))
	s.expect("own", mine(s.answer(userPage, 10*second, 105, "9.0 8.0"), other))
	back := s.write(11*second, 7, 110, publish)
	s.expect("own", mine(s.absent(11*second, 105), back))
	stale := mine(s.answer(userPage, 10*second, 100, "9.0 8.0 7.0"), e)
	stale.cache = "stale"
	s.expect("", stale)
}

// A write whose own version is unknown is somewhere between two versions. In between, both states are right.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.write(9*second, 9, 102, title(1))
	e := s.write(20*second, 8, 110, title(1))
	e.after = 102
	s.write(12*second, 9, 105, title(2)) // meanwhile
	s.expect("", s.answer(userPage, 10*second, 102, "9.1 8.0 7.0"), s.answer(userPage, 12*second, 105, "9.2 8.0 7.0"),
		s.answer(userPage, 12*second, 105, "9.2 8.1 7.0"),
		s.answer(userPage, 12*second, 104, "9.1 8.1 7.0"), s.answer(userPage, 20*second, 110, "9.2 8.1 7.0"))
	// it may be this write's version, but then misses the next
	s.expect("fresh", s.answer(userPage, 14*second, 103, "9.1 8.1 7.0"))
	s.expect("", s.answer(userPage, 60*second, 106, "9.2 8.1 7.0"))
	s.expect("label", s.answer(userPage, 10*second, 102, "9.1 8.1 7.0"))
	s.expect("label", s.answer(userPage, 20*second, 110, "9.2 8.0 7.0"))
	s.expect("label", s.answer(userPage, 20*second, 111, "9.2 8.1 7.0"))
	s.expect("", s.answer(userPage, 30*second, 105, "9.2 8.1 7.0")) // it may be the write's own version
}

// An answer is checked once all writes that began before it ended have their outcomes, however late.
func TestWaitsForOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newHistory(t)
		begun := s.owner.begin(func() moment { return 10 * second })
		s.expect("", s.answer(userPage, 9*second, 100, "9.0 8.0 7.0")) // it ended before, so it does not wait
		judged := false
		go func() {
			s.expect("", s.answer(userPage, 10*second+milli, 105, "9.0 8.1 7.0"))
			judged = true
		}()
		synctest.Wait()
		if judged {
			t.Error("judged while a write had no outcome")
		}
		e := &event{photo: s.checker.photos[8], version: 105, after: 104, begun: 10 * second, acked: 12 * second}
		e.state = state{public: true, write: 1, albums: 1}
		s.owner.settle(begun, e)
		synctest.Wait()
		if !judged {
			t.Error("not judged when the write has its outcome")
		}
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	for i := range int64(3000) {
		s.write(moment(i)*second, 8, 200+i, title(int32(i+1)))
	}
	if n := len(s.owner.events); n > 2600 || n < 1500 {
		t.Errorf("%d events of 50 minutes are kept", n)
	}
	s.expect(
		"", s.answer(userPage, 2999*second, 3199, "9.0 8.3000 7.0"),
		s.answer(userPage, 2999*second, 3198, "9.0 8.2999 7.0"),
	)
	s.expect("label", s.answer(userPage, 2999*second, 3198, "9.0 8.3000 7.0"))
	// what it shows is forgotten, that it is old is not
	s.expect("fresh", s.answer(userPage, 2999*second, 210, "9.0 8.1 7.0"))
}
