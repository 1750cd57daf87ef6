package edge

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/edge/cache"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// exchange is a request and its answer, for the answer's header, metrics and logs.
type exchange struct {
	start   time.Time
	number  requestID
	trace   wire.Trace // that the client names; the zero Trace: it names none
	strict  bool       // the answer has browsers use nothing but TLS
	kind    page.Kind
	accept  cache.Accept
	atLeast []wire.Dep // versions of an unverified token: no older page is served, except as a stale one

	page   *cache.Page // nil: none of the caches or renderers answers
	tier   tier
	status int // 0: the client has left before its answer
	bytes  int // of the body
	timing timing
	cause  error // of an error page or a stale page
	cut    error // the client left, or stopped reading, during the answer
	// unfinished: a part of the body could not be had, so the connection must end
	unfinished bool
}

// timing is where the time of a fetch went.
type timing struct {
	cache, bus time.Duration
	worker     wire.Timing
}

// requestID is unique across edges, and its text is short enough to read out. Answers, logs and bus messages have it.
type requestID struct {
	edge string // random
	n    uint64
}

// mark names the request, and its trace, in the header of a message that is sent for it.
func mark(header nats.Header, number requestID, trace wire.Trace) {
	id := number.String()
	header.Set(wire.HeaderRequest, id)
	header.Set(wire.HeaderTrace, trace.Next(id).String())
}

// traceOf reads the trace that a client names. A field that comes twice is none.
func traceOf(h http.Header) (t wire.Trace) {
	if values := h["Traceparent"]; len(values) == 1 {
		t, _ = wire.ParseTrace(values[0])
	}
	return t
}

// requestIDs makes the ids of one edge.
type requestIDs struct {
	edge string
	last atomic.Uint64
}

func (ids *requestIDs) next() requestID { return requestID{ids.edge, ids.last.Add(1)} }

func (id requestID) append(b []byte) []byte {
	return strconv.AppendUint(append(b, id.edge...), id.n, 36)
}

func (id requestID) String() string { return string(id.append(nil)) }

// writeHeaders adds the header fields that every answer has: X-Request-Id, X-Cache and Server-Timing.
func (x *exchange) writeHeaders(h http.Header) {
	b := x.number.append(make([]byte, 0, 180)) // both values in one allocation
	id := len(b)
	b = x.appendTiming(b)
	text := string(b)
	values := [...]string{text[:id], text[id:]}
	h["X-Request-Id"] = values[0:1:1]
	h["Server-Timing"] = values[1:2:2]
	h["X-Cache"] = tierNames[x.tier : x.tier+1 : x.tier+1]
}

// appendTiming appends the value of Server-Timing (W3C; milliseconds).
func (x *exchange) appendTiming(b []byte) []byte {
	b = append(append(b, "cache;desc="...), x.tier.String()...)
	b = appendTiming(b, "cache-look-up", x.timing.cache)
	b = appendTiming(b, "bus", x.timing.bus)
	b = appendTiming(b, "queue", x.timing.worker.Queue)
	b = appendTiming(b, "sql", x.timing.worker.SQL)
	b = appendTiming(b, "render", x.timing.worker.Render)
	b = appendTiming(b, "edge", time.Since(x.start))
	if x.tier == tierNone && x.status >= 400 { // for the script of error pages, which can read no other field
		b = x.number.append(append(b, ", id;desc="...))
	}
	return b
}

func appendTiming(b []byte, name string, d time.Duration) []byte {
	if d <= 0 {
		return b
	}
	b = append(append(append(b, ", "...), name...), ";dur="...)
	return strconv.AppendFloat(b, float64(d.Nanoseconds()/1000)/1000, 'f', -1, 64)
}
