package page

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Path gives the URL path, with a query for searches only. Error pages have none: "".
func (r Ref) Path() string {
	var buf [128]byte // all but long searches are built in one allocation
	return string(r.AppendPath(buf[:0]))
}

// AppendPath appends Path to b, without an allocation.
func (r Ref) AppendPath(b []byte) []byte {
	switch r.kind {
	case KindHome:
		if r.pos == 0 {
			return append(b, '/')
		}
		return r.appendPosition(b)
	case KindExplore:
		b = append(b, "/explore"...)
		if day, ok := r.Day(); ok {
			b = day.AppendFormat(append(b, '/'), time.DateOnly)
		}
		return b
	case KindUser, KindTag, KindAlbum:
		return r.appendPosition(r.appendListing(b))
	case KindAlbums:
		return r.appendPosition(append(append(append(b, "/photos/"...), r.name...), "/albums"...))
	case KindFeed:
		if r.of == KindHome {
			return append(b, "/feed"...)
		}
		return append(r.Of().appendListing(b), "/feed"...)
	case KindPhoto:
		return strconv.AppendInt(append(b, "/photo/"...), r.id, 10)
	case KindTags:
		return append(b, "/tags"...)
	case KindSearch:
		return r.appendSearch(b)
	case KindAbout:
		return append(b, "/about"...)
	case KindFile:
		return append(append(b, '/'), r.name...)
	case KindSitemap:
		if r.id == 0 {
			return append(b, "/sitemap.xml"...)
		}
		b = append(append(append(b, "/sitemap/"...), r.name...), '/')
		return append(strconv.AppendInt(b, r.id, 10), ".xml"...)
	case KindOEmbed:
		return r.appendOEmbed(b)
	case KindAsset:
		return append(append(b, "/static/"...), r.name...)
	case KindImage:
		b = append(append(append(b, "/img/"...), r.name...), '/')
		return append(strconv.AppendInt(b, r.id, 10), ".jpg"...)
	}
	return b
}

// appendListing appends the path of the first page of a user's, a tag's or an album's photos.
func (r Ref) appendListing(b []byte) []byte {
	switch r.kind {
	case KindUser:
		return append(append(b, "/photos/"...), r.name...)
	case KindTag:
		return append(append(b, "/tag/"...), url.PathEscape(r.name)...)
	}
	return strconv.AppendInt(append(b, "/album/"...), r.id, 10)
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
	if r.sort != SortRelevance {
		b = append(append(b, "&sort="...), r.sort.String()...)
	}
	if r.pos != 0 {
		b = append(append(append(b, '&'), r.direction()...), '=')
		b = strconv.AppendInt(b, r.pos, 10)
	}
	return b
}

// appendOEmbed names the photo by its path alone, because the identity of the answer does not depend on the origin.
func (r Ref) appendOEmbed(b []byte) []byte {
	b = strconv.AppendInt(append(b, "/oembed?url=%2Fphoto%2F"...), r.id, 10)
	b = append(append(b, "&format="...), r.encoding...)
	width, height := r.MaxSize()
	if width != 0 {
		b = strconv.AppendInt(append(b, "&maxwidth="...), int64(width), 10)
	}
	if height != 0 {
		b = strconv.AppendInt(append(b, "&maxheight="...), int64(height), 10)
	}
	return b
}

// ParsePath reads a request target: the escaped path and, after a "?", the query. The Ref is canonical: if the target
// differs from its Path up to the "?", for example by a slash at the end, redirect to Path. Queries count for
// searches and oEmbed requests only. Elsewhere they are ignored, so that a link with tracking parameters shows the
// same shared page. Errors wrap ErrUnknown, ErrMalformed or ErrTooLong.
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
	segments := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
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
	case head == "explore" && len(rest) == 1:
		return parseDay(path, rest[0])
	case len(rest) == 0:
		return parseSingle(path, head, query)
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
			return feedOrPosition(Album(id), path, rest)
		}
	case "tag":
		r := Tag(key)
		if err := r.check(); err != nil {
			return Ref{}, err
		}
		return feedOrPosition(r, path, rest)
	case "sitemap":
		return parseSitemapPart(path, key, rest)
	case "static":
		if validAsset(key) && len(rest) == 0 {
			return Asset(key), nil
		}
	case "img":
		return parseImage(path, key, rest)
	}
	return Ref{}, unknown(path)
}

