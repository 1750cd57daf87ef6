// Package fastpath answers simple requests below net/http, for less than half of its processor time: see "Where it
// differs from the first design" in ARCHITECTURE.md.
//
// **Input**: connections. **Output**: fast requests to a [Handler]; everything else, as it came, to net/http, which
// serves the same connections. **Must not touch**: pages, caches, the bus.
//
// A fast request is a GET without a body or a query, whose header fields are all known to be harmless.
// The package works in the Read of a connection: while net/http waits for the next request, this package reads it, and
// passes on what it does not answer. So one server knows HTTP in full, and the fast path may delegate anything.
//
// Only complete requests are passed on, so that the fast path always knows where the next one begins. After bytes that
// it cannot parse, such as a form, the connection belongs to net/http.
//
// Of HTTP/2 it reads the frames, and answers a GET of a page that is in memory between the frames that net/http writes.
// net/http gets all other frames, and knows nothing of that request. Connections are encrypted below both.
//
//	fastpath.go       Server: its configuration, and the hooks for net/http
//	listener.go       the listener, its limit of connections, and how it stops
//	conn.go           conn: one connection, shared with net/http
//	responder.go      Responder: how a Handler answers
//	request.go        Request: what is read of a fast request
//	encrypted.go      begins TLS
//	http2.go          http2Filter: which frames go to net/http, and how
//	http2headers.go   header blocks: read, and passed on without the dynamic table
//	http2calm.go      slows floods of frames, and ends them
//	http2held.go      bounds what net/http keeps of bodies that nobody reads
//	address.go        Address: what connections of one address share
//	http2flow.go      what it takes from SETTINGS, and its part of the window
//	http2request.go   which requests of HTTP/2 are simple, and Stream: how a Handler answers them
//	http2write.go     frameWriter: answers between the frames of net/http
//	halfclose.go      clients that half-close their connection still get their answer
//	reason.go         Reason: why a request is delegated
//	servererrors.go   adds headers to the errors that net/http answers by itself
package fastpath
