// Package password hashes passwords, checks them, and says which ones nobody may choose.
//
// **Input**: passwords as they were typed, and the strings that Hash made. **Output**: strings in the PHC format
// (https://github.com/P-H-C/phc-string-format), verdicts, recovery codes. **Must not touch**: the database, the bus,
// logs. No error or text of this package contains a password.
package password

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// cost is what one hash takes. Its strength and its time follow from it.
type cost struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// current is the cost of new hashes, the first choice of OWASP's Password Storage Cheat Sheet for argon2id. One takes
// about 25 ms of a processor, and 19 MiB.
var current = cost{memory: 19 << 10, time: 2, threads: 1}

// most bounds the cost of a stored hash, so that a row that somebody has edited cannot take a renderer's memory.
var most = cost{memory: 256 << 10, time: 16, threads: 4}

const (
	saltSize = 16
	hashSize = 32
)

// ErrFormat: a string is none that Hash made, or costs too much to check.
var ErrFormat = errors.New("not an argon2id string in the PHC format")

// Hash returns the PHC string of a password. The salt is derived from context, which must name this one attempt to set
// a password: an account and an idempotency key. So a repeated attempt gives the same string, and one with another
// password gives another. That identifies an attempt as nothing else can that is safe to store: a fast hash of the
// password would let whoever reads the database try passwords quickly.
func Hash(password, context string) string {
	salt := saltOf("password", context)
	return current.format(salt, current.hash(password, salt, hashSize))
}

// Verify reports whether a PHC string is that of a password. An error wraps [ErrFormat].
func Verify(phc, password string) (bool, error) {
	c, salt, want, err := parse(phc)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(c.hash(password, salt, uint32(len(want))), want) == 1, nil
}

// VerifyNobody takes as long as [Verify], for a name that nobody has.
func VerifyNobody(password string) {
	current.hash(password, make([]byte, saltSize), hashSize)
}

// CodeCount is how many recovery codes an account gets.
const CodeCount = 10

// Codes returns recovery codes of 80 bits each, such as "k3zq-7f2m-a4xw-d6pn". They follow from the password and the
// context, at the cost of a hash, so that a repeated sign-up shows the same codes and nothing has to remember them.
func Codes(password, context string) []string {
	seed := current.hash(password, saltOf("codes", context), hashSize)
	codes := make([]string, CodeCount)
	for i := range codes {
		mac := hmac.New(sha256.New, seed)
		mac.Write([]byte{byte(i)})
		text := strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:10]))
		codes[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
	}
	return codes
}

// CodeHash returns what is stored of a recovery code: the SHA-256 of its letters and digits, in lower case. Hyphens and
// spaces do not count.
func CodeHash(code string) []byte {
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(code))
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

func saltOf(what, context string) []byte {
	sum := sha256.Sum256([]byte(what + "\x00" + context))
	return sum[:saltSize]
}

func (c cost) hash(password string, salt []byte, size uint32) []byte {
	q := question{password, salt, c.memory, c.time, c.threads, size}
	if all := others.Load(); all != nil {
		if sum, ok := all.hash(q); ok {
			return sum
		}
	}
	return q.hash()
}

// coding is base64 without padding, as the PHC format wants it.
var coding = base64.RawStdEncoding

func (c cost) format(salt, hash []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.time, c.threads,
		coding.EncodeToString(salt), coding.EncodeToString(hash))
}

func parse(phc string) (c cost, salt, hash []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, ErrFormat
	}
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.time, &c.threads); err != nil {
		return c, nil, nil, fmt.Errorf("%w: its parameters", ErrFormat)
	}
	if c.time == 0 || c.threads == 0 || c.memory > most.memory || c.time > most.time || c.threads > most.threads {
		return c, nil, nil, fmt.Errorf("%w: its cost is out of bounds", ErrFormat)
	}
	if salt, err = coding.DecodeString(parts[4]); err == nil {
		hash, err = coding.DecodeString(parts[5])
	}
	if err != nil || len(hash) < hashSize/2 || len(hash) > 2*hashSize {
		return c, nil, nil, fmt.Errorf("%w: its salt or hash", ErrFormat)
	}
	return c, salt, hash, nil
}
