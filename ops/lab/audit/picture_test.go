package audit

import (
	"math/rand/v2"
	"net/http"
	"testing"
)

// seen is the picture of photo 7 at an address that a page had at a version, requested at a time.
func (s *history) seen(begin moment, since int64, status int) *observation {
	p := s.checker.photos[7]
	return &observation{target: target{kind: picturePage, owner: s.owner, photo: p, address: address{"k", since}},
		begin: begin, end: begin + milli, status: status, cache: "near", depends: "all=1 user.ansel=100"}
}

func TestPictures(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	s.expect("", s.seen(5*second, 100, http.StatusOK))
	s.expect("label", s.seen(5*second, 100, http.StatusNotFound))
	bare := s.seen(5*second, 100, http.StatusOK)
	bare.depends = "all=1 user.anselm=1"
	s.expect("label", bare)

	// Neither another photo nor another change of this one ends the address, and a copy of before is good.
	s.write(10*second, 8, 105, hide)
	s.write(10*second, 7, 106, title(1))
	s.expect("", s.seen(60*second, 100, http.StatusOK), s.seen(60*second, 106, http.StatusOK))
	s.expect("label", s.seen(60*second, 100, http.StatusNotFound))

	s.write(20*second, 7, 110, hide)
	s.expect("", s.seen(20*second-2*milli, 100, http.StatusOK), s.seen(20*second-milli, 106, http.StatusNotFound),
		s.seen(21*second, 106, http.StatusOK), s.seen(90*second, 100, http.StatusNotFound))
	s.expect("label", s.seen(19*second, 106, http.StatusNotFound))
	s.expect("gone", s.seen(22*second, 106, http.StatusOK))
	s.expect("gone", s.seen(22*second, 100, http.StatusNotModified))
	stale := s.seen(22*second, 106, http.StatusOK)
	stale.cache = "stale"
	s.expect("", stale)

	// Its writer sees that it is gone at once, unless a copy is marked as stale.
	own := func(status int) *observation {
		o := s.seen(20*second+3*milli, 106, status)
		o.own = s.checker.photos[7].hiddenSince(106)
		return o
	}
	s.expect("", own(http.StatusNotFound))
	s.expect("own", own(http.StatusOK))
	unknown := own(http.StatusOK)
	unknown.cache = "stale"
	s.expect("", unknown)

	// It is public again, at another address.
	s.write(30*second, 7, 115, publish)
	s.expect("", s.seen(40*second, 106, http.StatusNotFound), s.seen(40*second, 115, http.StatusOK))
	s.expect("gone", s.seen(40*second, 106, http.StatusOK))
	s.expect("label", s.seen(40*second, 115, http.StatusNotFound))
}

// TestAddresses: the addresses on the pages of photos are asked for, each from the lowest version on that had it.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	p, draw := s.checker.photos[7], rand.New(rand.NewPCG(1, 2))
	if _, ok := p.drawPicture(draw); ok {
		t.Error("there is a picture whose address no page had")
	}
	for _, of := range []struct {
		version int64
		key     string
	}{{107, "bbb"}, {101, "aaa"}, {105, "bbb"}} {
		o := s.answer(photoPage, second, of.version, "7.0")
		shows := scan([]byte(`<img src="/img/` + of.key + `/640.jpg"><img src="/img/ccc/640.jpg">audit 7.0`))
		o.content = &shows
		o.learnPicture()
	}
	elsewhere := s.answer(userPage, second, 108, "7.0")
	elsewhere.content.picture = "ddd"
	elsewhere.learnPicture()
	since := map[string]int64{}
	for range 100 {
		if got, ok := p.drawPicture(draw); ok && got.photo == p && got.path == "/img/"+got.address.key+"/320.jpg" {
			since[got.address.key] = got.address.since
		}
	}
	if len(since) != 2 || since["aaa"] != 101 || since["bbb"] != 105 {
		t.Errorf("the addresses are %v", since)
	}
	for _, key := range []string{"e", "f", "g"} {
		p.learnAddress(address{key, 120})
	}
	if len(p.addresses) != keptAddresses || p.addresses[0].key != "aaa" {
		t.Errorf("kept are %v", p.addresses)
	}
}

// TestVisitorOfPictures: a picture that is missing names no version, and one that is there names one that may be older
// than what its visitor has seen.
func TestVisitorOfPictures(t *testing.T) {
	t.Parallel()
	v, _, s := visiting(t, false,
		fakeAnswer{status: 200, id: "aaaaaaaa1", cache: "near", depends: "all=1 user.ansel=105", shows: "9.0"},
		fakeAnswer{status: 200, id: "aaaaaaaa2", cache: "near", depends: "all=1 user.ansel=100"},
		fakeAnswer{status: 404, id: "aaaaaaaa3", cache: "render"})
	picture := target{kind: picturePage, owner: s.owner, photo: s.checker.photos[7], path: "/img/k/320.jpg"}
	for _, to := range []target{s.page(), picture, picture} {
		if v.view(t.Context(), http.MethodGet, to, nil) == nil {
			t.Fatalf("no answer for %s", to.path)
		}
	}
	if r := v.a.tally.sum(); r.Pictures != 2 || r.PicturesGone != 1 || r.Violations != 0 || len(r.Failed) != 0 {
		t.Errorf("%+v", r)
	}
}
