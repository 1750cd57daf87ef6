package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/cascadia"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/net/html"

	"flickrkillr/edge"
	roles "flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// peopleSite is four edges and a renderer in this process, on an empty database. Sign-ups fill it.
type peopleSite struct {
	t    testing.TB
	site *roles.Site
	urls []string // of the edges, without a slash at the end
	pool *pgxpool.Pool
	nc   *nats.Conn
	said *testenv.Output

	pictures string // the folder of the picture store

	secrets []string // codes and tokens that people have got
}

// addressGuesses leaves enough for the whole test, which has one address.
const addressGuesses = 400

// newPeopleSite starts such a site. With more it also gets what more changes.
func newPeopleSite(t testing.TB, more ...func(*roles.Config)) *peopleSite {
	t.Helper()
	bus, postgres := testenv.NATSServer(t), testenv.DatabaseURL(t)
	s := &peopleSite{t: t, pool: testenv.Pool(t, postgres), nc: testenv.Connect(t, bus.URL()),
		said: testenv.NewOutput(), pictures: t.TempDir()}
	cfg := roles.Config{
		Services: stack.Env{NATS: bus.URL(), Seeds: testenv.Seeds(t), Postgres: postgres},
		Pictures: s.pictures, Addr: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(s.said, &slog.HandlerOptions{Level: slog.LevelDebug})), AccessLog: true,
		Edge: edge.Config{AddressGuesses: addressGuesses},
	}
	for _, change := range more {
		change(&cfg)
	}
	site := roles.New(cfg)
	s.site = site
	t.Cleanup(func() { must(t, site.Stop()) })
	must(t, site.Add(roles.Renderer, 1))
	must(t, site.Add(roles.Edge, 4))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, site.WaitReady(ctx))
	s.urls = site.URLs()
	return s
}

// person is a browser, and who sits in front of it.
type person struct {
	s        *peopleSite
	client   *http.Client
	name     string
	password string
	codes    []string
	header   http.Header // sent with each form
}

func (s *peopleSite) person(name string) *person {
	jar, _ := cookiejar.New(nil) // it never fails
	client := newClient(s.t, 2)
	client.Jar = jar
	return &person{s: s, client: client, name: name, password: "a long walk of " + name, header: http.Header{}}
}

// shown is an answer.
type shown struct {
	t      testing.TB
	status int
	header http.Header
	body   string
	root   *html.Node
}

