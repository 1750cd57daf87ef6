package renderer

import (
	"fmt"
	"html"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// postbox is the mail server of the site.
type postbox struct {
	*testenv.Postbox
	url string
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	box := testenv.NewPostbox(t)
	return &postbox{box, box.URL}
}

// links returns the tokens that were mailed to an address, in order; n of them are waited for.
func (b *postbox) links(t *testing.T, to string, kind page.Private, n int) []string {
	t.Helper()
	return b.Links(t, to, kind.Path(), n)
}

// mailsDone waits until n mails were worked on.
func mailsDone(t *testing.T, s *Service, n float64) {
	t.Helper()
	testenv.Eventually(t, "all mails are done", func() bool {
		families, err := s.cfg.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		done := 0.0
		for _, f := range families {
			if f.GetName() == "killr_renderer_mails_total" {
				for _, m := range f.GetMetric() {
					done += m.GetCounter().GetValue()
				}
			}
		}
		return done >= n
	})
}

// TestMail: an address counts once its link was opened, a password is set by a link once, and nobody hears which names
// and addresses there are.
func TestMail(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	box := newPostbox(t)
	s := st.start(t, func(c *Config) {
		c.SMTP, c.BaseURL, c.Registry = box.url, "https://photos.example", prometheus.NewRegistry()
	}).Service
	m, other := newMember(t, st, "imogen"), newMember(t, st, "garry")
	done := 0.0
	ask := func(key, typed string) *nats.Msg {
		t.Helper()
		done++
		return st.act(t, wire.ActionMailLink, key, encoded("name", typed))
	}
	email := func(m *member, key, typed string) *nats.Msg {
		t.Helper()
		return m.do(wire.ActionEmail, key, "email", typed, "password", m.password)
	}

	refusedFor(t, m.do(wire.ActionEmail, "e1", "email", "imogen@photos.example", "password", "not it"), "password")
	for _, bad := range []string{"imogen", "imogen@photos.example\r\nBcc: x@evil.example", "a@b.example, c@d.example"} {
		refusedFor(t, email(m, "e2", bad), "email")
	}
	done++
	changedNothing(t, email(m, "e3", " Imogen@Photos.EXAMPLE "))
	token := box.links(t, "imogen@photos.example", page.PrivateConfirm, 1)[0]
	unconfirmed := ask("l0", "imogen@photos.example")
	mailsDone(t, s, done)
	if n := len(box.links(t, "imogen@photos.example", page.PrivateReset, 0)); n != 0 {
		t.Error("a link is mailed to an address that nobody has confirmed")
	}
	confirm := func(m *member, key, token string) *nats.Msg {
		t.Helper()
		return m.do(wire.ActionConfirm, key, "token", token)
	}
	refusedFor(t, confirm(m, "c0", strings.Repeat("A", 43)), "form")
	refusedFor(t, confirm(other, "c9", token), "form") // who has had it mailed to somebody else's address
	refusedFor(t, st.act(t, wire.ActionReset, "c1", encoded("token", token, "password", "by another door")), "form")
	changed(t, confirm(m, "c2", token))
	changed(t, confirm(m, "c2", token)) // the edge has got no answer
	refusedFor(t, confirm(m, "c3", token), "form")

	known, unknown := ask("l1", "IMOGEN@photos.example"), ask("l2", "nobody@photos.example")
	byName, noMail := ask("l3", " Imogen "), ask("l4", "garry")
	for _, reply := range []*nats.Msg{unconfirmed, unknown, byName, noMail, ask("l3", " Imogen ")} {
		if string(reply.Data) != string(known.Data) || wire.ErrorOf(reply) != nil {
			t.Errorf("%q, %v; a known address gets %q", reply.Data, wire.ErrorOf(reply), known.Data)
		}
	}
	ask("l5", "imogen")
	ask("l6", "imogen") // the fourth within half an hour
	mailsDone(t, s, done)
	links := box.links(t, "imogen@photos.example", page.PrivateReset, 3)
	if len(links) != 3 || box.Addresses() != 1 {
		t.Errorf("%d links, mails to %d addresses", len(links), box.Addresses())
	}
	checkMail(t, box.Mails("imogen@photos.example")[1])
	for _, secret := range links {
		if st.scalar(t, `SELECT count(*) FROM mail_links l WHERE l::text LIKE '%' || $1 || '%'`, secret) != 0 {
			t.Error("a link is stored as it is")
		}
	}

	reset := func(key, token, password string) *nats.Msg {
		return st.send(t, wire.ActionReset, nats.Header{wire.HeaderKey: {key}, wire.HeaderAccept: {wire.AcceptPage}},
			encoded("token", token, "password", password))
	}
	weak := reset("r1", links[0], "imogen")
	refusedFor(t, weak, "password")
	if !strings.Contains(string(weak.Data), html.EscapeString(links[0])) {
		t.Error("the form that refuses a password has lost the link")
	}
	accountIn(t, reset("r2", links[0], "by the back door"), "imogen")
	accountIn(t, reset("r2", links[0], "by the back door"), "imogen")
	refusedFor(t, reset("r3", links[0], "through the window"), "form")
	refusedFor(t, reset("r4", links[1], "through the window"), "form") // made under the password of before
	m.password = "by the back door"
	accountIn(t, st.act(t, wire.ActionSignIn, "in", encoded("name", "imogen", "password", m.password)), "imogen")

	// Whoever reads the mails of an address may take it along.
	done++
	email(other, "e4", "imogen@photos.example")
	tokens := box.links(t, "imogen@photos.example", page.PrivateConfirm, 2)
	changed(t, confirm(other, "c4", tokens[1]))
	if n := st.scalar(t, `SELECT count(*) FROM accounts WHERE email IS NOT NULL`); n != 1 {
		t.Errorf("%d accounts have the address", n)
	}
	_, err := st.pool.Exec(t.Context(), `UPDATE mail_links SET expires_at = now() WHERE purpose = 'password'`)
	if err != nil {
		t.Fatal(err)
	}
	ask("l7", "garry")
	last := box.links(t, "imogen@photos.example", page.PrivateReset, 4)[3]
	_, err = st.pool.Exec(t.Context(), `UPDATE mail_links SET expires_at = now() WHERE used_at IS NULL`)
	if err != nil {
		t.Fatal(err)
	}
	refusedFor(t, reset("r5", last, "through the window"), "form")
	changed(t, email(other, "e5", ""))
	if n := st.scalar(t, `SELECT count(*) FROM accounts WHERE email IS NOT NULL`); n != 0 {
		t.Error("the address is not removed")
	}
	testenv.Eventually(t, "the address that was removed hears of it", func() bool {
		all := box.Mails("imogen@photos.example")
		return strings.Contains(all[len(all)-1], "no longer has this address")
	})
	email(m, "e6", "imogen@photos.example")
	email(m, "e7", "imogen@photos.example") // the fourth to this address within half an hour, of two accounts
	mailsDone(t, s, done+3)                 // with that about the address that was removed
	if n := len(box.links(t, "imogen@photos.example", page.PrivateConfirm, 0)); n != 3 {
		t.Errorf("%d links to one address, want 3", n)
	}
	if _, err := st.pool.Exec(t.Context(), `UPDATE accounts SET email = 'thief@photos.example' WHERE user_id = $1`,
		m.user); err != nil {
		t.Fatal(err)
	}
	me := strings.Join(texts(t, &wire.Reply{Body: m.show(page.PrivateMe).Data}, ".story"), "")
	if !strings.Contains(me, "thief@photos.example") {
		t.Errorf("the account does not show its address: %s", me)
	}
	codes := texts(t, &wire.Reply{Body: m.do(wire.ActionCodes, "codes", "password", m.password).Data}, "code")
	accountIn(t, st.act(t, wire.ActionRecover, "rc",
		encoded("name", "imogen", "code", codes[0], "password", "after the thief")), "imogen")
	if n := st.scalar(t, `SELECT count(*) FROM accounts WHERE email IS NOT NULL`); n != 0 {
		t.Error("an address that a thief has set outlives the recovery")
	}
}

// TestLinkOfThePasswordBefore: who has the password of before gets no link, though it was asked for while that held.
func TestLinkOfThePasswordBefore(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	st.start(t, nil)
	m := newMember(t, st, "imogen")
	rows := store.New(st.pool)
	account, err := rows.AccountOf(t.Context(), m.user)
	if err != nil {
		t.Fatal(err)
	}
	link := store.Link{Token: tokenHash("a"), User: m.user, PasswordAt: account.PasswordAt, Purpose: store.LinkEmail,
		Email: "thief@photos.example", Attempt: "a"}
	if made, err := rows.MakeLink(t.Context(), link); !made || err != nil {
		t.Fatalf("%t, %v", made, err)
	}
	changed(t, m.do(wire.ActionPassword, "p1", "old", m.password, "password", "another walk"))
	link.Token, link.Attempt = tokenHash("b"), "b" // the job has waited
	if made, err := rows.MakeLink(t.Context(), link); made || err != nil {
		t.Errorf("a link is made: %t, %v", made, err)
	}
}

// TestConfirmAtOnce: of two accounts that confirm one address at once, the last one has it.
func TestConfirmAtOnce(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	st.start(t, nil)
	rows := store.New(st.pool)
	members := []*member{newMember(t, st, "imogen"), newMember(t, st, "garry")}
	for round := range 10 {
		var both sync.WaitGroup
		for i, m := range members {
			account, err := rows.AccountOf(t.Context(), m.user)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%d-%d", round, i)
			if _, err := st.pool.Exec(t.Context(), `DELETE FROM mail_links WHERE user_id = $1`, m.user); err != nil {
				t.Fatal(err)
			}
			if made, err := rows.MakeLink(t.Context(), store.Link{Token: tokenHash(name), User: m.user,
				PasswordAt: account.PasswordAt, Purpose: store.LinkEmail, Email: "both@photos.example",
				Attempt: name}); !made || err != nil {
				t.Fatalf("%t, %v", made, err)
			}
			both.Go(func() {
				if _, err := rows.ConfirmEmail(t.Context(), name, m.user, tokenHash(name)); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
}

func changedNothing(t *testing.T, reply *nats.Msg) {
	t.Helper()
	if changes := changed(t, reply); len(changes) != 0 {
		t.Errorf("changes %+v", changes)
	}
}

// checkMail: a mail has its words in two forms, and headers that keep programs from answering it.
func checkMail(t *testing.T, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("To") != "<imogen@photos.example>" ||
		!strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") || m.Header.Get("Bcc") != "" {
		t.Errorf("headers %q", m.Header)
	}
	for _, part := range []string{"text/plain", "text/html", "imogen", "30 minutes"} {
		if !strings.Contains(text, part) {
			t.Errorf("the mail has no %q:\n%s", part, text)
		}
	}
}

// TestNoMail: a renderer without a server says so, and one whose flag cannot be right does not start.
func TestNoMail(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	refusedFor(t, st.act(t, wire.ActionMailLink, "l1", encoded("name", "ansel")), "form")
	for address, part := range map[string]string{
		"smtp://u:secret@mail.example": "from=", "smtp://u:secret@m.example?from=a@b.example": "--base-url",
	} {
		_, err := New(Config{NATS: st.nc, Pool: st.pool, Pictures: st.pictures, SMTP: address})
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
