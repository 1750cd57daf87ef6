package audit

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/ops/lab/person"
)

// accountsSite is a site of accounts with edges that make mistakes.
type accountsSite struct {
	mu       sync.Mutex
	sessions map[string]string // names by token
	last     string            // the page that a faulty edge has kept
	first    string            // who signed up first

	honours bool // an edge honours every session, ended or not
	refuses bool // an edge refuses every session
	keeps   bool // an edge answers with the page of whoever came first
	tells   bool // an edge shows everybody the e-mail address of who came first
	public  bool // an edge says that private pages may be kept
	shows   bool // an edge shows people who have deleted their accounts
	gone    map[string]bool

	photos    []*sitePhoto // by number, from 1
	forgets   bool         // it has lost photos when their owners look again
	overtaken bool         // an edge does not show a photo that was just uploaded
	lags      bool         // an edge shows photos, and pictures, that were taken away
	open      bool         // an edge shows the private photos of all
	silent    bool         // it gives no receipts

	siteLinks
	asked int // for receipts
}

// sitePhoto is a photo of the site.
type sitePhoto struct {
	owner, title    string
	private, binned bool
}

func (s *accountsSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Cache-Control", "private, no-store")
	if s.public {
		w.Header().Set("Cache-Control", "max-age=60")
	}
	token, name := "", ""
	if c, err := r.Cookie("session"); err == nil {
		token, name = c.Value, s.sessions[c.Value]
	}
	if s.honours && token != "" {
		name = "somebody"
	}
	if s.refuses {
		name = ""
	}
	begin := func(name string) {
		token := rand.Text() + rand.Text()
		s.sessions[token] = name
		http.SetCookie(w, &http.Cookie{Name: "session", Value: token, MaxAge: 60})
	}
	if s.answersLink(w, r, name) {
		return
	}
	seeOther := func(path string) {
		w.Header().Set("Location", path)
		w.WriteHeader(http.StatusSeeOther)
	}
	switch r.Method + r.URL.Path {
	case "POST/signup":
		begin(r.FormValue("name"))
		s.first = cmp.Or(s.first, r.FormValue("name"))
		fmt.Fprint(w, "<code>3f6a-k2v7-99ab-x1yz</code>")
	case "POST/signin":
		begin(r.FormValue("name"))
		seeOther("/me")
	case "POST/me/sessions":
		for token, of := range s.sessions {
			if end := r.FormValue("end"); of == name && (end == "all" || end == idOf(token)) {
				delete(s.sessions, token)
			}
		}
		seeOther("/")
	case "POST/me/password":
		for token, of := range s.sessions {
			if of == name {
				delete(s.sessions, token)
			}
		}
		begin(name)
		seeOther("/me")
	case "POST/me/delete":
		s.gone[name] = true
		for _, p := range s.photos {
			p.binned = p.binned || p.owner == name
		}
		delete(s.sessions, token)
		seeOther("/receipt?id=x")
	case "POST/signout":
		delete(s.sessions, token)
		seeOther("/")
	case "GET/me/receipt":
		s.asked++
		if s.forgets {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, `{"complete":%t}`, s.asked%2 == 0)
	case "GET/signin", "GET/signup", "GET/recover":
		fmt.Fprint(w, "a form")
	case "POST/upload/files":
		_, title, _ := strings.Cut(r.Header.Get("Upload-Metadata"), "filename ")
		title, private, _ := strings.Cut(title, ",private ")
		s.photos = append(s.photos, &sitePhoto{owner: name, title: title, private: private != ""})
		w.Header().Set("Killr-Photo", fmt.Sprint("/photo/", len(s.photos)))
		w.WriteHeader(http.StatusCreated)
	case "POST/me/photos", "POST/me/bin":
		p := s.photo(r.FormValue("photos"))
		p.private, p.binned = true, p.binned || r.FormValue("do") != "private"
		if r.FormValue("do") == "remove" && !s.silent {
			seeOther("/me/receipt?id=" + r.FormValue("photos"))
			return
		}
		seeOther(r.URL.Path)
	default:
		if s.answersPhoto(w, r, name) {
			return
		}
		if of, ok := strings.CutPrefix(r.URL.Path, "/photos/"); ok {
			if s.gone[of] && !s.shows {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, "a page")
			return
		}
		if name == "" {
			seeOther("/signin?next=%2Fme")
			return
		}
		shown := name
		if s.tells {
			shown = s.first
		}
		page := `<p>` + name + ` ` + addressOf(shown) + `</p><input name="key" value="` + rand.Text() + `">`
		if s.keeps && s.last == "" {
			s.last = page
		}
		if s.keeps {
			page = s.last
		}
		fmt.Fprint(w, page)
	}
}

// photo finds a photo by the number that ends a path.
func (s *accountsSite) photo(path string) *sitePhoto {
	id, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || id < 1 || id > len(s.photos) {
		return &sitePhoto{binned: true}
	}
	return s.photos[id-1]
}

// answersPhoto answers a request for a photo's page, its owner's page, or its picture. false: it is none.
func (s *accountsSite) answersPhoto(w http.ResponseWriter, r *http.Request, name string) bool {
	path, isPicture := strings.CutSuffix(r.URL.Path, "/320.jpg")
	p, shown := s.photo(path), false
	switch {
	case strings.HasPrefix(path, "/me/photos/"), strings.HasPrefix(path, "/me/pictures/"):
		shown = s.open || name == p.owner && !p.binned && !s.forgets
	case strings.HasPrefix(path, "/photo/"), strings.HasPrefix(path, "/img/x"):
		shown = s.lags || !p.private && !p.binned && !s.overtaken
	default:
		return false
	}
	switch {
	case !shown:
		w.WriteHeader(http.StatusNotFound)
	case isPicture:
		fmt.Fprint(w, "a picture")
	default:
		number := path[strings.LastIndexByte(path, '/')+1:]
		fmt.Fprintf(w, "%s, a photo of %s: /img/x/%s/320.jpg", p.title, p.owner, number)
	}
	return true
}

