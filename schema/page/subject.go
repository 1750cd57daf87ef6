package page

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// Subject gives the bus subject that the page, asset or picture is requested on, such as "page.user.ansel" or "image.<id>.640".
func (r Ref) Subject() string {
	switch r.kind {
	case KindNone:
		return ""
	case KindAsset:
		if r.encoding != "" {
			return "asset." + r.name + "." + r.encoding
		}
		return "asset." + r.name
	case KindImage:
		return "image." + r.name + "." + strconv.FormatInt(r.id, 10)
	}
	var buf [256]byte // all but the largest subjects are built in one allocation
	b := append(buf[:0], "page."...)
	b = append(b, r.kind.String()...)
	switch r.kind {
	case KindUser, KindFeed:
		b = append(append(b, '.'), r.name...)
	case KindTag, KindSearch:
		if r.name != "" {
			b = append(append(b, '.'), escape(r.name)...)
		}
	case KindPhoto, KindAlbum, KindError:
		b = strconv.AppendInt(append(b, '.'), r.id, 10)
	}
	if r.pos != 0 {
		b = append(append(append(b, '.'), r.direction()...), '.')
		b = strconv.AppendInt(b, r.pos, 10)
	}
	return string(b)
}

// Key gives the memcached key: at most 250 bytes, no space, no control character. It is the subject, so that what is seen on the bus
// can be looked up in the cache by the same name.
func (r Ref) Key() string { return r.Subject() }

// ParseKey is the inverse of [Ref.Key].
func ParseKey(key string) (Ref, error) { return ParseSubject(key) }

// ParseSubject is the inverse of [Ref.Subject]. It takes only subjects that Subject gives: no second spelling of a page exists.
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
	case "image":
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
	kind, rest := tokens[0], tokens[1:]
	var r Ref
	switch kind {
	case "home":
		r = Home()
	case "about":
		if len(rest) == 0 {
			return About()
		}
		return Ref{}
	case "search":
		if len(rest) == 0 {
			return Search("")
		}
		r, rest = textRef(KindSearch, rest[0]), rest[1:]
	default:
		if len(rest) == 0 {
			return Ref{}
		}
		r, rest = keyRef(kind, rest[0]), rest[1:]
	}
	if len(rest) == 0 || r.kind == KindNone {
		return r
	}
	if r.kind == KindPhoto || r.kind == KindFeed || r.kind == KindError {
		return Ref{} // these are no listings
	}
	r, err := position(r, "", rest)
	if err != nil || r.kind == KindSearch && r.after { // what a search finds is leafed through in one direction only
		return Ref{}
	}
	return r
}

// keyRef reads the token that names one user, photo, tag, album or error.
func keyRef(kind, key string) Ref {
	id, isID := parseID(key)
	switch {
	case kind == "user" && ValidUser(key):
		return User(key)
	case kind == "feed" && ValidUser(key):
		return Feed(key)
	case kind == "tag":
		return textRef(KindTag, key)
	case kind == "photo" && isID:
		return Photo(id)
	case kind == "album" && isID:
		return Album(id)
	case kind == "error" && isID && id >= 400 && id <= 599:
		return Error(int(id))
	}
	return Ref{}
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

// escape makes a subject token and cache key of any text: letters, digits, "_" and "-" stand for themselves and any other byte is "="
// and two hexadecimal digits. Where base64url is shorter (scripts other than Latin), it is "~" and that.
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

// unescape is the inverse of escape, and reports false for what escape never gives.
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
