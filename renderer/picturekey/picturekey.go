// Package picturekey makes the keys by which the addresses of pictures name them: "/img/<key>/640.jpg". A key stands
// for a photo from one of its hidings to the next, so that the address of a picture ends with what it shows.
//
// **Input**: the site's key, ids of photos, generations. **Output**: keys, and what a key stands for. **Must not
// touch**: rows, files, the bus.
//
// A key is computed, and stored nowhere. It is one block of AES-128: without the secret nobody tells it from random
// bytes, makes one, or learns from it which photo it is of or how often that was hidden.
package picturekey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
)

// Size is the length of a key in characters.
const Size = 26

// label keeps the secret of pictures apart from all else that follows from the site's key.
const label = "killr picture keys"

// letters are those of the paths and subjects of pictures, see page.Image.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Keys makes and reads the keys of one site. It is safe for concurrent use.
type Keys struct{ block cipher.Block }

// New returns the Keys of the site with this key, of which it takes 32 bytes or more.
func New(siteKey []byte) (*Keys, error) {
	if len(siteKey) < sha256.Size {
		return nil, fmt.Errorf("picture keys: the site's key has %d bytes, it needs %d", len(siteKey), sha256.Size)
	}
	secret, err := hkdf.Key(sha256.New, siteKey, nil, label, 128/8)
	if err != nil {
		return nil, fmt.Errorf("picture keys: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("picture keys: %w", err)
	}
	return &Keys{block}, nil
}

// A block holds the id of a photo in 8 bytes, its generation in 4, and 4 zeros. Of keys that somebody makes up, one in
// 2^33 has the zeros and an id that is positive.
const (
	generationAt = 8
	zerosAt      = generationAt + 4
)

// Key returns the key of a photo's picture in a generation (photos.picture). The id must be positive.
func (k *Keys) Key(photo int64, generation int32) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(photo))
	binary.BigEndian.PutUint32(b[generationAt:], uint32(generation))
	k.block.Encrypt(b[:], b[:])
	var text [Size]byte
	letters.Encode(text[:], b[:])
	return string(text[:])
}

// Parse is the inverse of Key. It returns false for what Key has not made.
func (k *Keys) Parse(key string) (photo int64, generation int32, ok bool) {
	if len(key) != Size {
		return 0, 0, false
	}
	var b [aes.BlockSize]byte
	if n, err := letters.Decode(b[:], []byte(key)); err != nil || n != len(b) {
		return 0, 0, false
	}
	k.block.Decrypt(b[:], b[:])
	photo = int64(binary.BigEndian.Uint64(b[:]))
	generation = int32(binary.BigEndian.Uint32(b[generationAt:]))
	if photo <= 0 || binary.BigEndian.Uint32(b[zerosAt:]) != 0 {
		return 0, 0, false
	}
	// 26 characters have two bits more than a block, which the decoder does not look at.
	return photo, generation, k.Key(photo, generation) == key
}
