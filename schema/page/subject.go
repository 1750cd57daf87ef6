package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The first tokens of subjects, each with its dot. SubjectPrefix begins the subjects of all pages.
const (
	SubjectPrefix = "page."
	prefixAsset   = "asset."
	prefixImage   = "picture."
)

// Patterns lists the NATS subjects, with wildcards, that match the [Ref.Subject] of every Ref of the kind and of no
// other kind. A kind whose pages have no key needs two: its bare subject, and a wildcard for further pages and other
// origins.
func (k Kind) Patterns() []string {
	switch k {
	case KindNone:
		return nil
	case KindAsset:
		return []string{prefixAsset + ">"}
	case KindImage:
		return []string{prefixImage + ">"}
	case KindHome, KindExplore, KindTags, KindSearch, KindAbout, KindSitemap:
		return []string{SubjectPrefix + k.String(), SubjectPrefix + k.String() + ".>"}
	}
	return []string{SubjectPrefix + k.String() + ".>"}
}

// Subject gives the bus subject that the page, asset or picture is requested on, such as "page.user.ansel" or
// "picture.<key>.640".
func (r Ref) Subject() string {
	switch r.kind {
	case KindNone:
		return ""
	case KindAsset:
		if r.encoding != "" {
			return prefixAsset + r.name + "." + r.encoding
		}
		return prefixAsset + r.name
	case KindImage:
		return prefixImage + r.name + "." + strconv.FormatInt(r.id, 10)
	}
	var buf [256]byte // all but the largest subjects are built in one allocation
	b := append(buf[:0], SubjectPrefix...)
	b = append(b, r.kind.String()...)
	switch r.kind {
	case KindExplore:
		if day, ok := r.Day(); ok {
			b = day.AppendFormat(append(b, '.'), time.DateOnly)
		}
	case KindFeed:
		b = append(append(b, '.'), r.of.String()...)
		b = r.Of().appendKey(b)
	case KindSitemap:
		if r.id != 0 {
			b = append(append(append(b, '.'), r.name...), '.')
			b = strconv.AppendInt(b, r.id, 10)
		}
	case KindOEmbed:
		width, height := r.MaxSize()
		b = strconv.AppendInt(append(b, '.'), r.id, 10)
		b = append(append(b, '.'), r.encoding...)
		b = strconv.AppendInt(append(b, '.'), int64(width), 10)
		b = strconv.AppendInt(append(b, '.'), int64(height), 10)
		return string(r.appendOrigin(b))
	default:
		b = r.appendKey(b)
	}
	if r.sort != SortRelevance {
		b = append(append(b, '.'), r.sort.String()...)
	}
	if r.pos != 0 {
		b = append(append(append(b, '.'), r.direction()...), '.')
		b = strconv.AppendInt(b, r.pos, 10)
	}
	return string(r.appendOrigin(b))
}

// appendKey appends "." and the token that distinguishes pages of one kind.
func (r Ref) appendKey(b []byte) []byte {
	switch r.kind {
	case KindUser, KindAlbums:
		return append(append(b, '.'), r.name...)
	case KindTag, KindSearch, KindFile:
		if r.name != "" {
			return append(append(b, '.'), escape(r.name)...)
		}
	case KindPhoto, KindAlbum, KindError:
		return strconv.AppendInt(append(b, '.'), r.id, 10)
	}
	return b
}

func (r Ref) appendOrigin(b []byte) []byte {
	if r.origin == "" {
		return b
	}
	return append(append(b, ".at."...), escape(r.origin)...)
}

// Key is the memcached key: at most [MaxKey] bytes, no space, no control character. It is the subject, so that a page
// has one name on the bus and in the cache; for a longer subject it is the kind and a hash.
func (r Ref) Key() string {
	subject := r.Subject()
	if len(subject) <= MaxKey {
		return subject
	}
	sum := sha256.Sum256([]byte(subject))
	return SubjectPrefix + r.kind.String() + ".#" + hex.EncodeToString(sum[:])
}

// MaxKey is how many bytes a memcached key may have.
const MaxKey = 250

// ParseSubject is the inverse of [Ref.Subject]. It accepts only subjects that Subject returns: each page has one
// spelling.
func ParseSubject(subject string) (Ref, error) {
	root, rest, ok := strings.Cut(subject, ".")
	if !ok || len(subject) > MaxTarget {
		return Ref{}, unknown(subject)
	}
	var r Ref
	switch root {
	case "page":
		r = parsePageTokens(strings.Split(rest, "."))
	case "asset":
		name := rest
		for _, encoding := range [...]string{"br", "gz"} {
			if plain, ok := strings.CutSuffix(rest, "."+encoding); ok && validAsset(plain) {
				name, r.encoding = plain, encoding
			}
		}
		if validAsset(name) {
			r.kind, r.name = KindAsset, name
		}
	case "picture":
		id, digits, _ := strings.Cut(rest, ".")
		if width, ok := parseID(digits); ok && validImage(id) && validWidth(width) {
			r = Image(id, int(width))
		}
	}
	if r.kind == KindNone {
		return Ref{}, unknown(subject)
	}
	return r, nil
}

