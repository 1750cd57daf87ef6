package edge

import (
	"bytes"
	"strings"

	"flickrkillr/schema/wire"
)

// plainRequest is a GET in its plainest form, the one in which nearly every page, file and picture is asked for. Its
// fields alias what was read.
type plainRequest struct {
	target      []byte // a path of letters, digits, "/", "-", "_" and ".", without a query
	host        []byte // Host
	accept      []byte // Accept-Encoding; nil: none
	ifNoneMatch []byte // nil: none
	why         reason // with formWhole: the first thing that is not plain
}

// delegate notes why the request is not plain. The first reason counts.
func (q *plainRequest) delegate(why reason) {
	if q.why == reasonNone {
		q.why = why
	}
}

// form is what can be said of bytes that begin where a request does.
type form uint8

const (
	formForeign form = iota // not certainly one request and nothing else
	formWhole               // one request, complete and without a body
	formPlain               // that, and its plainRequest says all that an answer needs
)

// readPlain reads what a connection has brought. It knows a small part of HTTP and never guesses: what is not certainly
// one complete request without a body, as net/http would read it too, is foreign; and one that wants more than a copy
// of a page is only whole.
func readPlain(b []byte) (q plainRequest, f form) {
	line, rest, ok := cutLine(b)
	if !ok {
		return q, formForeign
	}
	line, ok = bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	q.target, _ = bytes.CutPrefix(line, []byte("GET "))
	if len(q.target) == len(line) {
		q.delegate(reasonHead)
		q.target, _ = bytes.CutPrefix(line, []byte("HEAD "))
	}
	if !ok || len(q.target) == len(line) || bytes.IndexByte(q.target, ' ') >= 0 {
		return q, formForeign
	}
	if !plainTarget(q.target) {
		if bytes.IndexByte(q.target, '?') >= 0 {
			q.delegate(reasonQuery)
		}
		q.delegate(reasonPath)
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
		case fieldUnknown:
			q.delegate(reasonUnknownHeader)
		case fieldConnection:
			if !strings.EqualFold(string(value), "keep-alive") {
				q.delegate(reasonConnection)
			}
		case fieldCookie:
			if bytes.Contains(value, []byte(wire.FreshCookie)) {
				q.delegate(reasonCookie)
			}
		case fieldAccept:
			if q.accept != nil {
				q.delegate(reasonRepeatedHeader)
			}
			q.accept = value
		case fieldMatch:
			if q.ifNoneMatch != nil {
				q.delegate(reasonRepeatedHeader)
			}
			q.ifNoneMatch = value
		}
	}
	if !ok || len(rest) > 0 || hosts != 1 {
		return q, formForeign
	}
	if q.why != reasonNone {
		return q, formWhole
	}
	return q, formPlain
}

// field is what a header field means to readPlain.
type field uint8

const (
	fieldUnknown  field = iota // it may ask for more than a page
	fieldHarmless              // it changes nothing in the answer
	fieldHost
	fieldForeign // a body follows, or another protocol
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
}

// harmless are header fields, in lower case, that change nothing in an answer to a GET. The list names what browsers,
// crawlers and proxies send. A request with a field that is not on it is delegated to net/http, so that the fast path
// never ignores a field, such as Authorization or Range, that the edge comes to honour later. Proxy-Connection, which
// old clients send to proxies, means nothing to net/http's server either.
var harmless = [...]string{
	"accept", "accept-charset", "accept-language", "b3", "baggage", "cache-control", "cdn-loop", "device-memory", "dnt",
	"downlink", "dpr", "ect", "forwarded", "from", "if-modified-since", "keep-alive", "origin", "pragma", "priority",
	"proxy-connection", "purpose", "referer", "rtt", "save-data", "te", "traceparent", "tracestate", "true-client-ip",
	"upgrade-insecure-requests", "user-agent", "via", "viewport-width", "width", "x-amz-cf-id", "x-cloud-trace-context",
	"x-original-forwarded-for", "x-real-ip", "x-request-id", "x-requested-with", "x-scheme", "x-varnish",
}

// harmlessPrefixes begin the names of further ones. "sec-" is what browsers say of themselves (fetch metadata, client
// hints, Sec-GPC); Sec-WebSocket-* comes with Upgrade, which is foreign. The others are what proxies add.
var harmlessPrefixes = [...]string{"sec-", "x-forwarded-", "cf-", "x-b3-", "x-amzn-", "x-envoy-"}

// harmlessBySize finds the names by their length.
var harmlessBySize = func() (bySize [32][]string) {
	for _, name := range harmless {
		bySize[len(name)] = append(bySize[len(name)], name)
	}
	return bySize
}()

func meaning(name []byte) field {
	for i := range fields {
		if f := &fields[i]; len(f.name) == len(name) && strings.EqualFold(f.name, string(name)) {
			return f.means
		}
	}
	if len(name) < len(harmlessBySize) {
		for _, known := range harmlessBySize[len(name)] {
			if strings.EqualFold(known, string(name)) {
				return fieldHarmless
			}
		}
	}
	for _, prefix := range harmlessPrefixes {
		if len(name) >= len(prefix) && strings.EqualFold(prefix, string(name[:len(prefix)])) {
			return fieldHarmless
		}
	}
	return fieldUnknown
}

// cutLine cuts a line from b, without its CR and LF. It is not ok if there is none, or a control character in it, a tab
// or a lone CR among them.
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

// cutField cuts a header line into name and value. It is not ok if the name has anything but letters, digits, "-" and
// "_".
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
