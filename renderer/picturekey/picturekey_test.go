package picturekey

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"flickrkillr/schema/page"
)

var siteKey = bytes.Repeat([]byte{7}, 32)

func keysOf(t testing.TB, siteKey []byte) *Keys {
	t.Helper()
	k, err := New(siteKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKey reads each key as what it was made of, and no other text is one: neither a key with one character changed,
// such as the last one's unused bits, nor a random one, nor that of another site.
func TestKey(t *testing.T) {
	t.Parallel()
	keys, others := keysOf(t, siteKey), keysOf(t, bytes.Repeat([]byte{8}, 32))
	rapid.Check(t, func(t *rapid.T) {
		photo := rapid.Int64Range(1, math.MaxInt64).Draw(t, "photo")
		generation := rapid.Int32Min(0).Draw(t, "generation")
		key := keys.Key(photo, generation)
		p, g, ok := keys.Parse(key)
		if !ok || p != photo || g != generation {
			t.Fatalf("%s is of photo %d, generation %d, %t", key, p, g, ok)
		}
		if ref, err := page.ParsePath(page.Image(key, 640).Path()); err != nil || ref.Name() != key {
			t.Fatalf("%s is no part of a path: %v", key, err)
		}
		other := others.Key(photo, generation)
		if _, _, ok := keys.Parse(other); other == key || ok {
			t.Fatalf("%s of another site is a key", other)
		}
		const letters = "abcdefghijklmnopqrstuvwxyz234567"
		at, letter := rapid.IntRange(0, Size-1).Draw(t, "at"), rapid.IntRange(0, 31).Draw(t, "letter")
		changed := key[:at] + letters[letter:letter+1] + key[at+1:]
		if _, _, ok := keys.Parse(changed); ok != (changed == key) {
			t.Fatalf("%s is a key: %t; it is %s with a character changed", changed, ok, key)
		}
	})
}

// TestKeyTellsNothing finds no key twice, and no part that photos or generations have in common.
func TestKeyTellsNothing(t *testing.T) {
	t.Parallel()
	keys := keysOf(t, siteKey)
	whole, heads := map[string]bool{}, map[string]bool{}
	for photo := range int64(1000) {
		for generation := range int32(5) {
			key := keys.Key(photo+1, generation)
			whole[key], heads[key[:13]] = true, true
		}
	}
	if len(whole) != 5000 || len(heads) != 5000 {
		t.Errorf("5,000 keys are %d, and begin in %d ways", len(whole), len(heads))
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	keys := keysOf(t, siteKey)
	good := keys.Key(1, 0)
	for _, text := range []string{"", "a", good[:25], good + "a", strings.ToUpper(good), strings.Repeat("a", 26),
		strings.Repeat("1", 26), good[:25] + "\n", keys.Key(-1, 0), keys.Key(0, 0)} {
		if photo, generation, ok := keys.Parse(text); ok || photo != 0 || generation != 0 {
			t.Errorf("%q is photo %d, generation %d, %t", text, photo, generation, ok)
		}
	}
	if _, err := New(siteKey[:31]); err == nil {
		t.Error("a short key of the site is accepted")
	}
}

// TestKeyStays fails when keys are made in another way: all addresses that are known would end.
func TestKeyStays(t *testing.T) {
	t.Parallel()
	if got, want := keysOf(t, siteKey).Key(1234567, 89), "qql4vntdcltruegr5p6e2hxomi"; got != want {
		t.Errorf("the key is %s, it was %s", got, want)
	}
}

func BenchmarkKey(b *testing.B) {
	keys := keysOf(b, siteKey)
	b.ReportAllocs()
	for photo := int64(1); b.Loop(); photo++ {
		keys.Key(photo, 3)
	}
}

func BenchmarkParse(b *testing.B) {
	keys := keysOf(b, siteKey)
	key := keys.Key(1234567, 89)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := keys.Parse(key); !ok {
			b.Fatal("not a key")
		}
	}
}
