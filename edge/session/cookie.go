package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// Cookie returns the name of the cookie with the token. Over TLS its prefix has browsers refuse one that a subdomain,
// or a page without TLS, has planted.
func Cookie(secure bool) string {
	if secure {
		return "__Host-session"
	}
	return "session"
}

// NameCookie is the cookie that the site's script reads to show who is signed in. It proves nothing.
const NameCookie = "me"

// tokenSize is the length of a token: 256 bits, in base64url without padding.
const tokenSize = 43

// key is the SHA-256 of a token.
type key [sha256.Size]byte

// keyCharacters are those of base32, in lower case, as keys of a bucket may have them.
const keyCharacters = "abcdefghijklmnopqrstuvwxyz234567"

// coding writes keys.
var coding = base32.NewEncoding(keyCharacters).WithPadding(base32.NoPadding)

// id is the key in the bucket.
func (k key) id() string { return coding.EncodeToString(k[:]) }

// idSize is the length of an id.
const idSize = 52

func keyOfID(id string) (k key, ok bool) {
	if len(id) != idSize {
		return k, false
	}
	decoded, err := coding.DecodeString(id)
	return k, err == nil && copy(k[:], decoded) == len(k)
}

// keyOf returns the key of a token; false if it cannot be one.
func keyOf(token string) (k key, ok bool) {
	if len(token) != tokenSize {
		return k, false
	}
	var plain [tokenSize]byte // so that nothing is allocated
	copy(plain[:], token)
	return sha256.Sum256(plain[:]), true
}

// IsToken reports whether a cookie's value can be a token, whether it has a session or not.
func IsToken(value string) bool {
	_, ok := keyOf(value)
	return ok
}

// IDOf returns the id of the session that a token would have.
func IDOf(token string) string {
	k, _ := keyOf(token)
	return k.id()
}

func newToken() (token string, k key) {
	var random [sha256.Size]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	return tokenOf(random)
}

// tokenOf returns the token that has these random bits.
func tokenOf(random [sha256.Size]byte) (token string, k key) {
	token = base64.RawURLEncoding.EncodeToString(random[:])
	return token, sha256.Sum256([]byte(token))
}

// Token returns the value of the cookie with a name in the header fields Cookie, and how many such cookies there are.
// It allocates nothing.
func Token(fields []string, name string) (token string, count int) {
	for _, field := range fields {
		for field != "" {
			var cookie string
			cookie, field, _ = strings.Cut(field, ";")
			cookie = strings.Trim(cookie, " \t")
			if value, ok := valueOf(cookie, name); ok {
				token = value
				count++
			}
		}
	}
	return token, count
}

// Values returns the values of the cookies with a name in the header fields Cookie, at most so many.
func Values(fields []string, name string, most int) (values []string) {
	for _, field := range fields {
		for cookie := range strings.SplitSeq(field, ";") {
			if value, ok := valueOf(strings.Trim(cookie, " \t"), name); ok && len(values) < most {
				values = append(values, value)
			}
		}
	}
	return values
}

// valueOf returns the value of a cookie such as "name=value"; false if it has another name.
func valueOf(cookie, name string) (value string, ok bool) {
	value, ok = strings.CutPrefix(cookie, name)
	if !ok || !strings.HasPrefix(value, "=") {
		return "", false
	}
	return strings.Trim(value[1:], `"`), true
}