func (p *person) send(method, address, contentType, body string) *shown {
	t := p.s.t
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	must(t, err)
	if method == http.MethodPost {
		u, err := url.Parse(address)
		must(t, err)
		r.Header.Set("Origin", u.Scheme+"://"+u.Host)
		r.Header.Set("Content-Type", contentType)
	}
	for name, values := range p.header {
		r.Header.Del(name)
		for _, value := range values {
			if value != "" {
				r.Header.Add(name, value)
			}
		}
	}
	answer, err := p.client.Do(r)
	must(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(t, err)
	root, err := html.Parse(strings.NewReader(string(data)))
	must(t, err)
	return &shown{t, answer.StatusCode, answer.Header, string(data), root}
}

func (p *person) get(edge int, path string) *shown {
	p.s.t.Helper()
	return p.send(http.MethodGet, p.s.urls[edge]+path, "", "")
}

// form sends a form as the page at its path does, with its hidden key unless fields has one.
func (p *person) form(edge int, path string, fields url.Values) *shown {
	p.s.t.Helper()
	if !fields.Has("key") {
		fields.Set("key", p.get(edge, path).attr("input[name=key]", "value"))
	}
	return p.send(http.MethodPost, p.s.urls[edge]+path, "application/x-www-form-urlencoded", fields.Encode())
}

func (p *person) signUp(edge int) *shown {
	p.s.t.Helper()
	answer := p.form(edge, "/signup", url.Values{"name": {p.name}, "password": {p.password}})
	answer.expect(http.StatusOK, "")
	p.codes = answer.texts("main li code")
	p.s.secrets = append(append(p.s.secrets, p.codes...), p.cookie("session"))
	return answer
}

func (p *person) signIn(edge int) *shown {
	p.s.t.Helper()
	return p.form(edge, "/signin", url.Values{"name": {p.name}, "password": {p.password}})
}

// knows reports whether an edge takes this browser for signed in.
func (p *person) knows(edge int) bool {
	p.s.t.Helper()
	answer := p.get(edge, "/me")
	if answer.status != http.StatusOK && answer.header.Get("Location") != "/signin?next=%2Fme" {
		p.s.t.Errorf("/me: %d to %q", answer.status, answer.header.Get("Location"))
	}
	return answer.status == http.StatusOK
}

func (a *shown) expect(status int, location string) {
	a.t.Helper()
	if a.status != status || a.header.Get("Location") != location {
		a.t.Errorf("status %d to %q, want %d to %q; problems %q", a.status, a.header.Get("Location"), status, location,
			a.texts(".problem, .empty h1"))
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		a.t.Errorf("Cache-Control is %q", got)
	}
}

func (a *shown) attr(selector, name string) string {
	for _, n := range cascadia.QueryAll(a.root, cascadia.MustCompile(selector)) {
		for _, attribute := range n.Attr {
			if attribute.Key == name {
				return attribute.Val
			}
		}
	}
	return ""
}

func (a *shown) texts(selector string) (all []string) {
	for _, n := range cascadia.QueryAll(a.root, cascadia.MustCompile(selector)) {
		var b strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
		all = append(all, strings.TrimSpace(b.String()))
	}
	return all
}

// TestPeople is the way of people through their pages, over four edges. Its parts share a site.
func TestPeople(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *peopleSite)
	}{
		{"sign up, out and in", signUpOutIn},
		{"refused names and passwords", refusedNames},
		{"profile", editProfile},
		{"new password", newPassword},
		{"recovery", recovery},
		{"sessions", listSessions},
		{"tokens", apiTokens},
		{"login", loginByProgram},
		{"new codes", newCodes},
		{"own photos", ownPhotos},
		{"own albums", ownAlbums},
		{"closed account", closeAccount},
		{"deleted account", deleteAccount},
		{"forged", forgedForms},
		{"expired keys", expiredKeys},
		{"other spellings", otherSpellings},
		{"watched by an operator", watchSessions},
		{"bad input", badForms},
		{"shared pages", sharedPages},
		{"browser", inBrowser},
		{"albums in a browser", albumsInBrowser},
		{"guesses", guesses},
		{"no secrets", noSecrets},
	} {
		t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.run(t, s)
		})
	}
}

