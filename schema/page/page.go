// Package page holds the identity of everything a browser can ask for: a [Ref] names one page, asset or picture, and turns into a URL
// path, a bus subject and a cache key, each the inverse of its parser.
//
// In flow the texts of URLs, subjects and keys; out flow Refs, and from Refs the same texts in their canonical form. This is the only
// place that knows how a tag or a search query is escaped. It may import nothing but the standard library, and it touches nothing: no
// network, no clock, no state.
package page

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors of the parsers. Each returned error wraps one of them and names what was wrong.
var (
	// ErrUnknown: no page has this path, subject or key.
	ErrUnknown = errors.New("no such page")
	// ErrMalformed: the shape is known but a part of it cannot be, such as a query that is not UTF-8.
	ErrMalformed = errors.New("malformed request")
	// ErrTooLong: the text is longer than any page's.
	ErrTooLong = errors.New("too long")
)

// Limits of what is parsed, in bytes unless said otherwise.
const (
	MaxTarget = 2048 // a request target: path and query
	MaxText   = 120  // a tag or a search query: with its escapes and a position it still fits memcached's 250-byte key
	MaxTag    = 64   // a tag, in characters
)

// Kind says what sort of thing a Ref names.
type Kind uint8

// The kinds. A page kind's String is the second token of its subject.
const (
	KindNone Kind = iota
	KindHome
	KindUser
	KindPhoto
	KindTag
	KindSearch
	KindAlbum
	KindAbout
	KindFeed
	KindError
	KindAsset
	KindImage
)

var kindNames = [...]string{"none", "home", "user", "photo", "tag", "search", "album", "about", "feed", "error", "asset", "image"}

// String gives the kind's name, as in subjects, statistics and metrics.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Kinds lists every kind that can be asked for.
func Kinds() []Kind {
	return []Kind{KindHome, KindUser, KindPhoto, KindTag, KindSearch, KindAlbum, KindAbout, KindFeed, KindError, KindAsset, KindImage}
}

// Widths lists the widths, in pixels, in which a picture is served, ascending. It is the only list of them.
func Widths() []int { return []int{320, 640, 1280, 2560} }

// StoredWidth gives the width under which a picture is stored that answers a request for width: width itself, or, where the original is
// narrower, the first of [Widths] that holds all of it. A picture is never enlarged, so the wider ones would be the same file again. An
// original of 0 or less is of unknown width.
func StoredWidth(width, original int) int {
	for _, w := range Widths() {
		if original > 0 && w >= original {
			return min(w, width)
		}
	}
	return width
}

// Ref identifies one page, asset or picture. Refs are comparable with ==; the zero Ref names nothing.
type Ref struct {
	kind     Kind
	after    bool   // which way pos points
	name     string // user, tag, query, asset file or image id
	encoding string // assets: "", "br" or "gz"
	id       int64  // photo or album id, an error's status, a picture's width
	pos      int64  // keyset position of a listing, 0 for its first page
}

// Home is the front page: recent and popular photos.
func Home() Ref { return Ref{kind: KindHome} }

// User is the page of one user's photos, newest first. Name must be a legal user name, see [ValidUser].
func User(name string) Ref { return Ref{kind: KindUser, name: name} }

// Feed is a user's Atom feed.
func Feed(name string) Ref { return Ref{kind: KindFeed, name: name} }

// Photo is the page of one photo.
func Photo(id int64) Ref { return Ref{kind: KindPhoto, id: id} }

// Tag is the page of the photos that carry a tag. The tag is normalised as [CleanTag] does.
func Tag(tag string) Ref { return Ref{kind: KindTag, name: CleanTag(tag)} }

// Search is the page of what a query finds; the empty query is the search form.
func Search(query string) Ref { return Ref{kind: KindSearch, name: CleanQuery(query)} }

// Album is the page of an album's photos, in the order its owner gave them.
func Album(id int64) Ref { return Ref{kind: KindAlbum, id: id} }

// About is the page about the site.
func About() Ref { return Ref{kind: KindAbout} }

// Error is the page shown with an HTTP status of 400 or more. It has a subject but no path.
func Error(status int) Ref { return Ref{kind: KindError, id: int64(status)} }