// parsePageTokens reads the tokens behind "page."; it gives the zero Ref for what is no page.
func parsePageTokens(tokens []string) Ref {
	if n := len(tokens); n > 2 && tokens[n-2] == "at" {
		if origin, ok := unescape(tokens[n-1]); ok && ValidOrigin(origin) {
			if r := parsePageTokens(tokens[:n-2]).At(origin); r.origin != "" {
				return r
			}
			return Ref{}
		}
	}
	kind, rest := tokens[0], tokens[1:]
	var r Ref
	switch kind {
	case "home":
		r = Home()
	case "about", "tags":
		if len(rest) > 0 {
			return Ref{}
		}
		if kind == "tags" {
			return Tags()
		}
		return About()
	case "explore":
		return exploreRef(rest)
	case "feed":
		return feedRef(rest)
	case "sitemap":
		return sitemapRef(rest)
	case "oembed":
		return oEmbedRef(rest)
	case "search":
		if len(rest) == 0 {
			return Search("")
		}
		r, rest = textRef(KindSearch, rest[0]), rest[1:]
		if len(rest) > 0 && r.kind != KindNone {
			if by, ok := ParseSort(rest[0]); ok && by != SortRelevance {
				r, rest = r.Sorted(by), rest[1:]
			}
		}
	default:
		if len(rest) == 0 {
			return Ref{}
		}
		r, rest = keyRef(kind, rest[0]), rest[1:]
	}
	if len(rest) == 0 || r.kind == KindNone {
		return r
	}
	if r.kind == KindPhoto || r.kind == KindFile || r.kind == KindError {
		return Ref{} // these are no listings
	}
	r, err := position(r, "", rest)
	if err != nil || r.kind == KindSearch && r.after { // what a search finds is leafed through in one direction only
		return Ref{}
	}
	return r
}

// keyRef reads the token that names one user, photo, tag, album, file or error.
func keyRef(kind, key string) Ref {
	id, isID := parseID(key)
	switch {
	case kind == "user" && ValidUser(key):
		return User(key)
	case kind == "albums" && ValidUser(key):
		return Albums(key)
	case kind == "tag":
		return textRef(KindTag, key)
	case kind == "photo" && isID:
		return Photo(id)
	case kind == "album" && isID:
		return Album(id)
	case kind == "file":
		if name, ok := unescape(key); ok && slices.Contains(Files(), name) {
			return File(name)
		}
	case kind == "error" && isID && id >= 400 && id <= 599:
		return Error(int(id))
	}
	return Ref{}
}

func exploreRef(tokens []string) Ref {
	switch len(tokens) {
	case 0:
		return Explore()
	case 1:
		if r, err := parseDay("", tokens[0]); err == nil {
			return r
		}
	}
	return Ref{}
}

func feedRef(tokens []string) Ref {
	switch {
	case len(tokens) == 1 && tokens[0] == "home":
		return Feed(Home())
	case len(tokens) == 2:
		return Feed(keyRef(tokens[0], tokens[1]))
	}
	return Ref{}
}

func sitemapRef(tokens []string) Ref {
	switch len(tokens) {
	case 0:
		return Sitemap()
	case 2:
		if n, ok := parseID(tokens[1]); ok && validSitemap(tokens[0]) {
			return SitemapPart(tokens[0], n)
		}
	}
	return Ref{}
}

func oEmbedRef(tokens []string) Ref {
	if len(tokens) != 4 || tokens[1] != "json" && tokens[1] != "xml" {
		return Ref{}
	}
	id, ok := parseID(tokens[0])
	var limits [2]int64
	for i, text := range tokens[2:] {
		if text != "0" {
			var isID bool
			limits[i], isID = parseID(text)
			ok = ok && isID && limits[i] <= MaxEmbed
		}
	}
	if !ok {
		return Ref{}
	}
	return OEmbed(id, tokens[1], int(limits[0]), int(limits[1]))
}

// textRef reads an escaped tag or query, in its one spelling.
func textRef(kind Kind, token string) Ref {
	text, ok := unescape(token)
	if !ok || text == "" {
		return Ref{}
	}
	r := Ref{kind: kind, name: text}
	if r.check() != nil || CleanQuery(text) != text || kind == KindTag && CleanTag(text) != text {
		return Ref{}
	}
	return r
}

// escape makes a subject token of any text: letters, digits, "_" and "-" stand for themselves, any other byte is "="
// and two hexadecimal digits. Where base64url is shorter (scripts other than Latin), it is "~" and the base64url.
func escape(text string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 3*len(text))
	for i := range len(text) {
		if c := text[i]; isToken(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', digits[c>>4], digits[c&15])
		}
	}
	if 1+base64.RawURLEncoding.EncodedLen(len(text)) < len(b) {
		return "~" + base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	return string(b)
}

// unescape is the inverse of escape. It reports false for tokens that escape never returns.
func unescape(token string) (string, bool) {
	if rest, ok := strings.CutPrefix(token, "~"); ok {
		text, err := base64.RawURLEncoding.DecodeString(rest)
		return string(text), err == nil && escape(string(text)) == token
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b = append(b, token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", false
		}
		var c [1]byte
		if _, err := hex.Decode(c[:], []byte(token[i+1:i+3])); err != nil {
			return "", false
		}
		b = append(b, c[0])
		i += 2
	}
	return string(b), escape(string(b)) == token
}

func isToken(c byte) bool {
	return isLowerAlnum(c) || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}