func signUpOutIn(t *testing.T, s *peopleSite) {
	p := s.person("vivian")
	key := p.get(0, "/signup").attr("input[name=key]", "value")
	fields := url.Values{"name": {"Ｖivian"}, "password": {p.password}, "key": {key}} // NFKC and case
	first := p.form(0, "/signup", fields)
	first.expect(http.StatusOK, "")
	codes := first.texts("main li code")
	if len(codes) != 10 || first.header.Get("X-Cache") != "render" {
		t.Errorf("codes %q from %s", codes, first.header.Get("X-Cache"))
	}
	again := p.form(1, "/signup", fields)
	if got := again.texts("main li code"); !slices.Equal(got, codes) {
		t.Errorf("sent twice: %d, codes %q, want %q", again.status, got, codes)
	}
	fields.Set("password", "another long walk")
	p.form(0, "/signup", fields).expect(http.StatusUnprocessableEntity, "")
	for i := range s.urls {
		if !p.knows(i) {
			t.Errorf("edge %d does not know who signed up", i)
		}
	}
	p.get(2, "/signin").expect(http.StatusSeeOther, "/me")
	thief := s.person("") // has a copy of the cookie
	thief.header.Set("Cookie", "session="+p.cookie("session"))
	s.secrets = append(append(s.secrets, codes...), p.cookie("session"))
	for i := range s.urls {
		if !thief.knows(i) {
			t.Errorf("edge %d does not know the copy of a cookie", i)
		}
	}
	p.form(1, "/signout", url.Values{"key": {"none"}}).expect(http.StatusSeeOther, "/")
	if p.cookie("session") != "" {
		t.Error("the browser keeps the cookie")
	}
	for i := range s.urls {
		testenv.Eventually(t, "the session has ended", func() bool { return !thief.knows(i) })
	}
	fields.Set("password", p.password)
	reloaded := p.form(3, "/signup", fields) // by the next visitor at this computer
	if got := reloaded.texts("main li code"); !slices.Equal(got, codes) || p.knows(3) {
		t.Errorf("a sign-up reloaded after signing out: %d, codes %q, signed in: %t", reloaded.status, got, p.knows(3))
	}
	wrong := s.person("vivian")
	wrong.password = "something else"
	unknown := s.person("nobody_there")
	a, b := wrong.signIn(0), unknown.signIn(0)
	a.expect(http.StatusUnprocessableEntity, "")
	b.expect(http.StatusUnprocessableEntity, "")
	if x, y := a.texts(".problem"), b.texts(".problem"); len(x) != 1 || !slices.Equal(x, y) {
		t.Errorf("a wrong password is answered by %q, an unknown name by %q", x, y)
	}
	if a.attr("input[name=name]", "value") != "vivian" || strings.Contains(a.body, wrong.password) {
		t.Error("the name is lost, or the password is not")
	}
	p.form(3, "/signin", url.Values{"name": {"VIVIAN"}, "password": {p.password}, "next": {"/tag/lake?x=1"}}).
		expect(http.StatusSeeOther, "/tag/lake?x=1")
	if !p.knows(0) {
		t.Error("not signed in")
	}
	recover := s.person("x").form(0, "/recover?next=%2Fabout", url.Values{"name": {"vivian"}, "next": {"/about"}})
	if said := strings.Join(recover.texts(".problem"), " "); recover.attr("input[name=next]", "value") != "" ||
		strings.Contains(said, "next") || recover.attr("input[name=name]", "value") != "vivian" {
		t.Errorf("a form that leads nowhere says %q of a path", said)
	}
	for site, want := range map[string]int{"cross-site": 0, "same-origin": 1} {
		p.header.Set("Sec-Fetch-Site", site)
		if got := p.get(0, "/me?notice=recovered").texts("main p[role=status]"); len(got) != want {
			t.Errorf("who comes by a link, %s, is told %q", site, got)
		}
	}
	p.header.Del("Sec-Fetch-Site")
	for _, next := range []string{"//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x"} {
		if got := s.person("x").get(0, "/signin?next="+url.QueryEscape(next)); strings.Contains(got.body, "evil") ||
			strings.Contains(got.body, "javascript:x") {
			t.Errorf("%s would be gone to", next)
		}
	}
}

func refusedNames(t *testing.T, s *peopleSite) {
	s.person("taken_name").signUp(0)
	for name, part := range map[string]string{
		"taken_name": "Name is taken", "TAKEN_NAME": "Name is taken", "admin": "kept for the site",
		"ａｄｍｉｎ": "kept for the site", "me": "kept for the site", "photos": "kept for the site", "": "missing",
		"a": "too short", strings.Repeat("a", 32): "too long", strings.Repeat("a", 4096): "too long",
		"a\r\nSet-Cookie: x=1": "control characters", "an\u0000sel": "control characters",
		"\u202elesna": "invisible", "an\u200bsel": "invisible", "аnsel": "other characters", // a Cyrillic letter
		"an sel": "other characters", "-ansel": "begins with", "<b>ansel</b>": "other characters",
	} {
		p := s.person(name)
		answer := p.form(0, "/signup", url.Values{"name": {name}, "password": {"a long walk"}})
		answer.expect(http.StatusUnprocessableEntity, "")
		if got := strings.Join(answer.texts(".problem"), " "); !strings.Contains(got, part) {
			t.Errorf("%.40q: %q, want %q", name, got, part)
		}
		if kept := answer.attr("input[name=name]", "value"); !strings.ContainsAny(name, "\r\x00") &&
			!strings.Contains(name, "\u202e") && kept != name {
			t.Errorf("%.40q: the form has %.40q", name, kept)
		}
		if p.knows(0) {
			t.Errorf("%.40q is signed in", name)
		}
	}
	answer := s.person("x").form(0, "/signup", url.Values{"name": {"root"}, "password": {"password"}})
	if got := answer.texts(".problem"); len(got) != 2 {
		t.Errorf("two mistakes are answered by %q", got)
	}
}