// Asset is a static file by its content-hashed name, such as "app.3f2a1b0c.css".
func Asset(name string) Ref { return Ref{kind: KindAsset, name: name} }

// Image is a JPEG derivative of the image with this id, in one of the [Widths].
func Image(id string, width int) Ref { return Ref{kind: KindImage, name: id, id: int64(width)} }

// Before gives the listing's page of what comes before a photo id (older), or before a position in an album.
func (r Ref) Before(pos int64) Ref { r.pos, r.after = pos, false; return r }

// After gives the listing's page of what comes after a photo id (newer), or after a position in an album.
func (r Ref) After(pos int64) Ref { r.pos, r.after = pos, true; return r }

// Encoded gives the asset compressed as "br" or "gz"; "" is the asset as it is.
func (r Ref) Encoded(encoding string) Ref { r.encoding = encoding; return r }

// First gives the first page of the listing that r is a page of.
func (r Ref) First() Ref { r.pos, r.after = 0, false; return r }

// Kind says what r names.
func (r Ref) Kind() Kind { return r.kind }

// Name is the user, tag, query, asset file or image id; "" for kinds that have none.
func (r Ref) Name() string { return r.name }

// ID is the id of a photo or an album.
func (r Ref) ID() int64 { return r.id }

// Width is a picture's width in pixels.
func (r Ref) Width() int { return int(r.id) }

// Status is an error page's HTTP status.
func (r Ref) Status() int { return int(r.id) }

// Encoding is an asset's compression: "", "br" or "gz".
func (r Ref) Encoding() string { return r.encoding }

// Position gives the keyset position: at most one of the two is not 0.
func (r Ref) Position() (before, after int64) {
	if r.after {
		return 0, r.pos
	}
	return r.pos, 0
}

// String is the subject, which names a page in logs too.
func (r Ref) String() string { return r.Subject() }

// ValidUser reports whether name is a user name: [a-z0-9][a-z0-9_-]{1,30}, so a subject token and a cache key as it is.
func ValidUser(name string) bool {
	if len(name) < 2 || len(name) > 31 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !isLowerAlnum(c) && (i == 0 || c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// CleanTag gives a tag's one form: lower case, no space at its ends, single spaces within.
func CleanTag(tag string) string { return CleanQuery(strings.ToLower(tag)) }

// CleanQuery gives a query's one form: no space at its ends, single spaces within.
func CleanQuery(query string) string { return strings.Join(strings.Fields(query), " ") }

// checkText refuses what no tag and no query can be.
func checkText(what, text string) error {
	switch {
	case len(text) > MaxText:
		return fmt.Errorf("%w: a %s has at most %d bytes", ErrTooLong, what, MaxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: the %s is not UTF-8", ErrMalformed, what)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%w: the %s has a control character", ErrMalformed, what)
	}
	return nil
}

// validAsset reports whether name is <base>.<8 hex digits>.<ext>.
func validAsset(name string) bool {
	base, rest, ok := strings.Cut(name, ".")
	hash, ext, ok2 := strings.Cut(rest, ".")
	return ok && ok2 && len(name) <= 100 && len(hash) == 8 && base != "" && ext != "" &&
		!strings.ContainsFunc(base, func(c rune) bool { return !isLowerAlnum(byte(min(c, 255))) && c != '-' && c != '_' }) &&
		!strings.ContainsFunc(hash, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) &&
		!strings.ContainsFunc(ext, func(c rune) bool { return !isLowerAlnum(byte(min(c, 255))) })
}

// validImage reports whether id is 26 characters of lower-case base32, an image's content hash.
func validImage(id string) bool {
	return len(id) == 26 && !strings.ContainsFunc(id, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') })
}

func validWidth(width int64) bool { return slices.Contains(Widths(), int(width)) }

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// parseID reads a positive decimal number in its one form: no sign, no leading zero.
func parseID(s string) (int64, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func unknown(text string) error {
	return fmt.Errorf("%w: %s", ErrUnknown, url.PathEscape(text[:min(len(text), 100)]))
}
