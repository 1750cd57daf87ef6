package fastpath

import (
	"errors"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// headers is a HEADERS frame, and what follows in CONTINUATION frames.
type headers struct {
	stream   uint32
	end      bool   // no body follows
	priority []byte // 5 bytes, or none
	block    []byte
}

// readHeaders reads a HEADERS frame. false: it is malformed.
func readHeaders(flags http2.Flags, stream uint32, payload []byte) (h headers, ok bool) {
	padding := 0
	if flags.Has(http2.FlagHeadersPadded) {
		if len(payload) == 0 {
			return h, false
		}
		padding, payload = int(payload[0]), payload[1:]
	}
	h = headers{stream: stream, end: flags.Has(http2.FlagHeadersEndStream)}
	if flags.Has(http2.FlagHeadersPriority) {
		if len(payload) < 5 {
			return h, false
		}
		h.priority, payload = payload[:5:5], payload[5:]
	}
	if padding > len(payload) {
		return h, false
	}
	h.block = payload[:len(payload)-padding]
	return h, true
}

// take handles a header block. A request that is not answered is passed on.
func (f *http2Filter) take(h *headers) error {
	f.fields, f.size = f.fields[:0], 0
	f.calm.left -= len(h.block) / blockPerFrame
	defer f.forget()
	f.decoder.SetEmitEnabled(true)
	_, err := f.decoder.Write(h.block)
	if err = errors.Join(err, f.decoder.Close()); err != nil {
		f.give(appendFrameHead(nil, 1, http2.FrameHeaders, http2.FlagHeadersEndHeaders, h.stream))
		f.give([]byte{0x80}) // no field has the number 0: net/http says that the block cannot be decoded
		return nil
	}
	if f.wasRefused(h.stream) {
		return nil
	}
	if f.isOurs(h.stream) {
		return f.end(http2.ErrCodeStreamClosed) // its request has ended
	}
	isNew := h.stream > f.last
	if isNew {
		f.last = h.stream
	}
	now := time.Now()
	if isNew && (h.end && f.answers(h, now) || f.refuses(h)) {
		return nil
	}
	if isNew {
		f.innerLast, f.passedAt = h.stream, now
	}
	f.repeat(h)
	return nil
}

// forget lets go of what a header block took, so that a connection that waits keeps little.
func (f *http2Filter) forget() {
	if clear(f.fields); cap(f.fields) > usualFields {
		f.fields = nil
	}
	if cap(f.text) > usualText {
		f.text = nil
	}
}

// repeat passes a header block on, without use of the dynamic table. It fits into one frame.
func (f *http2Filter) repeat(h *headers) {
	begin := len(f.toInner)
	flags := http2.FlagHeadersEndHeaders
	if h.end {
		flags |= http2.FlagHeadersEndStream
	}
	if h.priority != nil {
		flags |= http2.FlagHeadersPriority
	}
	f.toInner = append(appendFrameHead(f.toInner, 0, http2.FrameHeaders, flags, h.stream), h.priority...)
	for _, field := range f.fields {
		if ofConnection(field) {
			field.Name = "A" // not in lower case: net/http, which would answer 400, resets the stream
		}
		f.toInner = AppendField(f.toInner, field.Name, field.Value)
	}
	f.setLength(begin)
}

// setLength completes the frame that begins at a place of toInner and ends with it.
func (f *http2Filter) setLength(begin int) {
	length := len(f.toInner) - begin - frameHead
	f.toInner[begin], f.toInner[begin+1], f.toInner[begin+2] = byte(length>>16), byte(length>>8), byte(length)
}

// ofConnection reports whether a field is about the connection: in HTTP/2 a request with one is malformed.
func ofConnection(field hpack.HeaderField) bool {
	switch field.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return true
	}
	return field.Name == "te" && field.Value != "trailers" && field.Value != ""
}
