package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/cascadia"

	"flickrkillr/ops/cli"
	"flickrkillr/ops/testenv"
)

// program is a client with an API token and no cookies.
func (s *peopleSite) program(token string) *person {
	p := s.person("")
	p.client.Jar = nil
	p.header.Set("Authorization", "Bearer "+token)
	p.header.Set("Origin", "") // a program has none
	return p
}

// token makes an API token on the page.
func (p *person) token(edge int, name, access string) string {
	p.s.t.Helper()
	made := p.form(edge, "/me/tokens", url.Values{"name": {name}, "access": {access}, "password": {p.password}})
	made.expect(http.StatusOK, "")
	codes := made.texts("main code")
	if len(codes) != 1 || !strings.HasPrefix(codes[0], "killr_") {
		p.s.t.Fatalf("the new token is %q", codes)
	}
	p.s.secrets = append(p.s.secrets, codes[0][len("killr_"):])
	return codes[0]
}

// accepts reports whether an edge takes a token.
func (p *person) accepts(edge int) bool {
	p.s.t.Helper()
	return p.get(edge, "/me").status == http.StatusOK
}

// apiTokens: what a token may do, and when it ends.
func apiTokens(t *testing.T, s *peopleSite) {
	p := s.person("dora")
	p.signUp(0)
	readToken, writeToken := p.token(0, "a reader", "read"), p.token(1, "a <writer>", "write")
	reads, writes := s.program(readToken), s.program(writeToken)
	for i := range s.urls {
		var who struct{ Name string }
		answer := writes.get(i, "/me")
		if err := json.Unmarshal([]byte(answer.body), &who); err != nil || who.Name != "dora" {
			t.Errorf("edge %d: %d %q", i, answer.status, answer.body)
		}
	}
	key := strings.Repeat("k", 26)
	edit := func(from *person, fields url.Values) *shown {
		return from.send(http.MethodPost, s.urls[1]+"/me/profile", "application/x-www-form-urlencoded",
			fields.Encode())
	}
	for name, c := range map[string]struct {
		answer *shown
		status int
		says   string
	}{
		"write":         {edit(writes, url.Values{"bio": {"by a program"}, "key": {key}}), http.StatusOK, "user.dora"},
		"without a key": {edit(writes, url.Values{"bio": {"by a program"}}), http.StatusUnprocessableEntity, "key"},
		"wrong field": {edit(writes, url.Values{"x": {"y"}, "key": {key}}), http.StatusUnprocessableEntity,
			"x is no field"},
		"read-only": {edit(reads, url.Values{"bio": {"no"}, "key": {key}}), http.StatusForbidden, "may only read"},
		"profile":   {reads.get(2, "/me/profile"), http.StatusOK, "by a program"},
		"wrong token": {s.program("killr_"+strings.Repeat("A", 43)).get(0, "/me"), http.StatusUnauthorized,
			"invalid_token"},
		"no token": {s.program("").get(0, "/me"), http.StatusUnauthorized,
			"invalid_token"},
		"a cookie": {s.program("killr_"+p.cookie("session")).get(0, "/me"), http.StatusUnauthorized,
			"invalid_token"},
		"a token's list": {writes.get(0, "/me/tokens"), http.StatusForbidden, "sign in with a browser"},
		"sessions":       {writes.get(0, "/me/sessions"), http.StatusForbidden, "sign in with a browser"},
		"new token": {writes.form(0, "/me/tokens", url.Values{"key": {key}, "name": {"x"}}),
			http.StatusForbidden, "sign in with a browser"},
		"password": {writes.form(0, "/me/password", url.Values{"key": {key}, "old": {p.password}}),
			http.StatusForbidden, "sign in with a browser"},
		"delete": {writes.form(0, "/me/delete", url.Values{"key": {key}, "password": {p.password}}),
			http.StatusForbidden, "sign in with a browser"},
		"codes": {writes.form(0, "/me/codes", url.Values{"key": {key}, "password": {p.password}}),
			http.StatusForbidden, "sign in with a browser"},
	} {
		if c.answer.status != c.status || !strings.Contains(c.answer.body, c.says) ||
			c.answer.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %q", name, c.answer.status, c.answer.header.Get("Content-Type"), c.answer.body)
		}
		challenged := c.answer.header.Get("Www-Authenticate") != ""
		if challenged != (c.status == http.StatusUnauthorized) {
			t.Errorf("%s: challenged %t", name, challenged)
		}
	}
	asCookie := s.person("")
	asCookie.header.Set("Cookie", "session="+strings.TrimPrefix(writeToken, "killr_"))
	if asCookie.knows(0) {
		t.Error("a token counts as a cookie")
	}
	list := p.get(2, "/me/tokens")
	if names := list.texts("main form h2 bdi"); !slices.Contains(names, "a reader") ||
		!slices.Contains(names, "a <writer>") {
		t.Errorf("the list has %q", names)
	}
	if sessions := p.get(2, "/me/sessions").texts("form h2 bdi"); len(sessions) != 1 {
		t.Errorf("tokens are among the sessions: %q", sessions)
	}
	for name, says := range map[string]string{
		"": "missing", strings.Repeat("x", 61): "too long", "a\u202eb": "invisible", "\ufe0f\u3164": "invisible",
	} {
		refused := p.form(0, "/me/tokens", url.Values{"name": {name}, "password": {p.password}})
		refused.expect(http.StatusUnprocessableEntity, "")
		if got := strings.Join(refused.texts(".problem"), ""); !strings.Contains(got, says) {
			t.Errorf("%q: %q", name, got)
		}
	}
	noPassword := p.form(0, "/me/tokens", url.Values{"name": {"x"}, "password": {"not it"}})
	noPassword.expect(http.StatusUnprocessableEntity, "")
	if got := strings.Join(noPassword.texts(".problem"), ""); !strings.Contains(got, "Password is not the one") {
		t.Errorf("a wrong password: %q", got)
	}
	p.form(0, "/me/tokens", url.Values{"name": {"x"}, "password": {p.password}, "key": {"none"}}).
		expect(http.StatusBadRequest, "")
	ids := map[string]string{}
	for i, name := range list.texts("main form h2 bdi") {
		ids[name] = attrsOf(list, "main form button[name=end]", "value")[i]
	}
	s.person("").form(0, "/me/tokens", url.Values{"key": {key}, "end": {ids["a reader"]}}).
		expect(http.StatusSeeOther, "/signin?next=%2Fme%2Ftokens")
	p.form(3, "/me/tokens", url.Values{"end": {ids["a reader"]}}).
		expect(http.StatusSeeOther, "/me/tokens?notice=token")
	for i := range s.urls {
		testenv.Eventually(t, "an ended token is refused", func() bool { return !reads.accepts(i) })
		if !writes.accepts(i) {
			t.Errorf("edge %d refuses the other token", i)
		}
	}
	p.form(0, "/me/password", url.Values{"old": {p.password}, "password": {"by the river"}}).
		expect(http.StatusSeeOther, "/me?notice=password")
	p.password = "by the river"
	for i := range s.urls {
		testenv.Eventually(t, "a new password ends tokens", func() bool { return !writes.accepts(i) })
	}
	last := s.program(p.token(0, "the last", "read"))
	p.form(1, "/me/sessions", url.Values{"key": {"none"}, "end": {"all"}}).expect(http.StatusSeeOther, "/")
	for i := range s.urls {
		testenv.Eventually(t, "signing out everywhere ends tokens", func() bool { return !last.accepts(i) })
	}
}