func editProfile(t *testing.T, s *peopleSite) {
	p, visitor := s.person("dorothea"), s.person("")
	p.signUp(0)
	for i := range s.urls { // each edge keeps the page of before
		visitor.get(i, "/photos/dorothea")
	}
	form := p.get(0, "/me/profile")
	if form.attr("input[name=display]", "value") != "dorothea" {
		t.Error("the form does not show the profile")
	}
	p.form(0, "/me/profile", url.Values{"display": {"Dorothea <L>"}, "bio": {"Roads\r\n\r\nand people"}}).
		expect(http.StatusSeeOther, "/photos/dorothea")
	for i := range s.urls {
		if got := p.get(i, "/photos/dorothea"); !strings.Contains(got.body, "Dorothea &lt;L&gt;") ||
			!strings.Contains(got.body, "and people") {
			t.Errorf("edge %d does not show the writer's change", i)
		}
	}
	for field, values := range map[string][2]string{
		"display": {"a\u202eb", "direction"}, "bio": {strings.Repeat("a", 2001), "2001 characters"},
	} {
		fields := url.Values{"display": {"Dorothea"}, "bio": {"Kept"}}
		fields.Set(field, values[0])
		answer := p.form(1, "/me/profile", fields)
		answer.expect(http.StatusUnprocessableEntity, "")
		if got := strings.Join(answer.texts(".problem"), " "); !strings.Contains(got, values[1]) {
			t.Errorf("%s: %q", field, got)
		}
		if field == "display" && strings.Join(answer.texts("textarea"), "") != "Kept" {
			t.Error("the other field is lost")
		}
	}
}

func newPassword(t *testing.T, s *peopleSite) {
	p, other := s.person("imogen"), s.person("imogen")
	p.signUp(0)
	other.signIn(1).expect(http.StatusSeeOther, "/me")
	before := p.cookie("session")
	refused := p.form(0, "/me/password", url.Values{"old": {"not it"}, "password": {"by the sea"}})
	refused.expect(http.StatusUnprocessableEntity, "")
	fields := url.Values{"old": {p.password}, "password": {"by the sea"}}
	p.form(2, "/me/password", fields).expect(http.StatusSeeOther, "/me?notice=password")
	p.form(2, "/me/password", fields).expect(http.StatusSeeOther, "/me?notice=password") // with the same key
	if p.cookie("session") == before {
		t.Error("the token is the same as before")
	}
	for i := range s.urls {
		if !p.knows(i) {
			t.Errorf("edge %d has signed out who changed the password", i)
		}
		testenv.Eventually(t, "other browsers are signed out", func() bool { return !other.knows(i) })
	}
	other.signIn(0).expect(http.StatusUnprocessableEntity, "")
	other.password = "by the sea"
	other.signIn(0).expect(http.StatusSeeOther, "/me")
}

func recovery(t *testing.T, s *peopleSite) {
	p := s.person("berenice")
	p.signUp(0)
	code := strings.ToUpper(strings.ReplaceAll(p.codes[3], "-", " "))
	lost := s.person("berenice")
	fields := func(code, password string) url.Values {
		return url.Values{"name": {"berenice"}, "code": {code}, "password": {password}}
	}
	lost.form(0, "/recover", fields("aaaa-bbbb-cccc-dddd", "in the field")).
		expect(http.StatusUnprocessableEntity, "")
	lost.form(1, "/recover", fields(code, "in the field")).expect(http.StatusSeeOther, "/me?notice=recovered")
	if left := strings.Join(lost.get(0, "/me").texts(".quiet"), ""); !strings.Contains(left, "9") {
		t.Errorf("after a code was used: %q", left)
	}
	testenv.Eventually(t, "other browsers are signed out", func() bool { return !p.knows(2) })
	s.person("").form(0, "/recover", fields(code, "out of town")).expect(http.StatusUnprocessableEntity, "")
	p.password = "in the field"
	p.signIn(0).expect(http.StatusSeeOther, "/me")
	const token = "what-a-mailed-link-has-in-it"
	s.secrets = append(s.secrets, token)
	for _, visitor := range []*person{p, s.person("")} { // whether signed in or not
		form := visitor.get(0, "/reset?token="+token)
		form.expect(http.StatusOK, "")
		if got := form.header.Get("Referrer-Policy"); form.attr("input[name=token]", "value") != token ||
			got != "same-origin" {
			t.Errorf("the page of a mailed link has the token %q and Referrer-Policy %q",
				form.attr("input[name=token]", "value"), got)
		}
	}
	s.person("").form(0, "/reset", url.Values{"token": {token}, "password": {"over the hills"}}).
		expect(http.StatusUnprocessableEntity, "")
}

