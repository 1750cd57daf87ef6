// Package page holds the identity of everything a browser can ask for: a [Ref] names one page, asset or picture.
//
// Input: URL paths, bus subjects. Output: Refs, and from Refs the same texts, and cache keys, in canonical form.
//
// Must not touch: anything outside the standard library, network, clock, state.
//
// Only this package knows how a tag or a search query is escaped.
package page

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors of the parsers. Each returned error wraps one of them and names what was wrong.
var (
	// ErrUnknown: no page has this path, subject or key.
	ErrUnknown = errors.New("no such page")
	// ErrMalformed: the shape is known but a part is invalid, such as a query that is not UTF-8.
	ErrMalformed = errors.New("malformed request")
	// ErrTooLong: the text is longer than any page's.
	ErrTooLong = errors.New("too long")
)

// Limits of what is parsed, in bytes unless said otherwise.
const (
	MaxTarget = 2048 // a request target: path and query
	MaxText   = 120  // a tag, as the database limits it
	MaxQuery  = 200  // a search query
	MaxTag    = 64   // a tag, in characters
	MaxOrigin = 100  // an origin
)

// Kind says what sort of thing a Ref names.
type Kind uint8

// The kinds. A page kind's String is the second token of its subject.
const (
	KindNone Kind = iota
	KindHome
	KindExplore
	KindUser
	KindAlbums
	KindPhoto
	KindTag
	KindTags
	KindSearch
	KindAlbum
	KindAbout
	KindFeed
	KindFile
	KindSitemap
	KindOEmbed
	KindError
	KindAsset
	KindImage

	KindCount = int(iota) // for arrays indexed by Kind
)

var kindNames = [KindCount]string{"none", "home", "explore", "user", "albums", "photo", "tag", "tags", "search",
	"album", "about", "feed",
	"file", "sitemap", "oembed", "error", "asset", "image"}

