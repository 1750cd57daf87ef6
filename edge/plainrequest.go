package edge

import (
	"bytes"
	"strings"

	"flickrkillr/schema/wire"
)

// plainRequest is a GET in its plainest form, the one in which nearly every page, file and picture is asked for. Its fields alias what
// was read.
type plainRequest struct {
	target      []byte // a path of letters, digits, "/", "-", "_" and ".", without a query
	host        []byte // Host
	accept      []byte // Accept-Encoding; nil: none
	ifNoneMatch []byte // nil: none
}

// form is what can be said of bytes that begin where a request does.
type form uint8

const (
	formForeign form = iota // not certainly one request and nothing else
	formWhole               // one request, complete and without a body
	formPlain               // that, and its plainRequest says all that an answer needs
)

// readPlain reads what a connection has brought. It knows a small part of HTTP and never guesses: what is not certainly one complete
// request without a body, as net/http would read it too, is foreign; and one that wants more than a copy of a page is only whole.
func readPlain(b []byte) (q plainRequest, f form) {
	line, rest, ok := cutLine(b)
	if !ok {
		return q, formForeign
	}
	f = formPlain
	line, ok = bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	q.target, _ = bytes.CutPrefix(line, []byte("GET "))
	if len(q.target) == len(line) {
		f = formWhole
		q.target, _ = bytes.CutPrefix(line, []byte("HEAD "))
	}
	if !ok || len(q.target) == len(line) || bytes.IndexByte(q.target, ' ') >= 0 {
		return q, formForeign
	}
	if !plainTarget(q.target) {
		f = formWhole
	}
	hosts := 0
	for {
		line, rest, ok = cutLine(rest)
		if !ok || len(line) == 0 {
			break
		}
		name, value, ok := cutField(line)
		if !ok {
			return q, formForeign
		}
		switch meaning(name) {
		case fieldHost:
			if hosts++; !plainHost(value) {
				return q, formForeign
			}
			q.host = value
		case fieldForeign:
			return q, formForeign
		case fieldWish:
			f = formWhole
		case fieldConnection:
			if !strings.EqualFold(string(value), "keep-alive") {
				f = formWhole
			}
		case fieldCookie:
			if bytes.Contains(value, []byte(wire.FreshCookie)) {
				f = formWhole
			}
		case fieldAccept:
			if q.accept != nil {
				f = formWhole
			}
			q.accept = value
		case fieldMatch:
			if q.ifNoneMatch != nil {
				f = formWhole
			}
			q.ifNoneMatch = value
		}
	}
	if !ok || len(rest) > 0 || hosts != 1 {
		return q, formForeign
	}
	return q, f
}

// field is what a header field means to readPlain.
type field uint8

const (
	fieldIgnored field = iota
	fieldHost
	fieldForeign // a body follows, or another protocol
	fieldWish    // a plain answer does not grant it
	fieldConnection
	fieldCookie
	fieldAccept
	fieldMatch
)

var fields = [...]struct {
	name  string
	means field
}{
	{"Host", fieldHost},
	{"Content-Length", fieldForeign},
	{"Transfer-Encoding", fieldForeign},
	{"Trailer", fieldForeign},
	{"Expect", fieldForeign},
	{"Upgrade", fieldForeign},
	{"Connection", fieldConnection},
	{"Cookie", fieldCookie},
	{"Accept-Encoding", fieldAccept},
	{"If-None-Match", fieldMatch},
	{dependsHeader, fieldWish},
}

func meaning(name []byte) field {
	for i := range fields {
		if f := &fields[i]; len(f.name) == len(name) && strings.EqualFold(f.name, string(name)) {
			return f.means
		}
	}
	return fieldIgnored
}

// cutLine cuts a line from b, without its CR and LF. It is not ok if there is none, or a control character in it, a tab or a lone CR among them.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' {
		return nil, nil, false
	}
	line = b[:end-1]
	for _, c := range line {
		if c < ' ' || c == 0x7f {
			return nil, nil, false
		}
	}
	return line, b[end+1:], true
}

// cutField cuts a header line into name and value. It is not ok if the name has anything but letters, digits, "-" and "_".
func cutField(line []byte) (name, value []byte, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return nil, nil, false
	}
	for _, c := range line[:colon] {
		if !letter[c] && c != '-' && c != '_' {
			return nil, nil, false
		}
	}
	return line[:colon], bytes.Trim(line[colon+1:], " "), true
}

func plainTarget(target []byte) bool {
	for _, c := range target {
		if !letter[c] && c != '/' && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(target) > 0 && target[0] == '/'
}

func plainHost(host []byte) bool {
	for _, c := range host {
		if !letter[c] && c != '-' && c != '.' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(host) > 0
}

// letter holds the letters and digits of ASCII.
var letter = func() (set [256]bool) {
	for c := range set {
		set[c] = c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' && c < 0x80
	}
	return set
}()
