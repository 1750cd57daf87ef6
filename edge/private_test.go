package edge

import (
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
	for _, c := range []struct {
		name         string
		kind         page.Private
		who          visitor
		addressLimit int
		want         []guessBound
	}{
		{"sign-in", page.PrivateSignIn, visitor{}, 100, []guessBound{address, {"account ansel", 10}}},
		{"sign-in at a proxy", page.PrivateSignIn, visitor{}, -1, []guessBound{{"account ansel", 10}}},
		{"password", page.PrivatePassword, ansel, 100, []guessBound{address, {"password 7", 10}}},
		{"password at a proxy", page.PrivatePassword, ansel, -1, []guessBound{{"password 7", 10}}},
		{"new passkey", page.PrivateNewPasskey, ansel, 100, []guessBound{address, {"password 7", 10}}},
		{"recovery", page.PrivateRecover, visitor{}, 100, []guessBound{address}},
		{"recovery at a proxy", page.PrivateRecover, visitor{}, -1, []guessBound{{"site recover", 600}}},
		{"sign-up", page.PrivateSignUp, visitor{}, 100, []guessBound{address}},
		{"sign-up at a proxy", page.PrivateSignUp, visitor{}, -1, []guessBound{{"site signup", 600}}},
		{"mail", page.PrivateMailLink, visitor{}, 100, []guessBound{address, {"mail ansel", 10}}},
		{"mail at a proxy", page.PrivateMailLink, visitor{}, -1,
			[]guessBound{{"site mail-link", 600}, {"mail ansel", 10}}},
		{"reset", page.PrivateReset, visitor{}, 100, []guessBound{address}},
		{"address", page.PrivateEmail, ansel, 100, []guessBound{address, {"password 7", 10}}},
		{"profile", page.PrivateProfile, ansel, 100, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := guessBounds(c.kind, c.who, " ANSEL ", from, c.addressLimit)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}