// String gives the kind's name, as in subjects, statistics and metrics.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Kinds lists every kind that can be asked for.
func Kinds() []Kind {
	kinds := make([]Kind, 0, KindCount-1)
	for k := KindHome; int(k) < KindCount; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// Widths lists the widths, in pixels, in which a picture is served, ascending. It is the only list of them.
func Widths() []int { return []int{320, 640, 1280, 2560} }

// StoredWidth is the width under which the picture is stored that answers a request for width: width itself, or for a
// narrower original the first of [Widths] that holds all of it. Pictures are never enlarged, so wider derivatives
// would be the same file again. An original of 0 or less has an unknown width.
func StoredWidth(width, original int) int {
	for _, w := range Widths() {
		if original > 0 && w >= original {
			return min(w, width)
		}
	}
	return width
}

// Files lists the names of the [KindFile] pages: what programs look for at a fixed place below "/".
func Files() []string {
	return []string{"robots.txt", "favicon.ico", "apple-touch-icon.png", "manifest.webmanifest", "opensearch.xml"}
}

// Sort is the order of what a search finds.
type Sort uint8

// The orders. The zero Sort shows the best matches first.
const (
	SortRelevance Sort = iota
	SortNewest
	SortLiked
	sortCount
)

var sortNames = [sortCount]string{"relevance", "newest", "liked"}

// String gives the order's name, as in addresses and subjects.
func (s Sort) String() string { return sortNames[s] }

// ParseSort is the inverse of [Sort.String].
func ParseSort(name string) (Sort, bool) {
	for i, n := range sortNames {
		if n == name {
			return Sort(i), true
		}
	}
	return 0, false
}

// Ref identifies one page, asset or picture. Refs are comparable with ==; the zero Ref names nothing.
type Ref struct {
	kind     Kind
	of       Kind   // feeds: the kind of the listing they tell of
	sort     Sort   // searches
	after    bool   // which way pos points
	name     string // user, tag, query, file, part of the sitemap, asset file or key of a picture
	encoding string // assets: "", "br" or "gz"; oEmbed answers: "json" or "xml"
	origin   string // where its visitor reaches the site, "" where the page need not know
	id       int64  // photo or album id, a day, an error's status, a picture's width
	pos      int64  // keyset position of a listing, 0 for its first page; oEmbed answers: the largest size, see OEmbed
}

// Home is the front page: recent and popular photos.
func Home() Ref { return Ref{kind: KindHome} }

// Explore is the page of the most interesting photos of the newest days.
func Explore() Ref { return Ref{kind: KindExplore} }

// ExploreDay is the page of the most interesting photos of one day in UTC.
func ExploreDay(day time.Time) Ref {
	y, m, d := day.UTC().Date()
	return Ref{kind: KindExplore, id: int64(y)*10000 + int64(m)*100 + int64(d)}
}

// User is the page of one user's photos, newest first. Name must be a legal user name, see [ValidUser].
func User(name string) Ref { return Ref{kind: KindUser, name: name} }

// Albums is the page of one user's albums, newest first; its positions are album ids.
func Albums(name string) Ref { return Ref{kind: KindAlbums, name: name} }

// Feed is the Atom feed of a listing: Home, a User, a Tag or an Album. Other pages have no feed: the zero Ref.
func Feed(of Ref) Ref {
	switch of.kind {
	case KindHome, KindUser, KindTag, KindAlbum:
		return Ref{kind: KindFeed, of: of.kind, name: of.name, id: of.id, origin: of.origin}
	}
	return Ref{}
}

// Photo is the page of one photo.
func Photo(id int64) Ref { return Ref{kind: KindPhoto, id: id} }

// Tag is the page of the photos that carry a tag. The tag is normalised as [CleanTag] does.
func Tag(tag string) Ref { return Ref{kind: KindTag, name: CleanTag(tag)} }

// Tags is the page of the most used tags.
func Tags() Ref { return Ref{kind: KindTags} }

// Search is the page of what a query finds, best matches first; the empty query is the search form.
func Search(query string) Ref { return Ref{kind: KindSearch, name: CleanQuery(query)} }

// Sorted gives the first page of the same search in another order. The empty query has none.
func (r Ref) Sorted(by Sort) Ref {
	if r.kind == KindSearch && r.name != "" {
		r.sort = by
	}
	return r.First()
}

// Album is the page of an album's photos, in the order its owner gave them.
func Album(id int64) Ref { return Ref{kind: KindAlbum, id: id} }

// About is the page about the site.
func About() Ref { return Ref{kind: KindAbout} }

// File is a file that programs look for at a fixed place, one of [Files].
func File(name string) Ref { return Ref{kind: KindFile, name: name} }

// Sitemap is the index of the sitemap's parts.
func Sitemap() Ref { return Ref{kind: KindSitemap} }

// SitemapPart is the n-th part, from 1, of the sitemap of all "photos", "users" or "albums".
func SitemapPart(of string, n int64) Ref { return Ref{kind: KindSitemap, name: of, id: n} }

// OEmbed is the oEmbed answer for a photo, as "json" or "xml", of at most maxWidth by maxHeight pixels (0: no limit, at
// most [MaxEmbed]). See https://oembed.com.
func OEmbed(photo int64, format string, maxWidth, maxHeight int) Ref {
	return Ref{kind: KindOEmbed, id: photo, encoding: format, pos: int64(maxWidth)<<16 | int64(maxHeight)}
}

// MaxEmbed is the largest limit, in pixels, that an oEmbed request can state; a larger one counts as no limit.
const MaxEmbed = 1<<16 - 1

// MaxSize gives the limits of an oEmbed answer in pixels, 0 for none.
func (r Ref) MaxSize() (width, height int) { return int(r.pos >> 16), int(r.pos & MaxEmbed) }

// Format is "json" or "xml" for an oEmbed answer.
func (r Ref) Format() string { return r.encoding }

// Error is the page shown with an HTTP status of 400 or more. It has a subject but no path.
func Error(status int) Ref { return Ref{kind: KindError, id: int64(status)} }

// Asset is a static file by its content-hashed name, such as "app.3f2a1b0c.css".
func Asset(name string) Ref { return Ref{kind: KindAsset, name: name} }

// Image is the picture of a photo, by its key (see package renderer/picturekey), as a JPEG in one of the [Widths].
func Image(key string, width int) Ref { return Ref{kind: KindImage, name: key, id: int64(width)} }

// Before gives the listing's page of what comes before a photo id (older), or before a position in an album.
func (r Ref) Before(pos int64) Ref { r.pos, r.after = pos, false; return r }

// After gives the listing's page of what comes after a photo id (newer), or after a position in an album.
func (r Ref) After(pos int64) Ref { r.pos, r.after = pos, true; return r }

// Encoded gives the asset compressed as "br" or "gz"; "" is the asset as it is.
func (r Ref) Encoded(encoding string) Ref { r.encoding = encoding; return r }

// At returns the page for visitors who reach the site at an origin, such as "https://photos.example", see
// [ValidOrigin]: its absolute links begin with that. A page without absolute links is the same for all origins and is
// returned unchanged.
func (r Ref) At(origin string) Ref {
	switch r.kind {
	case KindNone, KindError, KindAsset, KindImage:
		return r
	case KindFile:
		if r.name != "robots.txt" && r.name != "opensearch.xml" {
			return r
		}
	}
	r.origin = origin
	return r
}

// Origin is the argument of At, "" without one.
func (r Ref) Origin() string { return r.origin }

// First gives the first page of the listing that r is a page of.
func (r Ref) First() Ref { r.pos, r.after = 0, false; return r }

// Kind says what r names.
func (r Ref) Kind() Kind { return r.kind }

// Of is the listing that a feed tells of.
func (r Ref) Of() Ref { return Ref{kind: r.of, name: r.name, id: r.id, origin: r.origin} }

// Name is the user, tag, query, file, part of the sitemap, asset file or key of a picture; "" for kinds that have
// none.
func (r Ref) Name() string { return r.name }

// ID is the id of a photo or an album, or the number of a part of the sitemap.
func (r Ref) ID() int64 { return r.id }

// Day is the day of an [ExploreDay], in UTC; false for one without.
func (r Ref) Day() (day time.Time, ok bool) {
	if r.kind != KindExplore || r.id == 0 {
		return time.Time{}, false
	}
	return time.Date(int(r.id/10000), time.Month(r.id/100%100), int(r.id%100), 0, 0, 0, 0, time.UTC), true
}

// Order is the order of what a search finds.
func (r Ref) Order() Sort { return r.sort }

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

// ValidOrigin reports whether origin is "http://" or "https://" with a host in lower case and perhaps a port, and
// nothing else.
func ValidOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && len(origin) <= MaxOrigin && (u.Scheme == "http" || u.Scheme == "https") &&
		u.Hostname() != "" &&
		origin == u.Scheme+"://"+u.Host && origin == strings.ToLower(origin)
}

// checkText refuses texts that no tag and no query of at most limit bytes can be.
func checkText(what, text string, limit int) error {
	switch {
	case len(text) > limit:
		return fmt.Errorf("%w: a %s has at most %d bytes", ErrTooLong, what, limit)
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
		!strings.ContainsFunc(base, func(c rune) bool {
			return !isLowerAlnum(byte(min(c, 255))) && c != '-' &&
				c != '_'
		}) &&
		!strings.ContainsFunc(hash, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) &&
		!strings.ContainsFunc(ext, func(c rune) bool { return !isLowerAlnum(byte(min(c, 255))) })
}

// validImage reports whether id is 26 characters of lower-case base32, as keys of pictures are.
func validImage(id string) bool {
	return len(id) == 26 && !strings.ContainsFunc(id,
		func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') })
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
