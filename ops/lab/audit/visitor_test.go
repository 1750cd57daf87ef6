package audit

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flickrkillr/schema/wire"
)

// fakeEdge gives prepared answers, one after the other.
type fakeEdge struct {
	answers  []fakeAnswer
	requests []*http.Request
}

type fakeAnswer struct {
	status               int
	id, cache            string
	depends, etag, shows string
}

func (f *fakeEdge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests = append(f.requests, r)
	a := f.answers[0]
	f.answers = f.answers[1:]
	w.Header().Set("X-Request-Id", a.id)
	w.Header().Set("X-Cache", a.cache)
	if a.depends != "" {
		w.Header().Set("X-Depends", a.depends)
	}
	if a.etag != "" {
		w.Header().Set("Etag", a.etag)
	}
	w.WriteHeader(a.status)
	if a.status != http.StatusNotModified {
		fmt.Fprintf(w, "<bdi>audit %s</bdi>", a.shows)
	}
}

// visiting returns a visitor of a fake edge.
func visiting(t *testing.T, keeps bool, answers ...fakeAnswer) (*visitor, *fakeEdge, *history) {
	f := &fakeEdge{answers: answers}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s := newHistory(t)
	start := time.Now()
	a := &audit{cfg: Config{Edges: []string{server.URL}}, log: slog.New(slog.DiscardHandler), client: server.Client(),
		people: &people{},
		tally:  newTally(func(v Violation) { s.found = append(s.found, v) }),
		start:  start, queue: make(chan *observation, 10), key: make(wire.FreshKey, wire.FreshKeySize),
		world: &world{photos: s.checker.photos, names: map[string]*owner{"ansel": s.owner}}}
	a.faults = &faultLog{now: a.now}
	return a.newVisitor(0, keeps), f, s
}

func (s *history) page() target { return target{kind: userPage, owner: s.owner, path: "/photos/ansel"} }

func TestVisitorNeverGoesBack(t *testing.T) {
	t.Parallel()
	at := func(version int, id, cache string) fakeAnswer {
		return fakeAnswer{
			status: 200, id: id, cache: cache, depends: fmt.Sprintf("all=1 user.ansel=%d user.other=7", version),
			shows: "9.0",
		}
	}
	for _, c := range []struct {
		name    string
		answers []fakeAnswer
		broken  int
	}{
		{
			"forward",
			[]fakeAnswer{at(100, "aaaaaaaa1", "render"), at(100, "aaaaaaaa2", "near"), at(105, "aaaaaaaa3", "near")}, 0,
		},
		{"back", []fakeAnswer{at(105, "aaaaaaaa1", "render"), at(100, "aaaaaaaa2", "memcached")}, 1},
		{
			"back and back again",
			[]fakeAnswer{at(105, "aaaaaaaa1", "render"), at(100, "aaaaaaaa2", "near"), at(104, "aaaaaaaa3", "near")}, 2,
		},
		{
			"stale says so",
			[]fakeAnswer{at(105, "aaaaaaaa1", "render"), at(100, "aaaaaaaa2", "stale"), at(105, "aaaaaaaa3", "near")},
			0,
		},
		{"another life", []fakeAnswer{at(105, "aaaaaaaa1", "render"), at(100, "bbbbbbbb1", "memcached")}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _, s := visiting(t, false, c.answers...)
			for range c.answers {
				if v.view(t.Context(), http.MethodGet, s.page(), nil) == nil {
					t.Fatal("no answer")
				}
			}
			if got := v.a.tally.sum().Rules["back"]; got != int64(c.broken) {
				t.Errorf("%d violations, want %d: %v", got, c.broken, s.found)
			}
		})
	}
}

func TestNotModifiedIsWhatWasKept(t *testing.T) {
	t.Parallel()
	v, f, s := visiting(t, true,
		fakeAnswer{status: 200, id: "aaaaaaaa1", cache: "render", depends: "user.ansel=100", etag: `"x"`, shows: "9.0"},
		fakeAnswer{status: 304, id: "aaaaaaaa2", cache: "near", depends: "user.ansel=105", etag: `"x"`})
	first := v.view(t.Context(), http.MethodGet, s.page(), nil)
	again := v.view(t.Context(), http.MethodGet, s.page(), nil)
	if f.requests[0].Header.Get("If-None-Match") != "" || f.requests[1].Header.Get("If-None-Match") != `"x"` ||
		f.requests[1].Header.Get("X-Depends") == "" {
		t.Errorf("asked with %v, then %v", f.requests[0].Header, f.requests[1].Header)
	}
	if !again.notModified || again.content != first.content || again.named[0].version != 105 {
		t.Errorf("%+v after %+v", again, first)
	}
}