func listSessions(t *testing.T, s *peopleSite) {
	p, other, third := s.person("garry"), s.person("garry"), s.person("garry")
	other.header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
	p.signUp(0)
	other.signIn(1)
	third.signIn(2)
	list := p.get(3, "/me/sessions")
	ends := list.texts("form h2 bdi")
	if len(ends) != 3 || !slices.Contains(ends, "Firefox on Linux") {
		t.Errorf("sessions %q", ends)
	}
	id := ""
	for _, n := range cascadia.QueryAll(list.root, cascadia.MustCompile("main form")) {
		one := &shown{t: t, root: n}
		if slices.Contains(one.texts("h2 bdi"), "Firefox on Linux") {
			id = one.attr("button", "value")
		}
	}
	s.person("").form(0, "/me/sessions", url.Values{"key": {"none"}, "end": {id}}).
		expect(http.StatusSeeOther, "/signin?next=%2Fme%2Fsessions")
	p.form(0, "/me/sessions", url.Values{"end": {id}}).expect(http.StatusSeeOther, "/me/sessions?notice=ended")
	testenv.Eventually(t, "that browser is signed out", func() bool { return !other.knows(1) && !other.knows(3) })
	if !third.knows(1) || !p.knows(1) {
		t.Error("another session has ended, too")
	}
	p.form(0, "/me/sessions", url.Values{"end": {"all"}}).expect(http.StatusSeeOther, "/")
	testenv.Eventually(t, "all browsers are signed out", func() bool { return !third.knows(2) && !p.knows(0) })
}

// forgedForms: what another site makes a browser send is refused, on every path of a private page or form.
func forgedForms(t *testing.T, s *peopleSite) {
	p := s.person("lisette")
	p.signUp(0)
	paths := []string{page.PathSignOut, page.OwnPhoto(7).Path(), page.OwnAlbum(7).Path()}
	for _, kind := range page.Privates() {
		if !kind.AboutPhoto() && !kind.AboutAlbum() {
			paths = append(paths, kind.Path())
		}
	}
	for what, header := range map[string]http.Header{
		"another origin":       {"Origin": {"https://evil.example"}},
		"the browser says so":  {"Origin": {""}, "Sec-Fetch-Site": {"cross-site"}},
		"another port":         {"Origin": {"http://127.0.0.1:1"}},
		"an origin of no site": {"Origin": {"null"}},
		"neither field":        {"Origin": {""}},
		"another subdomain":    {"Origin": {""}, "Sec-Fetch-Site": {"same-site"}},
	} {
		p.header = header
		for _, path := range paths {
			answer := p.form(0, path, url.Values{"key": {strings.Repeat("k", 26)}, "end": {"all"}})
			if answer.expect(http.StatusForbidden, ""); len(answer.header["Set-Cookie"]) > 0 {
				t.Errorf("%s, %s: sets %q", what, path, answer.header["Set-Cookie"])
			}
		}
	}
	p.header = http.Header{}
	if !p.knows(0) {
		t.Error("a forged form has signed somebody out")
	}
}