func attrsOf(a *shown, selector, name string) (all []string) {
	for _, n := range cascadia.QueryAll(a.root, cascadia.MustCompile(selector)) {
		for _, attribute := range n.Attr {
			if attribute.Key == name {
				all = append(all, attribute.Val)
			}
		}
	}
	return all
}

// loginByProgram: `killr login` makes a token, which only its owner can read, and --logout ends it.
func loginByProgram(t *testing.T, s *peopleSite) {
	p := s.person("walker")
	p.signUp(0)
	folder := filepath.Join(t.TempDir(), "config")
	killr := func(input string, args ...string) (status int, said string) {
		var out bytes.Buffer
		program := cli.Program{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &out}
		status = program.Run(t.Context(), append(args, "--config", folder))
		return status, out.String()
	}
	edge := []string{"--edge", s.urls[1]}
	for _, c := range []struct {
		what, input string
		args        []string
		status      int
		says        string
	}{
		{"no token", "", append([]string{"whoami"}, edge...), 1, "there is no token for " + s.urls[1]},
		{"wrong password", "not it\n", append([]string{"login", "--name", "walker"}, edge...), 1,
			"does not fit the name"},
		{"no password", "", append([]string{"login", "--name", "walker"}, edge...), 1, "no password was given"},
		{"no encryption", "x\n", []string{"login", "--name", "walker", "--edge", "http://photos.example"}, 2,
			"--insecure"},
		{"no edge", "x\n", []string{"login", "--name", "walker", "--edge", "photos.example"}, 2,
			"no address of an edge"},
		{"sign in", "walker\n" + p.password + "\n", append([]string{"login"}, edge...), 0, "as walker"},
		{"who", "", append([]string{"whoami"}, edge...), 0, "walker\n"},
		{"sign in again", p.password, append([]string{"login", "--name", "walker", "--token-name", "mine"},
			edge...), 0, "as walker"},
	} {
		if status, said := killr(c.input, c.args...); status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d %q", c.what, status, said)
		} else if strings.Contains(said, p.password) || strings.Contains(said, "killr_") {
			t.Errorf("%s: it says a secret: %q", c.what, said)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("files %q", files)
	}
	info, err := os.Stat(files[0])
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %o", info.Mode().Perm())
	}
	if names := p.get(0, "/me/tokens").texts("main form h2 bdi"); !slices.Equal(names, []string{"mine"}) {
		t.Errorf("tokens %q: the one of before is to be ended", names)
	}
	var out bytes.Buffer
	nowhere := cli.Program{Stdin: strings.NewReader(p.password), Stdout: &out, Stderr: &out}
	status := nowhere.Run(t.Context(), append([]string{"login", "--name", "walker", "--config", files[0]}, edge...))
	names := p.get(0, "/me/tokens").texts("main form h2 bdi")
	if status != 1 || !slices.Equal(names, []string{"mine"}) {
		t.Errorf("a token that cannot be kept: %d, tokens %q, %q", status, names, out.String())
	}
	if sessions := p.get(2, "/me/sessions").texts("form h2 bdi"); len(sessions) != 1 {
		t.Errorf("sessions are left: %q", sessions)
	}
	if status, said := killr("", append([]string{"login", "--logout"}, edge...)...); status != 0 {
		t.Errorf("sign out: %d %q", status, said)
	}
	if names := p.get(0, "/me/tokens").texts("main form h2 bdi"); len(names) != 0 {
		t.Errorf("after signing out: %q", names)
	}
	if status, _ := killr("", append([]string{"whoami"}, edge...)...); status != 1 {
		t.Error("the token is still known")
	}
}