func TestWhatIsNoPage(t *testing.T) {
	t.Parallel()
	v, _, s := visiting(t, true,
		fakeAnswer{status: 503, id: "aaaaaaaa1", cache: "none"},
		fakeAnswer{status: 200, id: "aaaaaaaa2", cache: "near", depends: "nonsense", shows: "9.0"},
		fakeAnswer{status: 200, id: "aaaaaaaa3", cache: "near", shows: "9.0"})
	for range 3 {
		if o := v.view(t.Context(), http.MethodGet, s.page(), nil); o != nil {
			t.Errorf("%+v", o)
		}
	}
	if r := v.a.tally.sum(); r.Failed["503"] != 1 || r.Failed["no answer"] != 2 || r.Observations != 0 {
		t.Errorf("%+v", r)
	}
}

func TestOwnCookie(t *testing.T) {
	t.Parallel()
	v, f, s := visiting(
		t, false, fakeAnswer{status: 200, id: "aaaaaaaa1", cache: "render", depends: "user.ansel=105", shows: "9.0"},
	)
	e := s.write(second, 7, 105, hide)
	if o := v.view(t.Context(), http.MethodGet, s.page(), e); o == nil || o.own != e {
		t.Errorf("%+v", o)
	}
	cookie, err := f.requests[0].Cookie(wire.FreshCookie)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := v.a.key.Verify(cookie.Value, time.Now())
	if err != nil || wire.FormatChanges(changes) != " user.ansel=105! photo.7=105!" {
		t.Errorf("it says %v, %v", changes, err)
	}
}

// TestVeiled: a visitor with the key asks for the versions of missing pages, and one without goes without them.
func TestVeiled(t *testing.T) {
	t.Parallel()
	v, f, s := visiting(t, false,
		fakeAnswer{status: 404, id: "aaaaaaaa1", cache: "near", depends: "all=1 photo.7=105"},
		fakeAnswer{status: 404, id: "aaaaaaaa2", cache: "near", depends: "all=1 photo.7=?"})
	view := func() *observation {
		o := v.view(
			t.Context(), http.MethodGet, target{kind: photoPage, path: "/photo/7", photo: s.checker.photos[7]}, nil,
		)
		if o == nil {
			t.Fatal("no answer")
		}
		return o
	}
	if o := view(); o.withheld || len(o.named) != 1 || o.named[0].version != 105 {
		t.Errorf("told: %+v", o)
	}
	if ask := f.requests[0].Header.Get("X-Depends"); !v.a.key.VerifyInsider(ask, time.Now()) {
		t.Errorf("asked with %q", ask)
	}
	v.a.key = nil
	if o := view(); !o.withheld || len(o.named) != 0 {
		t.Errorf("not told: %+v", o)
	}
	if ask := f.requests[1].Header.Get("X-Depends"); ask != "?" {
		t.Errorf("asked with %q", ask)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	v, _, s := visiting(t, false)
	tally := v.a.tally
	o := s.answer(userPage, second, 100, "9.0")
	o.depends, o.id = "user.ansel=100", "aaaaaaaa1"
	for range 50 {
		tally.violated(violation(o, "fresh", s.owner.events[0], "it is old"))
	}
	tally.violated(violation(o, "label", nil, "it is wrong"))
	tally.wrote(Psql, true)
	tally.observed(o)
	tally.arrived(&event{via: Psql, begun: second, acked: second + 2*milli}, second+7*milli, false)
	tally.arrived(&event{via: Bus}, time.Hour, true)
	tally.failed("503")
	tally.late(2 * second)
	r := tally.sum()
	if len(r.First) != keptViolations+1 || r.Violations != 51 || len(s.found) != keptViolations+1 {
		t.Errorf("%d of %d violations are kept, %d were told", len(r.First), r.Violations, len(s.found))
	}
	r.Faults = []FaultEvent{{Name: "pull a plug", Err: "stuck"}, {Name: "pull a plug"}}
	var text, coded strings.Builder
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 by psql", "p50 5.0 ms", "by psql, from when it was sent: p50 7.0 ms", "2000.0 ms behind", "pull a plug 2",
		"stuck", "51: fresh 50, label 1", "it is wrong", "user.ansel=100", "aaaaaaaa1", "503 1", "at version 100",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if err := r.WriteJSON(&coded); err != nil || !strings.Contains(coded.String(), `"violations": 51`) {
		t.Errorf("%v: %s", err, coded.String())
	}
}