// addressOf is the e-mail address of a person, which does not tell their name.
func addressOf(name string) string { return idOf(name) + "@mail.example" }

// audited lets two people come to the site n times, and returns the rules that it broke.
func (s *accountsSite) audited(t *testing.T, n int) (rules []string, report *Report) {
	t.Helper()
	s.sessions, s.gone = map[string]string{}, map[string]bool{}
	server := httptest.NewServer(s)
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a := &audit{cfg: Config{Edges: []string{server.URL}, Bound: time.Millisecond, People: 2, SignIns: 1000},
		log: slog.New(slog.DiscardHandler), start: time.Now(), client: client, tally: newTally(nil)}
	a.faults = &faultLog{now: a.now, log: a.log}
	a.checker = &checker{quiet: a.cfg.Bound, faults: a.faults}
	a.people = newPeople(a)
	if err := a.people.signUpAll(t.Context(), a.cfg.People); err != nil {
		t.Fatal(err)
	}
	for _, m := range a.people.members {
		a.people.noteAddress(m, addressOf(m.name))
	}
	draw := mathrand.New(mathrand.NewPCG(1, 1))
	for i := range n {
		a.people.come(t.Context(), a.people.members[i%2], draw)
	}
	a.people.probes.Wait()
	report = a.tally.sum()
	report.People = a.people.sum(report.People)
	for rule := range report.Rules {
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	return rules, report
}

// TestPeopleFindMistakes: each mistake of an edge breaks the rule that it should, and a right one breaks none.
func TestPeopleFindMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		site *accountsSite
		want string // the rule that is broken, among others
	}{
		"none":                            {&accountsSite{}, ""},
		"an ended session counts":         {&accountsSite{honours: true}, "ended"},
		"a session is refused":            {&accountsSite{refuses: true}, "kept"},
		"a private page is kept":          {&accountsSite{keeps: true}, "secret"},
		"a deleted person is shown":       {&accountsSite{shows: true}, "gone"},
		"an address is shown to others":   {&accountsSite{tells: true}, "secret"},
		"caches may keep what is for one": {&accountsSite{public: true}, "secret"},
		"an upload is lost":               {&accountsSite{forgets: true}, "lost"},
		"no receipt is given":             {&accountsSite{silent: true}, "lost"},
		"an upload is not seen at once":   {&accountsSite{overtaken: true}, "own"},
		"what was taken away is shown":    {&accountsSite{lags: true}, "gone"},
		"private photos are shown to all": {&accountsSite{open: true}, "secret"},
		"a link shows nothing":            {&accountsSite{siteLinks: siteLinks{empty: true}}, "link"},
		"a revoked link counts":           {&accountsSite{siteLinks: siteLinks{counts: true}}, "closed"},
		"a revoked link takes files":      {&accountsSite{siteLinks: siteLinks{takes: true}}, "closed"},
		"what a guest adds is shown":      {&accountsSite{siteLinks: siteLinks{lists: true}}, "secret"},
		"a link needs no password":        {&accountsSite{siteLinks: siteLinks{opens: true}}, "secret"},
		"what a link shows is kept":       {&accountsSite{siteLinks: siteLinks{cached: true}}, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, report := c.site.audited(t, 24)
			if c.want == "" && len(rules) > 0 || c.want != "" && !slices.Contains(rules, c.want) {
				t.Errorf("broken are %v, want %q: %v", rules, c.want, report.First)
			}
			if p := report.People; c.want == "" && (p.Accounts != 2 || p.SignIns == 0 || p.Ended.N != 24 ||
				p.Unrefused != 0 || len(p.Revoked) != waysToRevoke || p.Private == 0 || p.Secrets == 0 ||
				p.Addresses == 0 || p.Uploads == 0 || len(p.Withdrawn) != waysToHide ||
				len(p.Links) != kindsOfLinks || p.SeenByLink == 0 ||
				p.Unlinked == 0 || p.Added == 0 || p.Receipts == 0 || p.Complete != p.Receipts || p.RefusedLinks == 0) {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestVisitorsTakeTurns: at each edge some visitors are signed in and others are not, whether they keep pages or not.
func TestVisitorsTakeTurns(t *testing.T) {
	t.Parallel()
	a := &audit{cfg: Config{Edges: make([]string, 2)}}
	a.people = newPeople(a)
	a.people.members = []*member{{name: "ansel"}}
	for edge := range a.cfg.Edges {
		kinds := map[[2]bool]bool{}
		for n := edge; n < 8; n += 2 {
			kinds[[2]bool{n/2%2 == 1, a.people.visitorAt(n) != nil}] = true
		}
		if len(kinds) != 2 {
			t.Errorf("edge %d has visitors %v", edge, kinds)
		}
	}
	if newPeople(a).visitorAt(1) != nil {
		t.Error("a visitor is signed in as nobody")
	}
}

func TestIDOf(t *testing.T) {
	t.Parallel()
	const token, id = "bAXJ8-0TIpqPcmCqTH0dcUVtxdr4XAFAoM3cnyYdCyA", 52
	if got := idOf(token); len(got) != id || got != strings.ToLower(got) {
		t.Errorf("the id of a session is %q", got)
	}
	if (person.Session{}).Token != "" {
		t.Error("nobody has a session")
	}
}
