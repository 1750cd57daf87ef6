package sharelink

import (
	"bytes"
	"testing"

	"flickrkillr/schema/page"
)

func links(t *testing.T, siteKey string) *Links {
	t.Helper()
	l, err := New(bytes.Repeat([]byte(siteKey), 32))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestShare: a link is the same whenever it is shown, is the path of a share, and differs by nonce and site.
func TestShare(t *testing.T) {
	t.Parallel()
	l, seen := links(t, "k"), map[string]bool{}
	for i := range 1000 {
		nonce := NewNonce()
		s := l.Share(nonce)
		if got, ok := page.ParseShare(s.Path()); !ok || got != s {
			t.Fatalf("%d: %q is the path of no share", i, s.Path())
		}
		if l.Share(nonce) != s || seen[s.Token] || links(t, "other").Share(nonce) == s {
			t.Fatalf("%d: the token of a nonce is not its own", i)
		}
		seen[s.Token] = true
	}
	if _, err := New(make([]byte, 31)); err == nil {
		t.Error("a site's key of 31 bytes is taken")
	}
}

// TestGrant: a grant counts for one link with one password, and at one site.
func TestGrant(t *testing.T) {
	t.Parallel()
	l := links(t, "k")
	hash, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	grant := l.Grant(hash, "$argon2id$a")
	if !l.Granted(grant, hash, "$argon2id$a") {
		t.Error("a grant does not count")
	}
	for name, counts := range map[string]bool{
		"for another link":     l.Granted(grant, other, "$argon2id$a"),
		"for another password": l.Granted(grant, hash, "$argon2id$b"),
		"at another site":      links(t, "o").Granted(grant, hash, "$argon2id$a"),
		"when it is empty":     l.Granted("", hash, "$argon2id$a"),
		"when it is cut":       l.Granted(grant[:42], hash, "$argon2id$a"),
	} {
		if counts {
			t.Errorf("a grant counts %s", name)
		}
	}
}
