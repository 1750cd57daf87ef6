// Package sharelink makes the tokens of links by which whoever has one sees a photo or an album: "/s/<token>". It also
// makes the grants that prove that a browser has given the password of a link.
//
// **Input**: the site's key, the nonce of a link, its password as it is stored. **Output**: tokens and grants. **Must
// not touch**: rows, files, the bus, passwords as they were typed.
//
// A token follows from the site's key and the nonce, so that its owner can be shown a link again, and the table of
// links has none in it. Its SHA-256 is stored, by which a link is found.
package sharelink

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"flickrkillr/schema/page"
)

// label keeps the secret of links apart from all else that follows from the site's key.
const label = "killr share links"

// Nonce is what is stored of a link, besides the hash of its token.
type Nonce [16]byte

// Links makes the tokens of one site. It is safe for concurrent use.
type Links struct{ secret []byte }

// New returns the Links of the site with this key, of which it takes 32 bytes or more.
func New(siteKey []byte) (*Links, error) {
	if len(siteKey) < sha256.Size {
		return nil, fmt.Errorf("share links: the site's key has %d bytes, it needs %d", len(siteKey), sha256.Size)
	}
	secret, err := hkdf.Key(sha256.New, siteKey, nil, label, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("share links: %w", err)
	}
	return &Links{secret}, nil
}

// NewNonce returns a random nonce.
func NewNonce() (n Nonce) {
	_, _ = rand.Read(n[:]) // never fails, see crypto/rand
	return n
}

// Share returns the share whose token follows from a nonce.
func (l *Links) Share(nonce Nonce) page.Share {
	var token [16]byte
	copy(token[:], l.mac("token", nonce[:]))
	return page.Share{Token: page.ShareToken(token)}
}

// Grant proves to this site that a browser has given the password of a link: the PHC string password, of the link with
// this hash. It ends with either.
func (l *Links) Grant(hash []byte, password string) string {
	return base64.RawURLEncoding.EncodeToString(l.mac("grant", append(append([]byte{}, hash...), password...)))
}

// Granted reports whether a grant is that of a link and its password.
func (l *Links) Granted(grant string, hash []byte, password string) bool {
	return hmac.Equal([]byte(grant), []byte(l.Grant(hash, password)))
}

func (l *Links) mac(purpose string, data []byte) []byte {
	mac := hmac.New(sha256.New, l.secret)
	_, _ = io.WriteString(mac, purpose+" ") // no purpose begins another
	_, _ = mac.Write(data)
	return mac.Sum(nil)
}
