package edge

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestGuessBounds: guesses at a sign-in keep the owner of the account from nothing else, and no form with a password is
// without a bound, whether addresses are counted or not.
func TestGuessBounds(t *testing.T) {
	t.Parallel()
	ansel := visitor{Visitor: session.Visitor{Session: &wire.Session{User: 7, Name: "ansel"}}}
	const from = "203.0.113.9:4711"
	address := guessBound{"address 203.0.113.9/32", 100}
	named, ending := url.Values{"name": {" ANSEL "}}, url.Values{"end": {"x"}}
	mailed := url.Values{"email": {" A@Photos.Example"}}
	for _, c := range []struct {
		name         string
		kind         page.Private
		who          visitor
		form         url.Values
		addressLimit int
		want         []guessBound
	}{
		{"sign-in", page.PrivateSignIn, visitor{}, named, 100, []guessBound{address, {"account ansel", 10}}},
		{"sign-in at a proxy", page.PrivateSignIn, visitor{}, named, -1, []guessBound{{"account ansel", 10}}},
		{"password", page.PrivatePassword, ansel, nil, 100, []guessBound{address, {"password 7", 10}}},
		{"password at a proxy", page.PrivatePassword, ansel, nil, -1, []guessBound{{"password 7", 10}}},
		{"new passkey", page.PrivateNewPasskey, ansel, nil, 100, []guessBound{address, {"password 7", 10}}},
		{"recovery", page.PrivateRecover, visitor{}, nil, 100, []guessBound{address}},
		{"recovery at a proxy", page.PrivateRecover, visitor{}, nil, -1, []guessBound{{"site recover", 600}}},
		{"sign-up", page.PrivateSignUp, visitor{}, nil, 100, []guessBound{address}},
		{"sign-up at a proxy", page.PrivateSignUp, visitor{}, nil, -1, []guessBound{{"site signup", 600}}},
		{"sign-up with an address", page.PrivateSignUp, visitor{}, mailed, 100,
			[]guessBound{address, {"mail a@photos.example", 10}}},
		{"sign-up with an address at a proxy", page.PrivateSignUp, visitor{}, mailed, -1,
			[]guessBound{{"site signup", 600}, {"mail a@photos.example", 10}}},
		{"mail", page.PrivateMailLink, visitor{}, named, 100, []guessBound{address, {"mail ansel", 10}}},
		{"mail at a proxy", page.PrivateMailLink, visitor{}, named, -1,
			[]guessBound{{"site mail-link", 600}, {"mail ansel", 10}}},
		{"reset", page.PrivateReset, visitor{}, nil, 100, []guessBound{address}},
		{"mail address", page.PrivateEmail, ansel, mailed, 100,
			[]guessBound{address, {"password 7", 10}, {"mail a@photos.example", 10}}},
		{"no mail address", page.PrivateEmail, ansel, nil, 100, []guessBound{address, {"password 7", 10}}},
		{"confirm at a proxy", page.PrivateConfirm, ansel, nil, -1, []guessBound{{"confirm 7", 10}}},
		{"passkey", page.PrivateSignIn, visitor{}, nil, 100, []guessBound{address}},
		{"passkey at a proxy", page.PrivateSignIn, visitor{}, nil, -1, nil},
		{"token", page.PrivateTokens, ansel, nil, 100, []guessBound{address, {"password 7", 10}}},
		{"end a token", page.PrivateTokens, ansel, ending, 100, []guessBound{address, {"tokens 7", 10}}},
		{"profile", page.PrivateProfile, ansel, nil, 100, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := guessBounds(c.kind, c.who, c.form, from, c.addressLimit)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}

// TestSignInOutcome: a form to sign in counts as what became of it; other forms, and those that no page of the site
// sends, do not count.
func TestSignInOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   page.Private
		status int
		err    error
		want   string
	}{
		{"signed in", page.PrivateSignIn, http.StatusSeeOther, nil, "ok"},
		{"a wrong password", page.PrivateSignIn, http.StatusUnprocessableEntity, nil, "wrong"},
		{"a password of before", page.PrivateSignIn, 0, session.ErrOvertaken, "wrong"},
		{"too many guesses", page.PrivateSignIn, http.StatusTooManyRequests, nil, "limited"},
		{"no NATS", page.PrivateSignIn, 0, wire.ErrUnavailable, "unavailable"},
		{"a busy renderer", page.PrivateSignIn, 0, wire.ErrBusy, "unavailable"},
		{"a form that cannot be read", page.PrivateSignIn, 0, errForm, ""},
		{"another form", page.PrivateSignUp, http.StatusSeeOther, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := signInOutcome(c.kind, c.status, c.err); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestLogged: the log has the query of pages for everybody, and of no other path that somebody may ask for.
func TestLogged(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/search?q=lake": "/search?q=lake", "/photos/ansel": "/photos/ansel", "/reset?token=x": "/reset",
		"/reset/?token=x": "/reset/", "/%72eset?token=x": "/%72eset", "//receipt?id=x": "//receipt",
		"/signin?next=%2Fconfirm%3Ftoken%3Dx": "/signin", "/Reset?token=x": "/Reset",
	} {
		if got := logged(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// TestHidden: of a path nothing is logged that may be the token of a link, whatever stands before it.
func TestHidden(t *testing.T) {
	t.Parallel()
	const token = "abcdefghijklmnopqrstuvwxyz"
	for path, want := range map[string]string{
		"/s/" + token: "/s/…", "/S/" + token + "/7": "/S/…", "/%53%2f" + token: "/S/…", "//s/x/s/" + token: "//s/…",
		"/%80%80%80%80%80%80/s/":          "/\x80\x80\x80\x80\x80\x80/s/…", // each would grow by 2 bytes in lower case
		"/%80%80/s/" + token:              "/\x80\x80/s/…",
		"/%E1%BA%9E%E2%84%AA/s/" + token:  "/\u1e9e\u212a/s/…", // these would shrink
		"/%zz/s/" + token:                 "/%zz/s/…",
		"/photos/s":                       "/photos/s",
		"/%80":                            "/%80",
		"/s":                              "/s",
		"":                                "",
		"/photos/ansel/albums/7?after=80": "/photos/ansel/albums/7?after=80",
	} {
		if got := hidden(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
