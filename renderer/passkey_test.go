package renderer

import (
	"encoding/json"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv/authenticator"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// passkeyOrigin is where the browsers of these tests are.
const passkeyOrigin = "https://photos.example"

// member is somebody with an account, in a browser.
type member struct {
	st       *site
	t        *testing.T
	user     int64
	password string
	browser  string
}

func newMember(t *testing.T, st *site, name string) *member {
	t.Helper()
	m := &member{st: st, t: t, password: "a walk of " + name, browser: "the browser of " + name}
	m.user = accountIn(t, st.act(t, wire.ActionSignUp, "up-"+name, encoded("name", name, "password", m.password)),
		name).User
	return m
}

func (m *member) header(key string) nats.Header {
	return nats.Header{wire.HeaderKey: {key}, wire.HeaderUser: {strconv.FormatInt(m.user, 10)},
		wire.HeaderAccept: {wire.AcceptPage}, wire.HeaderOrigin: {passkeyOrigin}, wire.HeaderBrowser: {m.browser}}
}

// do sends a form about the member.
func (m *member) do(action, key string, pairs ...string) *nats.Msg {
	m.t.Helper()
	return m.st.send(m.t, action, m.header(key), encoded(pairs...))
}

// show asks for a private page.
func (m *member) show(kind page.Private) *nats.Msg {
	m.t.Helper()
	reply, err := m.st.nc.RequestMsg(&nats.Msg{Subject: kind.Subject(), Header: m.header("none")}, 10*time.Second)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := wire.ErrorOf(reply); err != nil {
		m.t.Fatal(err)
	}
	return reply
}

var optionsOnPage = regexp.MustCompile(`data-options="([^"]*)"`)

// options are those on a page for the browser.
func (m *member) options(reply *nats.Msg) string {
	m.t.Helper()
	found := optionsOnPage.FindSubmatch(reply.Data)
	if found == nil {
		m.t.Fatalf("no options for a passkey: %v, %q", wire.ErrorOf(reply), m.problems(reply))
	}
	return html.UnescapeString(string(found[1]))
}

func (m *member) problems(reply *nats.Msg) string {
	return strings.Join(texts(m.t, &wire.Reply{Body: reply.Data}, ".problem"), " ")
}

// add adds a passkey with a label.
func (m *member) add(a *authenticator.Authenticator, key, label string) *nats.Msg {
	m.t.Helper()
	maker := m.do(wire.ActionPasskeyBegin, "begin-"+key, "password", m.password)
	return m.do(wire.ActionPasskeyAdd, key, "label", label, "passkey", a.Create(m.options(maker)))
}

// signIn sends the answer of an authenticator from the member's browser.
func (m *member) signIn(key, answer string) *nats.Msg {
	m.t.Helper()
	header := m.header(key)
	header.Del(wire.HeaderUser)
	return m.st.send(m.t, wire.ActionPasskeySignIn, header, encoded("passkey", answer))
}

// TestPasskeys is the life of a passkey on the bus, over two renderers: either may take the second step.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	st.start(t, nil)
	st.start(t, nil)
	m, other := newMember(t, st, "imogen"), newMember(t, st, "garry")
	a := authenticator.New(t, passkeyOrigin)

	refused := m.do(wire.ActionPasskeyBegin, "b1", "password", "not it")
	refusedFor(t, refused, "password")
	if strings.Contains(string(refused.Data), "data-options") {
		t.Error("a wrong password gets the options")
	}
	maker := m.options(m.do(wire.ActionPasskeyBegin, "b2", "password", m.password))
	unnamed := m.do(wire.ActionPasskeyAdd, "a1", "label", " ", "passkey", a.Create(maker))
	if said := m.problems(unnamed); !strings.Contains(said, "Name of the passkey is missing") {
		t.Errorf("a passkey without a name: %q", said)
	}
	answer := a.Create(m.options(unnamed)) // the page makes another one at once
	added := m.do(wire.ActionPasskeyAdd, "a2", "label", "Phone <b>", "passkey", answer)
	changed(t, added)
	again := m.do(wire.ActionPasskeyAdd, "a2", "label", "Phone <b>", "passkey", answer)
	if string(again.Data) != string(added.Data) || st.scalar(t, `SELECT count(*) FROM passkeys`) != 1 {
		t.Error("a repetition adds another")
	}
	refusedFor(t, m.do(wire.ActionPasskeyAdd, "a3", "label", "Twice", "passkey", answer), "form")
	stolen := *a
	refusedFor(t, other.add(&stolen, "a4", "Stolen"), "form") // the same id
	foreign := authenticator.New(t, passkeyOrigin)
	refusedFor(t, other.do(wire.ActionPasskeyAdd, "a5", "label", "x", "passkey", foreign.Create(maker)), "form")
	list := texts(t, &wire.Reply{Body: m.show(page.PrivatePasskeys).Data}, "form h2 bdi")
	if len(list) != 1 || list[0] != "Phone <b>" {
		t.Errorf("the passkeys are %q", list)
	}

	asked := m.options(m.show(page.PrivateSignIn))
	answer = a.Get(asked)
	accountIn(t, m.signIn("s1", answer), "imogen")
	if got := accountIn(t, m.signIn("s1", answer), "imogen"); got.User != m.user { // the edge has got no answer
		t.Errorf("repeated: %+v", got)
	}
	if said := refusedFor(t, m.signIn("s2", answer), "form"); !strings.Contains(said, "sent before") {
		t.Errorf("a challenge answered twice: %q", said)
	}
	refusedFor(t, m.signIn("s3", a.Get(asked)), "form")
	refusedFor(t, other.signIn("s4", a.Get(m.options(m.show(page.PrivateSignIn)))), "form")
	a.Count -= 3 // the two before were made, and refused: so the next one is that of the first
	copied := m.signIn("s5", a.Get(m.options(m.show(page.PrivateSignIn))))
	if refusedFor(t, copied, "form"); !optionsOnPage.Match(copied.Data) {
		t.Error("the form that refuses has no options to try again")
	}
	a.Count += 10
	accountIn(t, m.signIn("s6", a.Get(m.options(m.show(page.PrivateSignIn)))), "imogen")
	refusedFor(t, m.signIn("s7", foreign.Get(m.options(m.show(page.PrivateSignIn)))), "form")

	id := strconv.FormatInt(st.scalar(t, `SELECT id FROM passkeys`), 10)
	refusedFor(t, other.do(wire.ActionPasskeyRename, "r1", "id", id, "label", "Mine"), "form")
	refusedFor(t, other.do(wire.ActionPasskeyRemove, "r2", "id", id, "label", "", "remove", "1"), "form")
	refusedFor(t, m.do(wire.ActionPasskeyRename, "r3", "id", id, "label", strings.Repeat("a", 61)), "label")
	why := refusedFor(t, m.do(wire.ActionPasskeyRename, "r3", "id", id, "label", "\u2060\ufe0f"), "label")
	if !strings.Contains(why, "invisible characters alone") {
		t.Errorf("a label that cannot be seen is refused: it %s", why)
	}
	changed(t, m.do(wire.ActionPasskeyRename, "r4", "id", id, "label", "Blue key"))
	if n := st.scalar(t, `SELECT count(*) FROM passkeys WHERE label = 'Blue key' AND used_at IS NOT NULL`); n != 1 {
		t.Error("the passkey has another name, or was never used")
	}

	late := m.options(m.do(wire.ActionPasskeyBegin, "b3", "password", m.password))
	changed(t, m.do(wire.ActionPassword, "p1", "old", m.password, "password", "another walk"))
	thief := authenticator.New(t, passkeyOrigin)
	refusedFor(t, m.do(wire.ActionPasskeyAdd, "a6", "label", "Late", "passkey", thief.Create(late)), "form")
	accountIn(t, m.signIn("s8", a.Get(m.options(m.show(page.PrivateSignIn)))), "imogen") // it stays
	if _, err := st.pool.Exec(t.Context(), `UPDATE accounts SET disabled_at = now()`); err != nil {
		t.Fatal(err)
	}
	refusedFor(t, m.signIn("s9", a.Get(m.options(m.show(page.PrivateSignIn)))), "form")
	if _, err := st.pool.Exec(t.Context(), `UPDATE accounts SET disabled_at = NULL`); err != nil {
		t.Fatal(err)
	}
	changed(t, m.do(wire.ActionPasskeyRemove, "r5", "id", id, "label", "", "remove", "1"))
	refusedFor(t, m.signIn("s10", a.Get(m.options(m.show(page.PrivateSignIn)))), "form")
}

