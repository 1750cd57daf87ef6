package passkey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// validFor is how long a challenge may be answered. Somebody may open the form and look for a security key.
const validFor = 10 * time.Minute

// A challenge is the time until which it is valid, in seconds, random bytes, and a MAC.
const (
	timeSize      = 8
	randomSize    = 16
	challengeSize = timeSize + randomSize + sha256.Size
)

// anybody wants to sign in.
var anybody User

// seal makes a challenge for a user.
func (c *Ceremonies) seal(at Place, u User) []byte {
	challenge := make([]byte, timeSize+randomSize, challengeSize)
	binary.BigEndian.PutUint64(challenge, uint64(at.Now.Add(validFor).Unix()))
	_, _ = rand.Read(challenge[timeSize:]) // never fails, see crypto/rand
	return append(challenge, c.mac(at, u, challenge)...)
}

// open returns the challenge that was answered, if it was made for this user at this place and is still valid.
func (c *Ceremonies) open(at Place, u User, encoded string) ([]byte, error) {
	challenge, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(challenge) != challengeSize {
		return nil, fmt.Errorf("%w: its challenge is none of this site", ErrRefused)
	}
	sealed, mac := challenge[:timeSize+randomSize], challenge[timeSize+randomSize:]
	if !hmac.Equal(mac, c.mac(at, u, sealed)) {
		return nil, fmt.Errorf("%w: its challenge was made for another user, password, browser or address, "+
			"or by nobody here", ErrRefused)
	}
	if until := int64(binary.BigEndian.Uint64(sealed)); at.Now.Unix() > until {
		return nil, fmt.Errorf("%w: for %d s", ErrExpired, at.Now.Unix()-until)
	}
	return challenge, nil
}

func (c *Ceremonies) mac(at Place, u User, sealed []byte) []byte {
	return c.hash("challenge", []byte(at.Origin), []byte(at.Browser), number(u.ID), number(u.PasswordAt.UnixMicro()),
		sealed)
}

// handle is how authenticators know a user. It says nothing about the user to those who have no key.
func (c *Ceremonies) handle(user int64) []byte { return c.hash("handle", number(user)) }

// hash is the MAC of a list of parts. Each has its length in front, so no two lists have the same bytes.
func (c *Ceremonies) hash(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, c.key)
	for _, part := range append([][]byte{[]byte(purpose)}, parts...) {
		_, _ = h.Write(number(int64(len(part)))) // a hash takes everything
		_, _ = h.Write(part)
	}
	return h.Sum(nil)
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