// newCodes: new recovery codes replace the old ones, and a repeated form gets the same.
func newCodes(t *testing.T, s *peopleSite) {
	p := s.person("lee")
	p.signUp(0)
	old := p.codes
	p.form(0, "/me/codes", url.Values{"password": {"not it"}}).expect(http.StatusUnprocessableEntity, "")
	fields := url.Values{"password": {p.password}}
	var first *shown
	testenv.Eventually(t, "a busy site makes the codes", func() bool {
		first = p.form(1, "/me/codes", fields)
		return first.status != http.StatusServiceUnavailable
	})
	first.expect(http.StatusOK, "")
	codes := first.texts("main li code")
	if again := p.form(2, "/me/codes", fields).texts("main li code"); len(codes) != 10 || !slices.Equal(again, codes) {
		t.Fatalf("codes %q, again %q", codes, again)
	}
	s.secrets = append(s.secrets, codes...)
	if slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(old, code) }) {
		t.Error("old codes are among the new ones")
	}
	lost := s.person("lee")
	lost.form(0, "/recover", url.Values{"name": {"lee"}, "code": {old[0]}, "password": {"in the dark"}}).
		expect(http.StatusUnprocessableEntity, "")
	lost.form(0, "/recover", url.Values{"name": {"lee"}, "code": {codes[0]}, "password": {"in the dark"}}).
		expect(http.StatusSeeOther, "/me?notice=recovered")
}
