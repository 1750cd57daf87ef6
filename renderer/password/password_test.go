package password

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestVerify: a string is that of its password alone, and its parameters are read from it.
func TestVerify(t *testing.T) {
	t.Parallel()
	phc := Hash("mountain lake", "signup ansel key-1")
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("a new string has other parameters: %s", phc)
	}
	for password, want := range map[string]bool{"mountain lake": true, "Mountain lake": false, "": false} {
		if ok, err := Verify(phc, password); err != nil || ok != want {
			t.Errorf("%q: %t, %v, want %t", password, ok, err, want)
		}
	}
	const cheap = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
	hash := cost{memory: 64, time: 1, threads: 1}.hash("lake", []byte("somesaltsomesalt"), 32)
	if ok, err := Verify(cheap+coding.EncodeToString(hash), "lake"); err != nil || !ok {
		t.Errorf("a string with other parameters: %t, %v", ok, err)
	}
}

func TestVerifyRefusesOtherStrings(t *testing.T) {
	t.Parallel()
	salt, hash := coding.EncodeToString(make([]byte, 16)), coding.EncodeToString(make([]byte, 32))
	for _, phc := range []string{
		"", "lake", "$2a$10$abc", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + hash, "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=64,t=999,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "$argon2id$v=19$m=64,t=1,p=1$***$" + hash,
	} {
		if ok, err := Verify(phc, ""); ok || !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %t, %v", phc, ok, err)
		}
	}
}

// TestRepetition: an attempt that is repeated gives the same, any other one does not.
func TestRepetition(t *testing.T) {
	t.Parallel()
	first, codes := Hash("mountain lake", "ansel k1"), Codes("mountain lake", "ansel k1")
	if Hash("mountain lake", "ansel k1") != first || !equal(Codes("mountain lake", "ansel k1"), codes) {
		t.Error("the same attempt gives another string, or other codes")
	}
	if len(codes) != CodeCount {
		t.Errorf("%d codes", len(codes))
	}
	for what, other := range map[string][2]string{
		"another password": {"mountain river", "ansel k1"}, "another attempt": {"mountain lake", "ansel k2"},
	} {
		if Hash(other[0], other[1]) == first || Codes(other[0], other[1])[0] == codes[0] {
			t.Errorf("%s gives the same", what)
		}
	}
	if !bytes.Equal(CodeHash(codes[0]), CodeHash(" "+strings.ToUpper(strings.ReplaceAll(codes[0], "-", "")))) {
		t.Error("how a code is typed makes a difference")
	}
	if bytes.Equal(CodeHash(codes[0]), CodeHash(codes[1])) {
		t.Error("two codes are the same")
	}
}

func equal(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

func TestRefuse(t *testing.T) {
	t.Parallel()
	for password, part := range map[string]string{
		"": "missing", "short": "too short", strings.Repeat("ab9", 86): "too long", "ansel_adams": "the name",
		"Ansel_Adams2026!": "the name", "password": "guessed", "Password123!": "guessed", "aaaaaaaaaa": "guessed",
		"abababababab": "guessed", "12345678": "guessed",
		"lake\x00\x00\x00\x00": "read", "lake\xff\xff\xff\xff": "read",
		"mountain lake": "", "海辺の朝もう一度": "", strings.Repeat("mount", 51): "",
	} {
		why := Refuse(password, "ansel_adams")
		if part == "" && why != "" || part != "" && !strings.Contains(why, part) {
			t.Errorf("%.40q: %q, want %q", password, why, part)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Hash("mountain lake", "ansel k1")
	}
}
