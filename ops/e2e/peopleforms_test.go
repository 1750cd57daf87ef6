package e2e

import (
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// expiredKeys: the key of a form is remembered for an hour. A form that is sent again later is done like a new one, or
// says what is wrong with it now; one that has set the password is still known.
func expiredKeys(t *testing.T, s *peopleSite) {
	p := s.person("florence")
	signUp := url.Values{"name": {p.name}, "password": {p.password}}
	p.form(0, "/signup", signUp).expect(http.StatusOK, "")
	s.secrets = append(s.secrets, p.cookie("session"))
	profile := url.Values{"display": {"Florence"}, "bio": {"Migrants"}}
	p.form(0, "/me/profile", profile).expect(http.StatusSeeOther, "/photos/florence")
	set := url.Values{"old": {p.password}, "password": {"by the road"}}
	p.form(0, "/me/password", set).expect(http.StatusSeeOther, "/me?notice=password")
	s.exec("UPDATE users SET bio = 'Written later' WHERE name = 'florence'")
	p.form(0, "/me/profile", profile).expect(http.StatusSeeOther, "/photos/florence") // remembered: nothing is done
	if n := s.count("SELECT count(*) FROM users WHERE name = 'florence' AND bio = 'Written later'"); n != 1 {
		t.Error("a form with a key that is remembered is done twice")
	}

	s.exec("UPDATE action_keys SET at = at - interval '2 hours'")
	testenv.Eventually(t, "old keys are forgotten", func() bool {
		return s.count("SELECT count(*) FROM action_keys WHERE at < now() - interval '1 hour'") == 0
	})
	other := s.person("florence")
	again := other.form(1, "/signup", signUp)
	again.expect(http.StatusUnprocessableEntity, "")
	if got := strings.Join(again.texts(".problem"), " "); !strings.Contains(got, "is taken") || other.knows(1) ||
		len(again.texts("main li code")) > 0 || again.attr("input[name=name]", "value") != "florence" {
		t.Errorf("a sign-up that is sent again says %q; signed in: %t", got, other.knows(1))
	}
	p.form(2, "/me/password", set).expect(http.StatusSeeOther, "/me?notice=password") // known by its hash
	p.form(2, "/me/password", url.Values{"old": {p.password}, "password": {"by the river"}}).
		expect(http.StatusUnprocessableEntity, "")
	p.form(3, "/me/profile", profile).expect(http.StatusSeeOther, "/photos/florence")
	if n := s.count("SELECT count(*) FROM users WHERE name = 'florence' AND bio = 'Migrants'"); n != 1 {
		t.Error("a form with a key that is forgotten is not done")
	}
}

// otherSpellings: a path that looks like that of a private page shows nothing of a person, whatever the cookie, and a
// visitor without a cookie gets the same.
func otherSpellings(t *testing.T, s *peopleSite) {
	p, visitor := s.person("graciela"), s.person("")
	p.signUp(0)
	const canary = "Graciela of the iguanas"
	p.form(0, "/me/profile", url.Values{"display": {canary}, "bio": {""}}).
		expect(http.StatusSeeOther, "/photos/graciela")
	if !strings.Contains(p.get(0, "/me").body, canary) {
		t.Fatal("/me does not show the name")
	}
	p.forget("fresh")
	for _, path := range []string{
		"/me;x.js", "/me;x=1", "/me%2f", "/me%00", "/me%3Bx.js", "/me/", "/me/x.css", "/me.css", "/ME", "/%6de", "//me",
		"/me%20", "/me%0a", "/me%23x.js", "/me%3Fx.js", "/./me", "/x/../me", "/static/..%2fme", "/me/password/x.js",
		"/me/profile;x.css", "/signout;x.js",
	} {
		for i, who := range []*person{p, visitor, p} { // the second could take the copy of the first
			got := who.get(0, path)
			if got.status == http.StatusOK || got.status >= 500 || strings.Contains(got.body, canary) ||
				strings.Contains(got.body, "graciela") || len(got.header["Set-Cookie"]) > 0 ||
				strings.Contains(got.header.Get("Location"), "signin") {
				t.Errorf("%s, request %d: %d to %q, cookies %q", path, i, got.status, got.header.Get("Location"),
					got.header["Set-Cookie"])
			}
			if cached := got.header.Get("Cache-Control"); got.status >= 400 && cached != "no-store" {
				t.Errorf("%s: %d with Cache-Control %q", path, got.status, cached)
			}
		}
	}
	for _, path := range []string{"/me?x.js", "/me?a=/x.css"} { // the same page
		got := p.get(0, path)
		got.expect(http.StatusOK, "")
		if visitor.get(0, path).status != http.StatusSeeOther || got.header.Get("X-Cache") != "render" {
			t.Errorf("%s is from %s", path, got.header.Get("X-Cache"))
		}
	}
}

// watchSessions: an operator sees sessions begin and end with the NATS command line, and no secret.
func watchSessions(t *testing.T, s *peopleSite) {
	watching, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	watch := exec.CommandContext(watching, testenv.NATSCLI(t), "kv", "watch", wire.BucketSessions)
	watch.Env = append(watch.Environ(), "NATS_URL="+s.nc.ConnectedUrl(),
		"NATS_NKEY="+testenv.Seeds(t)[wire.RoleOperator], "NO_COLOR=1")
	said := testenv.NewOutput()
	watch.Stdout, watch.Stderr = said, said
	must(t, watch.Start())
	defer func() { stop(); _ = watch.Wait() }() // it was asked to end
	p := s.person("manuel")
	p.signUp(0)
	token := p.cookie("session")
	shows := func(what, text string) {
		t.Helper()
		defer func() {
			if t.Failed() {
				t.Logf("it shows:\n%s", said.String())
			}
		}()
		testenv.Eventually(t, "`nats kv watch SESSIONS` shows "+what, func() bool {
			return strings.Contains(said.String(), text)
		})
	}
	shows("a session", `"manuel"`)
	id := regexp.MustCompile(`> (\S+): .*"manuel"`).FindStringSubmatch(said.String())
	p.form(1, "/signout", url.Values{"key": {"none"}}).expect(http.StatusSeeOther, "/")
	shows("its end", "PURGE "+wire.BucketSessions+" > "+id[1])
	text := said.String()
	for _, secret := range slices.Concat(p.codes, []string{token, p.password}) {
		if strings.Contains(text, secret) {
			t.Errorf("it shows %q", secret)
		}
	}
}