// badForms: each gets a clear answer, and changes nothing.
func badForms(t *testing.T, s *peopleSite) {
	const urlencoded = "application/x-www-form-urlencoded"
	key := "key=" + strings.Repeat("k", 26)
	for what, c := range map[string]struct {
		path, kind, body string
		status           int
	}{
		"no content type":       {"/signup", "", key + "&name=bad_form&password=a+long+walk", 415},
		"JSON":                  {"/signup", "application/json", `{"name":"bad_form","password":"a long walk"}`, 415},
		"multipart":             {"/signup", "multipart/form-data; boundary=x", "--x--", 415},
		"another charset":       {"/signup", urlencoded + "; charset=utf-16", key + "&name=bad_form", 415},
		"huge":                  {"/signup", urlencoded, key + "&name=" + strings.Repeat("a", 129<<10), 413},
		"a field twice":         {"/signup", urlencoded, key + "&name=bad_form&name=other&password=a+long+walk", 400},
		"many fields":           {"/signup", urlencoded, key + manyFields(100), 400},
		"not UTF-8":             {"/signup", urlencoded, key + "&name=bad%ff&password=a+long+walk", 400},
		"broken escapes":        {"/signup", urlencoded, key + "&name=%zz", 400},
		"no key":                {"/signup", urlencoded, "name=bad_form&password=a+long+walk", 400},
		"a short key":           {"/signup", urlencoded, "key=k&name=bad_form&password=a+long+walk", 400},
		"a key with a break":    {"/signup", urlencoded, key + "%0d%0a&name=bad_form&password=a+long+walk", 400},
		"an unknown field":      {"/signup", urlencoded, key + "&name=bad_form&password=a+long+walk&admin=1", 422},
		"empty":                 {"/signup", urlencoded, "", 400},
		"a page without a form": {"/about", urlencoded, key, 405},
		"sign out by GET":       {"/signout", "GET", "", 405},
	} {
		p, method := s.person("bad_form"), http.MethodPost
		if c.kind == "GET" {
			method = http.MethodGet
		}
		answer := p.send(method, s.urls[0]+c.path, c.kind, c.body)
		if answer.status != c.status || len(answer.texts("h1")) != 1 {
			t.Errorf("%s: %d %q, want %d", what, answer.status, answer.texts("h1"), c.status)
		}
		if strings.Contains(answer.body, "a long walk") {
			t.Errorf("%s: the password is on the page", what)
		}
	}
	if n := s.count("SELECT count(*) FROM users WHERE name = 'bad_form'"); n != 0 {
		t.Error("a bad form was taken")
	}
	p := s.person("bad_cookie")
	p.signUp(0)
	session := "session=" + p.cookie("session")
	planted := "session=" + strings.Repeat("A", 43)
	for what, c := range map[string]struct {
		cookie   string
		location string // of the answer to /me; "": the page
	}{
		"8 KB beside it":     {"x=" + strings.Repeat("a", 8<<10) + "; " + session, ""},
		"a planted one":      {planted, "/signin?next=%2Fme"},
		"nonsense":           {"session=../../x", "/signin?next=%2Fme"},
		"two sessions":       {session + "; " + session, "/signin?next=%2Fme&notice=cookies"},
		"8 KB as the token":  {"session=" + strings.Repeat("a", 8<<10), "/signin?next=%2Fme"},
		"a planted and real": {planted + "; " + session, "/signin?next=%2Fme&notice=cookies"},
	} {
		other := s.person("")
		other.header.Set("Cookie", c.cookie)
		answer := other.get(0, "/me")
		answer.expect(map[bool]int{true: 200, false: 303}[c.location == ""], c.location)
		cleared := slices.ContainsFunc(answer.header["Set-Cookie"], func(line string) bool {
			return strings.HasPrefix(line, "session=;") && strings.Contains(line, "Max-Age=0")
		})
		// A token that is not found may be while the bucket is made anew: the browser keeps it.
		if cleared != (c.location != "" && what != "a planted one") {
			t.Errorf("%s: the cookie is cleared: %t", what, cleared)
		}
	}
	if _, err := s.pool.Exec(t.Context(), "DELETE FROM users WHERE name = 'bad_cookie'"); err != nil {
		t.Fatal(err)
	}
	p.get(0, "/me").expect(http.StatusSeeOther, "/signin?next=%2Fme")
	p.get(0, "/signin").expect(http.StatusOK, "")
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&f%d=x", i)
	}
	return b.String()
}

