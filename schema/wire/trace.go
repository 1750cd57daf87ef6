package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
)

// HeaderTrace is the header in which a browser, a proxy, an edge and a renderer name the trace that a request belongs
// to, see [Trace]. It is that of W3C's Trace Context, over HTTP and on the bus.
const HeaderTrace = "traceparent"

// Lengths of a traceparent: 00-<trace id>-<span id>-<flags>.
const (
	traceID     = 32
	spanID      = 16
	traceLength = len("00-") + traceID + len("-") + spanID + len("-00")
)

// Trace names one request among all of a trace, and says whether somebody wants to see it. The zero Trace is none.
type Trace struct {
	id, span string // hexadecimal digits
	sampled  bool
}

// ParseTrace reads a traceparent. false: it is none, as the standard says.
func ParseTrace(text string) (t Trace, ok bool) {
	switch {
	case len(text) < traceLength, strings.HasPrefix(text, "ff"), text[2] != '-',
		strings.HasPrefix(text, "00") && len(text) > traceLength, // later versions may add to it
		len(text) > traceLength && text[traceLength] != '-':
		return t, false
	}
	version, id, flags := text[:2], text[3:3+traceID], text[traceLength-2:traceLength]
	span := text[4+traceID : 4+traceID+spanID]
	if !lowerHex(version) || !lowerHex(id) || !lowerHex(span) || !lowerHex(flags) || text[3+traceID] != '-' ||
		text[4+traceID+spanID] != '-' || strings.Trim(id, "0") == "" || strings.Trim(span, "0") == "" {
		return t, false
	}
	bits, err := hex.DecodeString(flags)
	if err != nil {
		return t, false
	}
	return Trace{id: strings.Clone(id), span: strings.Clone(span), sampled: bits[0]&1 != 0}, true
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Next is the trace as an edge passes it on with a request of this id: the same trace, of which the request is a span.
// Without a trace one begins with the request, which nobody has asked to see.
func (t Trace) Next(request string) Trace {
	sum := sha256.Sum256([]byte(request))
	text := hex.EncodeToString(sum[:(traceID+spanID)/2])
	if t.id == "" {
		t.id = text[:traceID]
	}
	t.span = text[traceID:]
	return t
}

// ID is the id of the trace, 32 hexadecimal digits; "" for none.
func (t Trace) ID() string { return t.id }

// Attr is the trace's id for a line of a log; of none it is left out.
func (t Trace) Attr() slog.Attr {
	if t.id == "" {
		return slog.Attr{}
	}
	return slog.String("trace", t.id)
}

// Sampled reports that whoever began the trace wants to see it.
func (t Trace) Sampled() bool { return t.sampled }

// String is the value of HeaderTrace; "" for none.
func (t Trace) String() string {
	if t.id == "" {
		return ""
	}
	flags := "-00"
	if t.sampled {
		flags = "-01"
	}
	return "00-" + t.id + "-" + t.span + flags
}
