package page

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
)

// Share identifies a page or a picture that whoever has a link may see: "/s/<token>" and what is below it. It is
// neither a [Ref] nor a [PrivateRef]: nothing that shares, keeps or fills pages can be given one. Shares are comparable
// with ==.
type Share struct {
	Token string // of the link, a secret: 128 bits, see [ShareTokenSize]
	Photo int64  // 0: the page that the link leads to
	Width int    // of a picture of Photo in pixels, one of [Widths]; 0: the page of Photo
	Add   bool   // the page where photos are added to the album of the link; Photo is 0
}

// ShareTokenSize is the length of a link's token in characters of base32, in lower case.
const ShareTokenSize = 26

// PathShares begins the paths of all shares, and no other.
const PathShares = "/s/"

// What follows the path of a link: the page where photos are added, and there the files by tus.
const (
	shareAdd   = "/add"
	shareFiles = "/files"
)

var shareCoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Path is where browsers find the page or picture.
func (s Share) Path() string { return string(s.AppendPath(nil)) }

// AppendPath appends the path to b.
func (s Share) AppendPath(b []byte) []byte {
	b = append(append(b, PathShares...), s.Token...)
	if s.Add {
		return append(b, shareAdd...)
	}
	if s.Photo != 0 {
		b = strconv.AppendInt(append(b, '/'), s.Photo, 10)
	}
	if s.Width != 0 {
		b = append(strconv.AppendInt(append(b, '/'), int64(s.Width), 10), ".jpg"...)
	}
	return b
}

// AddPage is the page where photos are added by the link.
func (s Share) AddPage() Share { return Share{Token: s.Token, Add: true} }

// FilesPath is where guests send files by tus. An upload is at this path, "/", and its id.
func (s Share) FilesPath() string { return s.AddPage().Path() + shareFiles }

// ParseShareFiles returns the link at whose [Share.FilesPath] a path is, or below it.
func ParseShareFiles(path string) (s Share, ok bool) {
	link, rest, ok := strings.Cut(path, shareAdd+shareFiles)
	if !ok || rest != "" && rest[0] != '/' {
		return Share{}, false
	}
	s, ok = ParseShare(link)
	return s, ok && s.Photo == 0 && !s.Add
}

// ID names the link without giving it away: the SHA-256 of the token in base32, 52 characters.
func (s Share) ID() string {
	hash := s.Hash()
	return shareCoding.EncodeToString(hash[:])
}

// Hash is the SHA-256 of the token.
func (s Share) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(s.Token)) }

// ParseShareID is the inverse of [Share.ID] for the hash.
func ParseShareID(id string) (hash []byte, ok bool) {
	hash, err := shareCoding.DecodeString(id)
	return hash, err == nil && len(hash) == sha256.Size && shareCoding.EncodeToString(hash) == id
}

// ShareToken writes 128 bits as a token.
func ShareToken(secret [16]byte) string { return shareCoding.EncodeToString(secret[:]) }

// ParseShare returns the share at a path, which has no other spelling. Whether there is such a link only a renderer
// knows.
func ParseShare(path string) (s Share, ok bool) {
	rest, ok := strings.CutPrefix(path, PathShares)
	if !ok {
		return Share{}, false
	}
	token, rest, hasPhoto := strings.Cut(rest, "/")
	if len(token) != ShareTokenSize || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return Share{}, false
	}
	s.Token = token
	if !hasPhoto {
		return s, true
	}
	if s.Add = rest == shareAdd[1:]; s.Add {
		return s, true
	}
	photo, file, isPicture := strings.Cut(rest, "/")
	if s.Photo, ok = parseID(photo); !ok {
		return Share{}, false
	}
	if !isPicture {
		return s, true
	}
	digits, isJPEG := strings.CutSuffix(file, ".jpg")
	width, ok := parseID(digits)
	if !ok || !isJPEG || !validWidth(width) {
		return Share{}, false
	}
	s.Width = int(width)
	return s, true
}