// sharedPages: a visitor who is signed in gets the same bytes as everybody, from the same copies.
func sharedPages(t *testing.T, s *peopleSite) {
	p, visitor := s.person("sally"), s.person("")
	p.signUp(0)
	p.forget("fresh") // it expires ten seconds after the sign-up
	for _, path := range []string{"/about", "/photos/sally", "/photos/dorothea"} {
		want := visitor.get(0, path)
		testenv.Eventually(t, "the page is kept", func() bool {
			want = visitor.get(0, path)
			return want.header.Get("X-Cache") == "near"
		})
		got := p.get(0, path)
		if got.header.Get("X-Cache") != "near" || got.body != want.body || len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: from %s, %d bytes, others get %d; cookies %q", path, got.header.Get("X-Cache"), len(got.body),
				len(want.body), got.header["Set-Cookie"])
		}
	}
	for range 3 {
		if got := p.get(0, "/me"); got.header.Get("X-Cache") != "render" || got.header.Get("Etag") != "" {
			t.Errorf("/me is from %s", got.header.Get("X-Cache"))
		}
	}
}

// inBrowser: somebody signs up, edits their profile and signs out in Chromium, whose header says who is signed in.
func inBrowser(t *testing.T, s *peopleSite) {
	parent, visitor := browser(t), s.person("")
	b := newTab(t, parent, s.urls[1])
	fill := func(field, text string) {
		t.Helper()
		b.do(chromedp.SendKeys("#"+field, text))
	}
	press := func() { t.Helper(); ask[bool](b, `(document.querySelector("main button").click(), true)`) }
	header := `document.querySelector(".me")?.textContent`
	b.open("/about")
	b.becomes(header + ` === "Sign in"`)
	b.becomes(`location.pathname + location.search === "/signin?next=%2Fabout" ||
		!!document.querySelector(".me").click()`)
	// A press during the transition between two documents is lost.
	b.becomes(`location.pathname === "/signup" || !!document.querySelector("main .quiet a").click()`)
	fill("name", "Diane_Arbus_of_New_York")
	fill("password", "a long walk")
	press()
	b.becomes(`document.querySelectorAll("main li code").length === 10`)
	b.becomes(header + ` === "diane_a…"`)
	// A browser sends its cookies to all edges, as they have one host name.
	const own = "/photos/diane_arbus_of_new_york"
	testenv.Eventually(t, "another edge keeps the page", func() bool {
		return visitor.get(3, own).header.Get("X-Cache") == "near"
	})
	b.open("/me/profile")
	fill("bio", "Seen in the park.")
	press()
	b.becomes(`location.pathname === "/photos/diane_arbus_of_new_york" &&
		document.querySelector("main").textContent.includes("Seen in the park.")`)
	if !slices.Contains(b.cookieNames(), "fresh") {
		t.Errorf("after a change the browser has the cookies %q", b.cookieNames())
	}
	b.do(chromedp.Navigate(s.urls[3] + own))
	if !ask[bool](b, `document.querySelector("main").textContent.includes("Seen in the park.")`) {
		t.Error("another edge does not show who made a change the change")
	}
	openPage(t, parent, s.urls[2]+"/me/sessions", 360, true)
	openPage(t, parent, s.urls[2]+"/me/profile", 1440, false)
	openPage(t, parent, s.urls[2]+"/me/delete", 360, true)
	openPage(t, parent, s.urls[2]+"/me/tokens", 360, false)
	ownInBrowser(t, parent, s, "diane_arbus_of_new_york")
	b.open("/me")
	press()
	b.becomes(`location.pathname === "/" && ` + header + ` === "Sign in"`)
	b.noProblems()
	passkeyInBrowser(t, parent, s, "Diane_Arbus_of_New_York", "a long walk")
}

