package fastpath

import (
	"encoding/binary"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"flickrkillr/schema/wire"
)

// answers has the handler answer a request, unless net/http must. net/http ends a connection on which it has no request
// for the idle timeout: so it gets one now and then.
func (f *http2Filter) answers(h *headers, now time.Time) bool {
	server := f.c.server
	if f.off || f.out.leaving.Load() || server.draining.Load() || server.stopping.Load() ||
		now.Sub(f.passedAt) > server.cfg.IdleTimeout/2 ||
		h.priority != nil && binary.BigEndian.Uint32(h.priority)<<1 == h.stream<<1 { // it depends on itself
		return false
	}
	r, ok := f.request()
	if !ok {
		return false
	}
	return f.serve(Stream{f, h.stream}, &r)
}

// serve calls the handler. After a panic net/http answers, and panics too, which it reports.
func (f *http2Filter) serve(to Stream, r *Request) (answered bool) {
	defer func() {
		if p := recover(); p != nil {
			f.c.server.cfg.Log.Error("panic", "path", string(r.Target), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return f.c.server.cfg.Handler.ServeNear(to, r)
}

// request reads the current header block. false: it is not certainly a valid and simple request.
func (f *http2Filter) request() (r Request, ok bool) {
	f.text = f.text[:0]
	keep := func(value string) []byte { // f.text may move: what was kept before stays where it is
		begin := len(f.text)
		f.text = append(f.text, value...)
		return f.text[begin:len(f.text):len(f.text)]
	}
	var seen struct{ method, scheme, regular bool }
	for _, field := range f.fields {
		name, value := field.Name, field.Value
		if !printable(value) {
			return r, false
		}
		if strings.HasPrefix(name, ":") {
			switch {
			case seen.regular:
				return r, false
			case name == ":method" && value == "GET" && !seen.method:
				seen.method = true
			case name == ":scheme" && (value == "https" || value == "http") && !seen.scheme:
				seen.scheme = true
			case name == ":authority" && r.Host == nil && ValidHost([]byte(value)):
				r.Host = keep(value)
			case name == ":path" && r.Target == nil && fastTarget([]byte(value)):
				r.Target = keep(value)
			default:
				return r, false
			}
			continue
		}
		seen.regular = true
		switch means := meaningHTTP2(name); {
		case means == fieldHarmless:
		case means == fieldCookie && !strings.Contains(value, wire.FreshCookie+"="):
		case means == fieldAccept && r.AcceptEncoding == nil:
			r.AcceptEncoding = keep(value)
		case means == fieldMatch && r.IfNoneMatch == nil:
			r.IfNoneMatch = keep(value)
		case means == fieldForwardedFor && r.ForwardedFor == nil:
			r.ForwardedFor = keep(value)
		case means == fieldForwarded && r.Forwarded == nil:
			r.Forwarded = keep(value)
		case means == fieldTrace && r.Trace == nil:
			r.Trace = keep(value)
		default:
			return r, false
		}
	}
	return r, seen.method && seen.scheme && r.Host != nil && r.Target != nil
}

// meaningHTTP2 is meaning for HTTP/2, where names are in lower case, and fields about the connection are errors.
func meaningHTTP2(name string) field {
	switch name {
	case "te", "keep-alive", "proxy-connection":
		return fieldUnknown
	}
	for i := range len(name) {
		if c := name[i]; !letter[c] && c != '-' && c != '_' || c >= 'A' && c <= 'Z' {
			return fieldUnknown
		}
	}
	return meaning([]byte(name))
}

func printable(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// Stream sends the answer to one request of HTTP/2.
type Stream struct {
	f  *http2Filter
	id uint32
}

// largestBody bounds the bodies that are sent at once.
const largestBody = 64 << 10

// Fits reports whether a body of so many bytes can be sent now.
func (s Stream) Fits(body int) bool {
	n := int64(body)
	return n <= largestBody && n <= s.f.window && n <= s.f.budget && s.f.out.waiting() < mostWaiting
}

// Answer answers with a header block and a body, which must fit. It is sent with others.
func (s Stream) Answer(block, body []byte) {
	s.f.budget -= int64(len(body))
	s.f.out.add(s.id, block, body)
}

// RemoteAddr is the client's address.
func (s Stream) RemoteAddr() string { return s.f.c.RemoteAddr().String() }

// AppendStatus appends the field ":status" to a header block.
func AppendStatus(block []byte, status int) []byte {
	switch status {
	case 200:
		return append(block, 0x88) // its number in the static table, RFC 7541
	case 304:
		return append(block, 0x8b)
	case 404:
		return append(block, 0x8d)
	}
	const digits = "0123456789"
	return append(block, 0x08, 3, digits[status/100], digits[status/10%10], digits[status%10])
}

// AppendField appends a field to a header block. It uses neither the dynamic table, which is net/http's, nor Huffman
// codes: for values that differ in each answer.
func AppendField[T string | []byte](block []byte, name string, value T) []byte {
	block = append(block, 0)
	block = append(appendLength(block, len(name)), name...)
	return append(appendLength(block, len(value)), value...)
}

// appendLength appends a number with a prefix of 7 bits.
func appendLength(b []byte, n int) []byte {
	if n < 0x7f {
		return append(b, byte(n))
	}
	b = append(b, 0x7f)
	for n -= 0x7f; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// Fields encodes fields that many answers have.
type Fields struct {
	block   strings.Builder
	encoder *hpack.Encoder
}

// Add adds a field. Sensitive fields are those that do not come into the dynamic table.
func (f *Fields) Add(name, value string) {
	if f.encoder == nil {
		f.encoder = hpack.NewEncoder(&f.block)
	}
	// A strings.Builder has no errors.
	_ = f.encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: value, Sensitive: true})
}

// Block returns the fields so far, as a part of a header block.
func (f *Fields) Block() []byte { return []byte(f.block.String()) }

func appendFrameHead(b []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags),
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}
