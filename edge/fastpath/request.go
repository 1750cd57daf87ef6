package fastpath

import (
	"bytes"
	"strings"

	"flickrkillr/schema/wire"
)

// Request is a fast request. Its fields are parts of the connection's buffer.
type Request struct {
	Target         []byte // a path of letters, digits, "/", "-", "_" and ".", without a query
	Host           []byte
	AcceptEncoding []byte // nil: none
	IfNoneMatch    []byte // nil: none
	ForwardedFor   []byte // X-Forwarded-For; nil: none
	Forwarded      []byte // nil: none
	Trace          []byte // traceparent; nil: none

	reason Reason // of kindDelegated: the first one
}

// delegate records why the request is not fast. The first reason counts.
func (r *Request) delegate(reason Reason) {
	if r.reason == ReasonNone {
		r.reason = reason
	}
}

// kind is the result of parse.
type kind uint8

const (
	kindUnparsed  kind = iota // perhaps not exactly one request
	kindDelegated             // one complete request without a body
	kindFast                  // likewise, and the Request has everything that an answer needs
)

// parse reads the bytes that a connection has brought. It knows a small part of HTTP and never guesses. It parses only
// what is certainly one complete request without a body, and what net/http would read in the same way.
func parse(b []byte) (r Request, k kind) {
	line, rest, ok := cutLine(b)
	if !ok {
		return r, kindUnparsed
	}
	line, ok = bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	r.Target, _ = bytes.CutPrefix(line, []byte("GET "))
	if len(r.Target) == len(line) {
		r.delegate(ReasonHead)
		r.Target, _ = bytes.CutPrefix(line, []byte("HEAD "))
	}
	if !ok || len(r.Target) == len(line) || bytes.IndexByte(r.Target, ' ') >= 0 {
		return r, kindUnparsed
	}
	if !fastTarget(r.Target) {
		if bytes.IndexByte(r.Target, '?') >= 0 {
			r.delegate(ReasonQuery)
		}
		r.delegate(ReasonPath)
	}
	hosts := 0
	for {
		line, rest, ok = cutLine(rest)
		if !ok || len(line) == 0 {
			break
		}
		name, value, ok := cutField(line)
		if !ok {
			return r, kindUnparsed
		}
		switch meaning(name) {
		case fieldHost:
			if hosts++; !ValidHost(value) {
				return r, kindUnparsed
			}
			r.Host = value
		case fieldUnparsed:
			return r, kindUnparsed
		case fieldUnknown:
			r.delegate(ReasonUnknownHeader)
		case fieldConnection:
			if !strings.EqualFold(string(value), "keep-alive") {
				r.delegate(ReasonConnection)
			}
		case fieldCookie:
			if bytes.Contains(value, []byte(wire.FreshCookie+"=")) {
				r.delegate(ReasonCookie)
			}
		case fieldAccept:
			if r.AcceptEncoding != nil {
				r.delegate(ReasonRepeatedHeader)
			}
			r.AcceptEncoding = value
		case fieldMatch:
			if r.IfNoneMatch != nil {
				r.delegate(ReasonRepeatedHeader)
			}
			r.IfNoneMatch = value
		case fieldForwardedFor:
			if r.ForwardedFor != nil {
				r.delegate(ReasonRepeatedHeader)
			}
			r.ForwardedFor = value
		case fieldForwarded:
			if r.Forwarded != nil {
				r.delegate(ReasonRepeatedHeader)
			}
			r.Forwarded = value
		case fieldTrace:
			if r.Trace != nil {
				r.delegate(ReasonRepeatedHeader)
			}
			r.Trace = value
		}
	}
	if !ok || len(rest) > 0 || hosts != 1 {
		return r, kindUnparsed
	}
	if r.reason != ReasonNone {
		return r, kindDelegated
	}
	return r, kindFast
}

// field is what a header field means to parse.
type field uint8

const (
	fieldUnknown  field = iota // it may ask for more than a page
	fieldHarmless              // it changes nothing in the answer
	fieldHost
	fieldUnparsed // a body follows, or another protocol
	fieldConnection
	fieldCookie
	fieldAccept
	fieldMatch
	fieldForwardedFor
	fieldForwarded
	fieldTrace
)

var fields = [...]struct {
	name  string
	means field
}{
	{"Host", fieldHost},
	{"Content-Length", fieldUnparsed},
	{"Transfer-Encoding", fieldUnparsed},
	{"Trailer", fieldUnparsed},
	{"Expect", fieldUnparsed},
	{"Upgrade", fieldUnparsed},
	{"Connection", fieldConnection},
	{"Cookie", fieldCookie},
	{"Accept-Encoding", fieldAccept},
	{"If-None-Match", fieldMatch},
	{"X-Forwarded-For", fieldForwardedFor},
	{"Forwarded", fieldForwarded},
	{"traceparent", fieldTrace},
}

// harmless are header fields, in lower case, that change nothing in an answer to a GET. The list names what browsers,
// crawlers and proxies send. A request with any other field is delegated, so that the fast path never ignores a field,
// such as Authorization or Range, that the edge honours one day. Proxy-Connection, which old clients send to proxies,
// means nothing to net/http's server either.
var harmless = [...]string{
	"accept", "accept-charset", "accept-language", "b3", "baggage", "cache-control", "cdn-loop", "device-memory", "dnt",
	"downlink", "dpr", "ect", "from", "if-modified-since", "keep-alive", "origin", "pragma", "priority",
	"proxy-connection", "purpose", "referer", "rtt", "save-data", "te", "tracestate", "true-client-ip",
	"upgrade-insecure-requests", "user-agent", "via", "viewport-width", "width", "x-amz-cf-id", "x-cloud-trace-context",
	"x-original-forwarded-for", "x-real-ip", "x-request-id", "x-requested-with", "x-scheme", "x-varnish",
}

// harmlessPrefixes begin the names of further harmless fields. Browsers send "sec-" (fetch metadata, client
// hints, Sec-GPC); Sec-WebSocket-* comes with Upgrade, which is not parsed. Proxies add the others.
var harmlessPrefixes = [...]string{"sec-", "x-forwarded-", "cf-", "x-b3-", "x-amzn-", "x-envoy-"}

// harmlessBySize holds the harmless names by their length.
var harmlessBySize = func() (bySize [32][]string) {
	for _, name := range harmless {
		bySize[len(name)] = append(bySize[len(name)], name)
	}
	return bySize
}()

// meaning returns what a header field means, by its name.
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

// cutLine cuts a line from b and returns it without its CR and LF. ok is false if there is no line, or a control
// character in it, such as a tab or a lone CR.
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

// cutField cuts a header line into name and value. ok is false if the name has anything but letters, digits, "-" and
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

func fastTarget(target []byte) bool {
	for _, c := range target {
		if !letter[c] && c != '/' && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(target) > 0 && target[0] == '/'
}

// ValidHost reports whether a host has only characters that fast requests may have.
func ValidHost(host []byte) bool {
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
