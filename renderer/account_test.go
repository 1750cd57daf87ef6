package renderer

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/password"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// accountIn is the account in a reply; it must be of this name.
func accountIn(t testing.TB, reply *nats.Msg, name string) wire.Account {
	t.Helper()
	if err := wire.ErrorOf(reply); err != nil {
		t.Fatal(err)
	}
	a, err := wire.ParseAccount(reply.Header.Get(wire.HeaderAccount))
	if err != nil || a.Name != name {
		t.Fatalf("account %q, %v", reply.Header.Get(wire.HeaderAccount), err)
	}
	return a
}

// refusedFor checks that a form was refused for one field, and returns why.
func refusedFor(t testing.TB, reply *nats.Msg, field string) string {
	t.Helper()
	err := wire.ErrorOf(reply)
	input, ok := errors.AsType[*wire.InputError](err)
	if !ok || input.Field != field {
		t.Fatalf("%v, want the field %s refused", err, field)
	}
	return input.Problem
}

func encoded(pairs ...string) string {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form.Encode()
}

// TestAccounts is the life of an account on the bus: each action once for its key, and refused with the reason.
func TestAccounts(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('users', 'id'), 3)`) // the rows have ids of their own
	st.start(t, nil)
	const first, second, third = "a walk to the lake", "a walk to the sea", "a walk to the hill"
	form := encoded("name", "Imogen", "password", first)
	withPage := nats.Header{wire.HeaderKey: {"up"}, wire.HeaderAccept: {wire.AcceptPage}}

	reply := st.act(t, wire.ActionSignUp, "up", form)
	signedUp := accountIn(t, reply, "imogen")
	changes := changed(t, reply)
	version := st.scalar(t, `SELECT version FROM users WHERE name = 'imogen'`)
	if len(changes) != 1 || changes[0] != (wire.Change{Scope: "user.imogen", Version: version}) {
		t.Errorf("changes %+v, the version is %d", changes, version)
	}
	again := st.act(t, wire.ActionSignUp, "up", form)
	if wire.ErrorOf(again) != nil || string(again.Data) != string(reply.Data) {
		t.Errorf("a repetition gets %q, want %q", again.Data, reply.Data)
	}
	if got := again.Header.Get(wire.HeaderAccount); got != "" {
		t.Errorf("a repetition signs in %q", got)
	}
	err := wire.ErrorOf(st.act(t, wire.ActionSignUp, "up", encoded("name", "imogen", "password", second)))
	if !errors.Is(err, wire.ErrConflict) {
		t.Errorf("the same key with another password: %v", err)
	}
	refusedFor(t, st.act(t, wire.ActionSignUp, "up2", form), "name")
	shown := st.send(t, wire.ActionSignUp, withPage, form)
	if shown.Header.Get(wire.HeaderStatus) != "200" {
		t.Fatalf("the page of a repeated sign-up: %v", wire.ErrorOf(shown))
	}
	deps, err := wire.ChangedBy(shown)
	if err != nil || len(deps) != 1 || deps[0].Version != version {
		t.Errorf("its changes: %v, %v", deps, err)
	}
	codes := texts(t, &wire.Reply{Body: shown.Data}, "li code")
	if n := st.scalar(t, `SELECT count(*) FROM recovery_codes WHERE code = $1`,
		password.CodeHash(codes[0])); len(codes) != password.CodeCount || n != 1 {
		t.Errorf("codes %q, of which the first is stored %d times", codes, n)
	}

	signIn := func(name, secret string) *nats.Msg {
		return st.act(t, wire.ActionSignIn, "in", encoded("name", name, "password", secret))
	}
	if got := accountIn(t, signIn("imogen", first), "imogen"); got != signedUp {
		t.Errorf("signed in as %+v, want %+v", got, signedUp)
	}
	wrongPassword := refusedFor(t, signIn("imogen", second), "password")
	for _, name := range []string{"nobody", "ansel"} { // ansel is a user without an account
		if got := refusedFor(t, signIn(name, first), "password"); got != wrongPassword {
			t.Errorf("%s is answered by %q, a wrong password by %q", name, got, wrongPassword)
		}
	}

	mine := func(key string) nats.Header {
		return nats.Header{wire.HeaderKey: {key}, wire.HeaderUser: {"4"}}
	}
	if signedUp.User != 4 {
		t.Fatalf("the user is %d", signedUp.User)
	}
	change := encoded("old", first, "password", second)
	refusedFor(t, st.act(t, wire.ActionPassword, "pw", change), wire.HeaderUser)
	refusedFor(t, st.send(t, wire.ActionPassword, mine("pw"), encoded("old", "no", "password", second)), "old")
	set := accountIn(t, st.send(t, wire.ActionPassword, mine("pw"), change), "imogen")
	if !set.PasswordAt.After(signedUp.PasswordAt) {
		t.Error("the time of the password is not later")
	}
	if repeated := accountIn(t, st.send(t, wire.ActionPassword, mine("pw"), change), "imogen"); repeated != set {
		t.Errorf("repeated: %+v, want %+v", repeated, set)
	}
	refusedFor(t, signIn("imogen", first), "password")
	for _, header := range []nats.Header{{wire.HeaderKey: {"up"}}, withPage} { // its password does not hold any more
		again := st.send(t, wire.ActionSignUp, header, form)
		if got := refusedFor(t, again, "password"); got != wrongPassword ||
			again.Header.Get(wire.HeaderAccount) != "" || strings.Contains(string(again.Data), codes[1]) {
			t.Errorf("a sign-up repeated after another password: %q, %q", got, again.Header)
		}
	}

	recover := func(key, code, secret string) *nats.Msg {
		return st.act(t, wire.ActionRecover, key, encoded("name", "imogen", "code", code, "password", secret))
	}
	refusedFor(t, recover("r1", "aaaa-aaaa-aaaa-aaaa", first), "code")
	accountIn(t, recover("r2", codes[0], first), "imogen")
	accountIn(t, recover("r2", codes[0], first), "imogen")
	refusedFor(t, recover("r3", codes[0], second), "code")
	accountIn(t, signIn("imogen", first), "imogen")
	accountIn(t, st.send(t, wire.ActionPassword, mine("pw2"), encoded("old", first, "password", third)), "imogen")
	refusedFor(t, recover("r2", codes[0], first), "password") // another password holds
	accountIn(t, recover("r5", codes[2], first), "imogen")

	if _, err := st.pool.Exec(t.Context(), `UPDATE accounts SET disabled_at = now()`); err != nil {
		t.Fatal(err)
	}
	if got := refusedFor(t, signIn("imogen", first), "password"); got != wrongPassword {
		t.Errorf("a closed account is answered by %q", got)
	}
	refusedFor(t, recover("r4", codes[1], second), "code")
	refusedFor(t, recover("r5", codes[2], first), "code") // done before, but nobody signs in
	if out, err := afterPassword(&store.Account{Password: "h", Disabled: true}, "h", nil); err == nil {
		t.Errorf("an account that was closed meanwhile: %+v", out)
	}
}

// TestHashesPassword: edges wait in one piece for those actions that the workers for passwords do.
func TestHashesPassword(t *testing.T) {
	t.Parallel()
	workers, passwords := &pool{}, &pool{}
	for _, a := range accountActions(workers, passwords) {
		if hashes := wire.HashesPassword(wire.ActionSubject(a.name)); hashes != (a.pool == passwords) {
			t.Errorf("%s: edges take it for one that hashes a password: %t", a.name, hashes)
		}
	}
}

// TestProfile: an edit is on the person's page, and what is refused is answered by the form with what was typed.
func TestProfile(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	ansel := nats.Header{wire.HeaderKey: {"p"}, wire.HeaderUser: {"1"}, wire.HeaderAccept: {wire.AcceptPage}}
	reply := st.send(t, wire.ActionProfileEdit, ansel, encoded("display", "Ansel", "bio", "Hills\r\nand lakes"))
	changes := changed(t, reply)
	shown := st.get(t, page.User("ansel"))
	if scopesOf(shown)["user.ansel"] != changes[0].Version || !strings.Contains(string(shown.Body), "and lakes") {
		t.Errorf("the page does not show version %d", changes[0].Version)
	}
	ansel.Set(wire.HeaderKey, "p2")
	refused := st.send(t, wire.ActionProfileEdit, ansel, encoded("display", "\u202eA", "bio", "Kept <b>"))
	if refused.Header.Get(wire.HeaderStatus) != "422" || !errors.Is(wire.ErrorOf(refused), wire.ErrBadRequest) {
		t.Errorf("status %q, %v", refused.Header.Get(wire.HeaderStatus), wire.ErrorOf(refused))
	}
	form := &wire.Reply{Body: refused.Data}
	bio, problems := texts(t, form, "textarea"), texts(t, form, ".problem")
	if len(problems) != 1 || len(bio) != 1 || bio[0] != "Kept <b>" {
		t.Errorf("the form has %q and says %q", bio, problems)
	}
	if !strings.Contains(string(refused.Data), `name="key" value="p2"`) {
		t.Error("the form has another key")
	}
	ansel.Set(wire.HeaderKey, "p3")
	for _, blank := range []string{"\u200b", "\u2060\ufeff", "\u3164\uffa0", "\ufe0f"} {
		why := refusedFor(t, st.send(t, wire.ActionProfileEdit, ansel, encoded("display", blank, "bio", "")), "display")
		if !strings.Contains(why, "invisible characters alone") {
			t.Errorf("%+q is refused: it %s", blank, why)
		}
	}
	conflict := st.send(t, wire.ActionProfileEdit, nats.Header{wire.HeaderKey: {"p"}, wire.HeaderUser: {"1"},
		wire.HeaderAccept: {wire.AcceptPage}}, encoded("display", "Other", "bio", ""))
	if conflict.Header.Get(wire.HeaderStatus) != "422" || strings.Contains(string(conflict.Data), `value="p"`) {
		t.Errorf("a key that was used: %q", conflict.Header.Get(wire.HeaderStatus))
	}
}

// TestPrivatePages: each is made for its user only, is no envelope, and waits for no action.
func TestPrivatePages(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil).Service
	release := make(chan struct{})
	defer close(release)
	for range s.cfg.ActionWorkers {
		s.actions.put(&job{request: request{endpoint: s.endpoints[0], arrived: time.Now(),
			deadline: time.Now().Add(time.Minute), action: &action{
				run: func(context.Context, *actionRun) (*outcome, error) {
					<-release
					return nil, wire.ErrInternal
				}}}})
	}
	for _, kind := range page.Privates() {
		if kind == page.PrivateReceipt {
			continue // there is none without an address
		}
		if kind == page.PrivatePhotoReceipt {
			st.exec(t, "INSERT INTO deletions (user_id, account, version, receipt, name) "+
				"VALUES (1, false, 0, sha256('r'), 'ansel')") // the first one, so 1
		}
		ask := func(user string) *nats.Msg {
			data, err := wire.PrivateRequest{Key: "the-key", Wait: time.Second,
				Values: url.Values{"id": {"1"}, "width": {"320"}}}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			msg, err := st.nc.RequestMsg(&nats.Msg{Subject: kind.Subject(), Data: data,
				Header: nats.Header{wire.HeaderUser: {user}}}, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			return msg
		}
		if err := wire.ErrorOf(ask("")); (err != nil) != kind.NeedsSession() {
			t.Errorf("%s for nobody: %v", kind, err)
		}
		if err := wire.ErrorOf(ask("999")); kind.NeedsSession() != errors.Is(err, wire.ErrNotFound) {
			t.Errorf("%s for a user that is none: %v", kind, err)
		}
		reply := ask("1")
		if err := wire.ErrorOf(reply); err != nil || reply.Header.Get(wire.HeaderStatus) != "200" ||
			strings.HasPrefix(string(reply.Data), "<!doctype html>") == (kind == page.PrivatePicture) {
			t.Errorf("%s: %v, %.40q", kind, err, reply.Data)
		}
		if _, err := wire.DecodeReply(kind.Subject(), reply.Data); err == nil {
			t.Errorf("%s could be kept as a page", kind)
		}
	}
}