// TestPasskeysSomewhere: a sign-in page has no button for passkeys where browsers allow none.
func TestPasskeysSomewhere(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for origin, want := range map[string]bool{
		passkeyOrigin: true, "http://localhost:8080": true, "http://photos.example": false,
		"http://127.0.0.1:80": false, "": false,
	} {
		reply, err := st.nc.RequestMsg(&nats.Msg{Subject: page.PrivateSignIn.Subject(), Header: nats.Header{
			wire.HeaderOrigin: {origin}, wire.HeaderBrowser: {"b"}}}, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := optionsOnPage.Match(reply.Data); wire.ErrorOf(reply) != nil || got != want {
			t.Errorf("%q: a button for passkeys: %t, %v", origin, got, wire.ErrorOf(reply))
		}
	}
}

// TestTooManyPasskeys: of one user's, the twenty-first is refused.
func TestTooManyPasskeys(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`)
	st.start(t, nil)
	m := newMember(t, st, "imogen")
	record, err := json.Marshal(struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.pool.Exec(t.Context(), `INSERT INTO passkeys (user_id, credential, host, label, sign_count, record)
		SELECT $1, sha256(g::text::bytea), 'other.example', g, 0, $2 FROM generate_series(1, 20) g`, m.user,
		record); err != nil {
		t.Fatal(err)
	}
	said := refusedFor(t, m.add(authenticator.New(t, passkeyOrigin), "a1", "x"), "form")
	if !strings.Contains(said, "20 passkeys") {
		t.Errorf("%q", said)
	}
}
