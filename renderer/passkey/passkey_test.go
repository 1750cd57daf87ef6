package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv/authenticator"
)

var (
	ceremonies = New("Flickr Killr", bytes.Repeat([]byte{7}, 32))
	here       = Place{Origin: "https://photos.example", Browser: "one browser", Now: time.Unix(1.8e9, 0)}
	errNone    = errors.New("no such passkey")
)

// member is a user with one passkey.
type member struct {
	User
	a      *authenticator.Authenticator
	proved *Proved
}

func newMember(t *testing.T, id int64, at Place) *member {
	t.Helper()
	m := &member{User: User{ID: id, Name: "ansel", Display: "Ansel"}, a: authenticator.New(t, at.Origin)}
	options, err := ceremonies.AddOptions(at, m.User)
	if err != nil {
		t.Fatal(err)
	}
	if m.proved, err = ceremonies.Add(at, m.User, []byte(m.a.Create(string(options)))); err != nil {
		t.Fatal(err)
	}
	m.Records = []json.RawMessage{m.proved.Record}
	return m
}

func (m *member) find(credential []byte) (User, error) {
	if !bytes.Equal(credential, m.proved.Credential) {
		return User{}, errNone
	}
	return m.User, nil
}

// TestSignIn: an answer counts for the challenge that it was made for, where and by whom that was asked, and for
// nothing else.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(m *member, at *Place) // after the challenge was made
		want   error
	}{
		{"as asked", func(*member, *Place) {}, nil},
		{"after nine minutes", func(_ *member, at *Place) { at.Now = at.Now.Add(9 * time.Minute) }, nil},
		{"after eleven minutes", func(_ *member, at *Place) { at.Now = at.Now.Add(11 * time.Minute) }, ErrExpired},
		{"another browser", func(_ *member, at *Place) { at.Browser = "other" }, ErrRefused},
		{"another address", func(_ *member, at *Place) { at.Origin = "https://other.example" }, ErrRefused},
		{"made on another site", func(m *member, _ *Place) { m.a.Origin = "https://evil.example" }, ErrRefused},
		{"made on another port", func(m *member, _ *Place) { m.a.Origin += ":8443" }, ErrRefused},
		{"for another host", func(m *member, _ *Place) { m.a.Host = "evil.example" }, ErrRefused},
		{"not verified", func(m *member, _ *Place) { m.a.Unverified = true }, ErrRefused},
		{"another user's handle", func(m *member, _ *Place) { m.a.Handle = []byte("someone") }, ErrRefused},
		{"no handle", func(m *member, _ *Place) { m.a.Handle = nil }, ErrRefused},
		{"an unknown passkey", func(m *member, _ *Place) { m.a.Credential = []byte("unknown passkey!") }, errNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := here
			m := newMember(t, 7, at)
			options, err := ceremonies.SignInOptions(at)
			if err != nil {
				t.Fatal(err)
			}
			c.change(m, &at)
			got, err := ceremonies.SignIn(at, []byte(m.a.Get(string(options))), m.find)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err == nil && (got.Count != 2 || !bytes.Equal(got.Credential, m.a.Credential)) {
				t.Errorf("passkey %x with count %d", got.Credential, got.Count)
			}
		})
	}
}

// TestForeignPasskey: the key of one user does not sign in another, though the answer names that one's passkey.
func TestForeignPasskey(t *testing.T) {
	t.Parallel()
	m, thief := newMember(t, 7, here), newMember(t, 8, here)
	thief.a.Credential, thief.a.Handle = m.a.Credential, m.a.Handle
	options, err := ceremonies.SignInOptions(here)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremonies.SignIn(here, []byte(thief.a.Get(string(options))), m.find); !errors.Is(err, ErrRefused) {
		t.Errorf("signed by another key: %v", err)
	}
}

