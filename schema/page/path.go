package page

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path gives the URL path, with a query for searches only. Error pages have none: "".
func (r Ref) Path() string {
	var buf [128]byte // all but long searches are built in one allocation
	return string(r.AppendPath(buf[:0]))
}

// AppendPath appends Path to b: whoever only compares need not allocate it.
func (r Ref) AppendPath(b []byte) []byte {
	switch r.kind {
	case KindHome:
		if r.pos == 0 {
			return append(b, '/')
		}
		return r.appendPosition(b)
	case KindUser:
		return r.appendPosition(append(append(b, "/photos/"...), r.name...))
	case KindFeed:
		return append(append(append(b, "/photos/"...), r.name...), "/feed"...)
	case KindPhoto:
		return strconv.AppendInt(append(b, "/photo/"...), r.id, 10)
	case KindTag:
		return r.appendPosition(append(append(b, "/tag/"...), url.PathEscape(r.name)...))
	case KindSearch:
		return r.appendSearch(b)
	case KindAlbum:
		return r.appendPosition(strconv.AppendInt(append(b, "/album/"...), r.id, 10))
	case KindAbout:
		return append(b, "/about"...)
	case KindAsset:
		return append(append(b, "/static/"...), r.name...)
	case KindImage:
		b = append(append(append(b, "/img/"...), r.name...), '/')
		return append(strconv.AppendInt(b, r.id, 10), ".jpg"...)
	}
	return b
}

func (r Ref) direction() string {
	if r.after {
		return "after"
	}
	return "before"
}

func (r Ref) appendPosition(b []byte) []byte {
	if r.pos == 0 {
		return b
	}
	b = append(append(append(b, '/'), r.direction()...), '/')
	return strconv.AppendInt(b, r.pos, 10)
}

func (r Ref) appendSearch(b []byte) []byte {
	b = append(b, "/search"...)
	if r.name == "" {
		return b
	}
	b = append(append(b, "?q="...), url.QueryEscape(r.name)...)
	if r.pos != 0 {
		b = append(append(append(b, '&'), r.direction()...), '=')
		b = strconv.AppendInt(b, r.pos, 10)
	}
	return b
}

// ParsePath reads a request target: the escaped path and, after a "?", the query. The Ref is canonical, so that a target that differs
// from its Path up to the "?" deserves a redirect. Queries count for searches alone; elsewhere they are ignored, so that a link with
// somebody's tracking parameters shows the same, shared page. Errors wrap ErrUnknown, ErrMalformed or ErrTooLong.
func ParsePath(target string) (Ref, error) {
	if len(target) > MaxTarget {
		return Ref{}, fmt.Errorf("%w: a path with its query has at most %d bytes", ErrTooLong, MaxTarget)
	}
	path, query, _ := strings.Cut(target, "?")
	if path == "/" {
		return Home(), nil
	}
	if !strings.HasPrefix(path, "/") {
		return Ref{}, unknown(path)
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == "" {
			return Ref{}, unknown(path)
		}
		if !utf8.ValidString(plain) {
			return Ref{}, fmt.Errorf("%w: the path is not UTF-8", ErrMalformed)
		}
		segments[i] = plain
	}
	return parseSegments(path, segments, query)
}

func parseSegments(path string, segments []string, query string) (Ref, error) {
	head, rest := segments[0], segments[1:]
	switch {
	case head == "before" || head == "after":
		return position(Home(), path, segments)
	case head == "about" && len(rest) == 0:
		return About(), nil
	case head == "search" && len(rest) == 0:
		return parseSearch(query)
	case len(rest) == 0:
		return Ref{}, unknown(path)
	}
	switch key, rest := rest[0], rest[1:]; head {
	case "photos":
		return parseUser(path, strings.ToLower(key), rest)
	case "photo":
		if id, ok := parseID(key); ok && len(rest) == 0 {
			return Photo(id), nil
		}
	case "album":
		if id, ok := parseID(key); ok {
			return position(Album(id), path, rest)
		}
	case "tag":
		r := Tag(key)
		if err := r.check(); err != nil {
			return Ref{}, err
		}
		return position(r, path, rest)
	case "static":
		if validAsset(key) && len(rest) == 0 {
			return Asset(key), nil
		}
	case "img":
		return parseImage(path, key, rest)
	}
	return Ref{}, unknown(path)
}

func parseUser(path, name string, rest []string) (Ref, error) {
	if !ValidUser(name) {
		return Ref{}, unknown(path)
	}
	if len(rest) == 1 && rest[0] == "feed" {
		return Feed(name), nil
	}
	return position(User(name), path, rest)
}

func parseImage(path, id string, rest []string) (Ref, error) {
	if len(rest) == 1 && validImage(id) {
		if digits, ok := strings.CutSuffix(rest[0], ".jpg"); ok {
			if width, ok := parseID(digits); ok && validWidth(width) {
				return Image(id, int(width)), nil
			}
		}
	}
	return Ref{}, unknown(path)
}

func parseSearch(query string) (Ref, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Ref{}, fmt.Errorf("%w: the query cannot be read", ErrMalformed)
	}
	r := Search(values.Get("q"))
	if err := r.check(); err != nil || r.name == "" {
		return r, err
	}
	if at := values.Get("before"); at != "" {
		return position(r, "/search", []string{"before", at})
	}
	return r, nil
}

// check refuses a tag or a query that no page can have.
func (r Ref) check() error {
	if err := checkText(r.kind.String(), r.name); err != nil {
		return err
	}
	if r.kind == KindTag && (r.name == "" || len([]rune(r.name)) > MaxTag) {
		return fmt.Errorf("%w: a tag has 1 to %d characters", ErrUnknown, MaxTag)
	}
	return nil
}

// position puts the "before/<n>" or "after/<n>" of rest, if any, on r.
func position(r Ref, path string, rest []string) (Ref, error) {
	if len(rest) == 0 {
		return r, nil
	}
	if len(rest) == 2 {
		if pos, ok := parseID(rest[1]); ok {
			switch rest[0] {
			case "before":
				return r.Before(pos), nil
			case "after":
				return r.After(pos), nil
			}
		}
	}
	return Ref{}, unknown(path)
}