// guesses: of a thousand guesses at one password over four edges, ten reach a renderer.
func guesses(t *testing.T, s *peopleSite) {
	var reached sync.Map // the ids of requests: on a slow machine an edge asks twice
	sub, err := s.nc.Subscribe(wire.ActionSubject(wire.ActionSignIn), func(m *nats.Msg) {
		reached.Store(m.Header.Get(wire.HeaderRequest), true)
	})
	must(t, err)
	defer func() { must(t, sub.Unsubscribe()) }()
	must(t, s.nc.Flush())
	fields := url.Values{"name": {"sally"}, "password": {"a guess"}, "key": {strings.Repeat("k", 26)}}.Encode()
	var guessers sync.WaitGroup
	var refused atomic.Int64
	client := newClient(t, 1)
	for i := range 20 {
		guessers.Go(func() {
			for j := range 50 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.urls[(i+j)%4]+"/signin",
					strings.NewReader(fields))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				if answer.StatusCode == http.StatusTooManyRequests && answer.Header.Get("Retry-After") != "" {
					refused.Add(1)
				}
				_ = answer.Body.Close()
			}
		})
	}
	guessers.Wait()
	must(t, s.nc.Flush())
	n := 0
	reached.Range(func(any, any) bool { n++; return true })
	if n == 0 || n > 10 || refused.Load() < 1000-10 {
		t.Errorf("%d guesses reached a renderer, %d were refused", n, refused.Load())
	}
	other := s.person("ＳＡＬＬＹ") // another spelling of the name is no other account
	other.signIn(2).expect(http.StatusTooManyRequests, "")
	answer := s.person("sally").signIn(1)
	said := strings.Join(answer.texts(".problem"), "")
	if answer.status != http.StatusTooManyRequests || !strings.Contains(said, "Try again in") {
		t.Errorf("the page of a further guess: %d %q", answer.status, said)
	}
	if answer.attr("input[name=name]", "value") != "sally" {
		t.Error("the name is lost")
	}
	p, tooShort := s.person("x"), url.Values{"name": {"x"}, "password": {"x"}, "key": {strings.Repeat("k", 26)}}
	statuses := map[int]int{}
	// The minute in which guesses count may end meanwhile: then as many are allowed again.
	for i := 0; i <= 3*addressGuesses && statuses[http.StatusTooManyRequests] == 0; i++ {
		statuses[p.form(i%4, "/signup", tooShort).status]++
	}
	if statuses[http.StatusTooManyRequests] != 1 || len(statuses) > 2 {
		t.Errorf("forms of one address get %v, of which %d a minute are allowed", statuses, addressGuesses)
	}
}

// noSecrets: no password, code or token of this test is in a log, in what actions remember, or in a bucket.
func noSecrets(t *testing.T, s *peopleSite) {
	secrets := append(s.secrets,
		"a long walk", "by the sea", "in the field", "a+long+walk", "a guess", "something else")
	places := map[string]string{"the log": s.said.String()}
	for what, sql := range map[string]string{
		"action_keys":    "SELECT coalesce(string_agg(k::text, ' '), '') FROM action_keys k",
		"accounts":       "SELECT string_agg(a::text, ' ') FROM accounts a",
		"recovery_codes": "SELECT coalesce(string_agg(encode(c.code, 'escape'), ' '), '') FROM recovery_codes c",
	} {
		var text string
		must(t, s.pool.QueryRow(t.Context(), sql).Scan(&text))
		places[what] = text
	}
	js, err := jetstream.New(s.nc)
	must(t, err)
	for _, name := range []string{wire.BucketSessions, wire.BucketLimits} {
		kv, err := js.KeyValue(t.Context(), name)
		must(t, err)
		keys, err := kv.Keys(t.Context())
		must(t, err)
		for _, key := range keys {
			entry, err := kv.Get(t.Context(), key)
			must(t, err)
			places[name] += key + " " + string(entry.Value()) + "\n"
		}
	}
	for place, text := range places {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %q", place, secret)
			}
		}
		if text == "" {
			t.Errorf("%s is empty", place)
		}
	}
	if n := s.count("SELECT count(*) FROM recovery_codes WHERE octet_length(code) <> 32"); n != 0 {
		t.Error("recovery codes are stored as they are")
	}
}

// count asks the database for one number.
func (s *peopleSite) count(sql string) (n int) {
	s.t.Helper()
	must(s.t, s.pool.QueryRow(s.t.Context(), sql).Scan(&n))
	return n
}

func (p *person) cookies() []*http.Cookie {
	u, err := url.Parse(p.s.urls[0])
	must(p.s.t, err)
	return p.client.Jar.Cookies(u)
}

func (p *person) cookie(name string) string {
	for _, c := range p.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (p *person) forget(name string) {
	u, err := url.Parse(p.s.urls[0])
	must(p.s.t, err)
	p.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Path: "/", MaxAge: -1}})
}
