package audit

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSecretsAreFoundAnywhere: at every place in a text, and only where the visitor may not see them.
func TestSecretsAreFoundAnywhere(t *testing.T) {
	t.Parallel()
	ansel, minor := &member{name: "ansel"}, &member{name: "minor"}
	s := newSecrets()
	const code, token, name = "3f6a-k2v7-99ab-x1yz", "bAXJ8-0TIpqPcmCqTH0dcUVtxdr4XAFAoM3cnyYdCyA", "killraudit-ansel1"
	s.add(
		&secret{text: code, what: "a code", owner: ansel}, &secret{text: token, what: "a token", owner: minor},
		&secret{text: "a password of ansel", what: "a password"},
		&secret{text: name, what: "a name", owner: ansel, onBus: true}, &secret{text: "too short", what: "nothing"},
	)
	for shift := range 2 * wordSize {
		text := []byte(strings.Repeat("x", shift) + token + "y")
		if found := s.find(text, seenBy(ansel)); found == nil || found.what != "a token" {
			t.Errorf("at %d another's token is not found: %v", shift, found)
		}
		if found := s.find(text, seenBy(minor)); found != nil {
			t.Errorf("at %d one's own token is %s", shift, found.what)
		}
		if found := s.find(text, seenBy(nil)); found == nil {
			t.Errorf("at %d the token is not found in an answer for all", shift)
		}
		if found := s.find(text[:len(text)-2], seenBy(nil)); found != nil {
			t.Errorf("at %d a part of a token is %s", shift, found.what)
		}
	}
	for text, counts := range map[string]bool{
		code: true, "a password of ansel": true, name: true, "too short": false, "3f6a-k2v7-99ab-x1yx": false,
	} {
		if found := s.find([]byte("<p>"+text+"</p>"), seenBy(minor)); (found != nil) != counts {
			t.Errorf("%q: %v", text, found)
		}
	}
	if s.find([]byte("a password of ansel"), seenBy(ansel)) == nil {
		t.Error("a password may be seen by its owner")
	}
	if s.find([]byte("user."+name), seenOnBus) != nil || s.find([]byte("user."+token), seenOnBus) == nil {
		t.Error("on the bus a name counts, or a token does not")
	}
}

// TestSecretsAreBounded: the oldest are forgotten, the others still found.
func TestSecretsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	text := func(i int) string { return fmt.Sprintf("%016x", uint64(i+1)*hashWord) }
	for i := range maxSecrets + 1 {
		s.add(&secret{text: text(i)})
	}
	for i, want := range map[int]bool{0: false, maxSecrets/4 - 1: false, maxSecrets / 4: true, maxSecrets: true} {
		if got := s.find([]byte(text(i)), seenBy(nil)) != nil; got != want {
			t.Errorf("secret %d is found: %t", i, got)
		}
	}
	if n := s.count(); n != maxSecrets-maxSecrets/4+1 {
		t.Errorf("%d are kept", n)
	}
}

func BenchmarkFindSecrets(b *testing.B) {
	s, draw := newSecrets(), rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		s.add(&secret{text: fmt.Sprintf("%016x%016x", draw.Uint64(), draw.Uint64())})
	}
	page := []byte(strings.Repeat(`<a href="/photo/1234567"><img src="/img/abc/320.jpg" alt="A lake"></a>`, 440))
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if s.find(page, seenBy(nil)) != nil {
			b.Fatal("found")
		}
	}
}
