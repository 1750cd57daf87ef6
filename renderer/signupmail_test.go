package renderer

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestSignUpWithAddress: an address that is given at a sign-up counts once its link is opened. Whatever is wrong with
// the address, or with the mail, loses neither what was typed nor the recovery codes.
func TestSignUpWithAddress(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	box := newPostbox(t)
	s := st.start(t, func(c *Config) {
		c.SMTP, c.BaseURL, c.Registry = box.url, "https://photos.example", prometheus.NewRegistry()
	}).Service
	signUp := func(key, name, email string) *nats.Msg {
		t.Helper()
		return st.send(t, wire.ActionSignUp, nats.Header{wire.HeaderKey: {key}, wire.HeaderAccept: {wire.AcceptPage}},
			encoded("name", name, "email", email, "password", "a walk to the lake"))
	}
	of := func(reply *nats.Msg, selector string) string {
		t.Helper()
		return strings.Join(texts(t, &wire.Reply{Body: reply.Data}, selector), " ")
	}
	form := st.request(t, page.PrivateSignUp.Subject())
	if got := of(form, "label"); !strings.Contains(got, "E-mail address") {
		t.Errorf("the form asks for %q", got)
	}

	wrongAddress := signUp("bad", "imogen", "imogen@photos")
	refusedFor(t, wrongAddress, "email")
	if body := string(wrongAddress.Data); !strings.Contains(body, `value="imogen"`) ||
		!strings.Contains(body, `value="imogen@photos"`) || of(wrongAddress, "#email-problem") == "" {
		t.Errorf("the form has lost what was typed, or does not say what is wrong:\n%s", body)
	}
	wrongName := signUp("taken", "ansel", "imogen@photos.example")
	refusedFor(t, wrongName, "name")
	if !strings.Contains(string(wrongName.Data), `value="imogen@photos.example"`) {
		t.Error("the form has lost the address")
	}

	first := signUp("up", "imogen", " Imogen@Photos.example ")
	user := accountIn(t, first, "imogen").User
	token := box.links(t, "imogen@photos.example", page.PrivateConfirm, 1)[0]
	if got := of(first, ".story"); !strings.Contains(got, "on its way to imogen@photos.example") {
		t.Errorf("the page says %q", got)
	}
	again := signUp("up", "imogen", "imogen@photos.example") // the edge has got no answer
	if got, want := of(again, "code"), of(first, "code"); got != want || got == "" {
		t.Errorf("sent twice: codes %q, want %q", got, want)
	}
	refusedFor(t, signUp("up", "imogen", "other@photos.example"), "form")
	mailsDone(t, s, 2)
	if n := len(box.links(t, "imogen@photos.example", page.PrivateConfirm, 0)); n != 1 || len(box.mails) != 1 {
		t.Errorf("%d links, mails to %d addresses", n, len(box.mails))
	}
	if st.scalar(t, `SELECT count(*) FROM accounts WHERE email IS NOT NULL`) != 0 {
		t.Error("an address counts that nobody has confirmed")
	}
	m := &member{st: st, t: t, user: user}
	changed(t, m.do(wire.ActionConfirm, "c", "token", token))
	if st.scalar(t, `SELECT count(*) FROM accounts WHERE user_id = $1 AND email = 'imogen@photos.example'`, user) != 1 {
		t.Error("the confirmed address is not the account's")
	}

	accountIn(t, signUp("none", "minor", ""), "minor")
	s.mail.Close() // it takes no further mails, as when too many wait
	full := signUp("full", "garry", "garry@photos.example")
	accountIn(t, full, "garry")
	if got := of(full, ".story"); !strings.Contains(got, "No link could be mailed to garry@photos.example") ||
		len(texts(t, &wire.Reply{Body: full.Data}, "code")) != 10 {
		t.Errorf("the page says %q", got)
	}
}

// TestSignUpWithoutMail: a site that sends no mail asks for no address, and takes none.
func TestSignUpWithoutMail(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	form := st.request(t, page.PrivateSignUp.Subject())
	if strings.Contains(string(form.Data), `name="email"`) {
		t.Error("the form asks for an address")
	}
	refusedFor(t, st.act(t, wire.ActionSignUp, "up",
		encoded("name", "imogen", "email", "imogen@photos.example", "password", "a walk to the lake")), formField)
}