// TestAdd: a passkey is added by the user, at the place and in the browser that its challenge was made for.
func TestAdd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(a *authenticator.Authenticator, u *User, at *Place)
		want   error
	}{
		{"as asked", func(*authenticator.Authenticator, *User, *Place) {}, nil},
		{"late", func(_ *authenticator.Authenticator, _ *User, at *Place) { at.Now = at.Now.Add(time.Hour) },
			ErrExpired},
		{"another user", func(_ *authenticator.Authenticator, u *User, _ *Place) { u.ID = 8 }, ErrRefused},
		{"another password", func(_ *authenticator.Authenticator, u *User, _ *Place) { u.PasswordAt = here.Now },
			ErrRefused},
		{"another browser", func(_ *authenticator.Authenticator, _ *User, at *Place) { at.Browser = "x" }, ErrRefused},
		{"another site", func(a *authenticator.Authenticator, _ *User, _ *Place) { a.Origin = "https://evil.example" },
			ErrRefused},
		{"another host", func(a *authenticator.Authenticator, _ *User, _ *Place) { a.Host = "evil.example" },
			ErrRefused},
		{"not verified", func(a *authenticator.Authenticator, _ *User, _ *Place) { a.Unverified = true }, ErrRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, u, at := authenticator.New(t, here.Origin), User{ID: 7, Name: "ansel"}, here
			options, err := ceremonies.AddOptions(at, u)
			if err != nil {
				t.Fatal(err)
			}
			c.change(a, &u, &at)
			if _, err := ceremonies.Add(at, u, []byte(a.Create(string(options)))); !errors.Is(err, c.want) ||
				(err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	t.Run("the challenge of a sign-in", func(t *testing.T) {
		t.Parallel()
		options, err := ceremonies.SignInOptions(here)
		if err != nil {
			t.Fatal(err)
		}
		a := authenticator.New(t, here.Origin)
		a.Host = here.Host()
		_, err = ceremonies.Add(here, User{ID: 7, Name: "ansel"}, []byte(a.Create(string(options))))
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
	})
}

// TestOptions: an authenticator hears which passkeys it need not make again, and nothing that tells who the user is.
func TestOptions(t *testing.T) {
	t.Parallel()
	m := newMember(t, 7, here)
	data, err := ceremonies.AddOptions(here, m.User)
	if err != nil {
		t.Fatal(err)
	}
	var options struct {
		Exclude []struct{ ID string } `json:"excludeCredentials"`
		User    struct{ ID string }   `json:"user"`
		Select  struct{ ResidentKey, UserVerification string }
	}
	if err := json.Unmarshal(data, &options); err != nil || len(options.Exclude) != 1 || len(options.User.ID) != 43 {
		t.Errorf("%v: %s", err, data)
	}
	for _, part := range []string{`"residentKey":"required"`, `"userVerification":"required"`, `"attestation":"none"`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s has no %s", data, part)
		}
	}
	for _, answer := range []string{
		"", "{}", "null", "[]", strings.Repeat("[", 10_000), `{"id":"AA","type":"public-key"}`,
	} {
		if _, err := ceremonies.SignIn(here, []byte(answer), m.find); !errors.Is(err, ErrRefused) {
			t.Errorf("%.40q: %v", answer, err)
		}
		if _, err := ceremonies.Add(here, m.User, []byte(answer)); !errors.Is(err, ErrRefused) {
			t.Errorf("%.40q: %v", answer, err)
		}
	}
}

// TestHost: passkeys are offered where browsers allow them.
func TestHost(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://photos.example": "photos.example", "https://photos.example:8443": "photos.example",
		"http://localhost:8080": "localhost", "http://a.localhost": "a.localhost", "http://photos.example": "",
		"https://192.0.2.1": "", "http://127.0.0.1:8080": "", "https://[::1]:8443": "", "": "", "https://": "",
		"https://" + strings.Repeat("a.", 200) + "example": "", "nonsense": "", "http://a b.localhost": "",
	} {
		if got := (Place{Origin: origin}).Host(); got != want {
			t.Errorf("%q: %q, want %q", origin, got, want)
		}
	}
}