// parseSingle reads a path of one segment.
func parseSingle(path, segment, query string) (Ref, error) {
	switch segment {
	case "about":
		return About(), nil
	case "explore":
		return Explore(), nil
	case "tags":
		return Tags(), nil
	case "feed":
		return Feed(Home()), nil
	case "sitemap.xml":
		return Sitemap(), nil
	case "search":
		return parseSearch(query)
	case "oembed":
		return parseOEmbed(query)
	}
	if slices.Contains(Files(), segment) {
		return File(segment), nil
	}
	return Ref{}, unknown(path)
}

func parseDay(path, text string) (Ref, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 1 {
		return Ref{}, unknown(path)
	}
	return ExploreDay(day), nil
}

func parseUser(path, name string, rest []string) (Ref, error) {
	if !ValidUser(name) {
		return Ref{}, unknown(path)
	}
	if len(rest) > 0 && rest[0] == "albums" {
		return position(Albums(name), path, rest[1:])
	}
	return feedOrPosition(User(name), path, rest)
}

// feedOrPosition reads what follows the path of a listing that has a feed.
func feedOrPosition(r Ref, path string, rest []string) (Ref, error) {
	if len(rest) == 1 && rest[0] == "feed" {
		return Feed(r), nil
	}
	return position(r, path, rest)
}

func parseSitemapPart(path, of string, rest []string) (Ref, error) {
	if len(rest) == 1 && validSitemap(of) {
		if digits, ok := strings.CutSuffix(rest[0], ".xml"); ok {
			if n, ok := parseID(digits); ok {
				return SitemapPart(of, n), nil
			}
		}
	}
	return Ref{}, unknown(path)
}

func validSitemap(of string) bool { return of == "photos" || of == "users" || of == "albums" }

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
	if r.sort, err = sortOf(values.Get("sort")); err != nil {
		return Ref{}, err
	}
	if at := values.Get("before"); at != "" {
		return position(r, "/search", []string{"before", at})
	}
	return r, nil
}

func sortOf(name string) (Sort, error) {
	if name == "" {
		return SortRelevance, nil
	}
	by, ok := ParseSort(name)
	if !ok {
		return 0, fmt.Errorf("%w: sort is one of %s", ErrMalformed, strings.Join(sortNames[:], ", "))
	}
	return by, nil
}

// parseOEmbed reads an oEmbed request. Its url may be absolute; the host is ignored, because the site may have
// several names.
func parseOEmbed(query string) (Ref, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Ref{}, fmt.Errorf("%w: the query cannot be read", ErrMalformed)
	}
	format := values.Get("format")
	switch format {
	case "":
		format = "json"
	case "json", "xml":
	default:
		return Ref{}, fmt.Errorf("%w: format is json or xml", ErrMalformed)
	}
	of, err := url.Parse(values.Get("url"))
	if err != nil || of.Path == "" {
		return Ref{}, fmt.Errorf("%w: url is missing, or is no address", ErrMalformed)
	}
	photo, err := ParsePath(of.EscapedPath())
	if err != nil || photo.kind != KindPhoto {
		return Ref{}, fmt.Errorf("%w: url is not that of a photo", ErrUnknown)
	}
	var limits [2]int64
	for i, name := range [...]string{"maxwidth", "maxheight"} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		n, ok := parseID(text)
		if !ok {
			return Ref{}, fmt.Errorf("%w: %s is a number of pixels", ErrMalformed, name)
		}
		if n <= MaxEmbed {
			limits[i] = n
		}
	}
	return OEmbed(photo.id, format, int(limits[0]), int(limits[1])), nil
}

// check refuses a tag or a query that no page can have.
func (r Ref) check() error {
	limit := MaxText
	if r.kind == KindSearch {
		limit = MaxQuery
	}
	if err := checkText(r.kind.String(), r.name, limit); err != nil {
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
