package fastpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Filter stands between a connection and the HTTP/2 server of net/http. It answers requests for pages that are in
// memory, as the fast path does for HTTP/1.1, and passes every other frame on as it came. Whatever it does not
// understand it passes on too, so that net/http says what is wrong.
//
//   - net/http knows nothing of a request that is answered here. Later frames of that stream are kept from it, as they
//     would be errors to it.
//   - Its HPACK decoder must not depend on what it has not seen. So header blocks are decoded here, and passed on
//     without use of the dynamic table. Answers from here do not touch the client's dynamic table.
//   - Of the window of the connection the filter takes a part, which net/http does not hear of.
type http2Filter struct {
	c   *conn
	out frameWriter

	buf     []byte // what is read comes here
	in      []byte // the part of buf that is not handled yet
	toInner []byte // for net/http
	inner   int    // bytes of toInner that net/http has read
	pass    int    // bytes of the current frame that are still to come, and are passed on

	decoder *hpack.Decoder
	fields  []hpack.HeaderField // of the current header block
	size    int                 // of fields, in bytes
	opened  *headers            // of which CONTINUATION frames follow; nil: none

	last      uint32    // the highest stream that the client has begun
	innerLast uint32    // and that net/http knows of
	refused   uint32    // the highest one that was refused while its body was to come
	window    int64     // what the client takes of a new stream, in bytes
	budget    int64     // what the filter may send, in bytes of the window of the connection
	full      int64     // the budget while nothing is under way
	off       bool      // net/http answers everything
	passedAt  time.Time // when a request was last passed on
	text      []byte    // of the current request
	calm      calm
}

const (
	frameHead   = 9        // bytes
	settingSize = 6        // bytes
	longestHead = 32 << 10 // of a header block, in bytes, as it is sent
	roomToRead  = 8 << 10
	usualFields = 64      // of a request
	usualText   = 4 << 10 // of what answers depend on, in bytes
	// What the client allows before it has said anything.
	initialWindow = 65_535
	tableSize     = 4096
	// Answers that wait for net/http to end its frame.
	mostWaiting = 64 << 10
)

// LongestFields is what the fields of a request may have, in bytes, as RFC 9113 counts them. net/http must refuse so
// many itself.
const LongestFields = 16_000

func newHTTP2Filter(c *conn) *http2Filter {
	now := time.Now()
	f := &http2Filter{c: c, buf: make([]byte, roomToRead), window: initialWindow, passedAt: now, calm: calm{since: now}}
	f.in, f.out.c = f.buf[:0], c
	f.out.balance.Store(c.address.free(now))
	f.decoder = hpack.NewDecoder(tableSize, f.note)
	f.decoder.SetMaxStringLength(longestHead)
	return f
}

// note notes a field of the current header block. Of a block that is too long net/http gets what it needs to refuse it:
// each byte of it may stand for 4 KiB.
func (f *http2Filter) note(field hpack.HeaderField) {
	if size := int(field.Size()); f.size+size > LongestFields {
		f.decoder.SetEmitEnabled(false)
		field = hpack.HeaderField{Name: "x", Value: filling[:LongestFields-f.size]}
	}
	f.fields = append(f.fields, field)
	f.size += int(field.Size())
}

var filling = strings.Repeat("x", LongestFields)

// begin takes what was read of a connection, which begins with the preface.
func (f *http2Filter) begin(b []byte) {
	f.give(b[:len(http2.ClientPreface)])
	f.in = append(f.in, b[len(http2.ClientPreface):]...)
}

// read is Read for net/http.
func (f *http2Filter) read(p []byte) (int, error) {
	for {
		if f.inner < len(f.toInner) {
			if err := f.out.flush(); err != nil {
				return 0, err
			}
			n := copy(p, f.toInner[f.inner:])
			f.inner += n
			return n, nil
		}
		if f.toInner, f.inner = f.toInner[:0], 0; cap(f.toInner) > 2*roomToRead {
			f.toInner = nil
		}
		if f.pass > 0 && len(f.in) == 0 {
			return f.readThrough(p)
		}
		more, err := f.next()
		if err == nil && !more {
			err = f.fill()
		}
		if err != nil {
			return 0, err
		}
	}
}

// readThrough reads what is left of a frame that is passed on.
func (f *http2Filter) readThrough(p []byte) (int, error) {
	if err := f.out.flush(); err != nil {
		return 0, err
	}
	n, err := f.c.Conn.Read(p[:min(len(p), f.pass)])
	f.pass -= n
	return n, err
}

// fill sends the answers so far, and waits for more of the client.
func (f *http2Filter) fill() error {
	if err := f.out.flush(); err != nil {
		return err
	}
	switch {
	case len(f.in) == len(f.buf): // next passes longer frames on
		f.buf = make([]byte, frameHead+LargestFrame)
	case len(f.in) == 0 && len(f.buf) > roomToRead:
		f.buf = make([]byte, roomToRead)
	}
	kept := copy(f.buf, f.in)
	n, err := f.c.Conn.Read(f.buf[kept:])
	f.in = f.buf[:kept+n]
	if n > 0 {
		return nil
	}
	return err
}

// next handles what was read, up to the end of a frame. It returns false if that is incomplete.
func (f *http2Filter) next() (bool, error) {
	if f.pass > 0 {
		n := min(f.pass, len(f.in))
		f.give(f.in[:n])
		f.pass -= n
		f.in = f.in[n:]
		return n > 0, nil
	}
	if len(f.in) < frameHead {
		return false, nil
	}
	length := int(f.in[0])<<16 | int(f.in[1])<<8 | int(f.in[2])
	kind, flags := http2.FrameType(f.in[3]), http2.Flags(f.in[4])
	stream := binary.BigEndian.Uint32(f.in[5:]) & math.MaxInt32
	passedOn := !handled(kind) || length > LargestFrame // longer ones are errors
	if kind == http2.FrameData && f.wasRefused(stream) {
		passedOn = length > LargestFrame
	}
	if !passedOn && len(f.in) < frameHead+length {
		return false, nil
	}
	if f.calm.left--; f.calm.left < 0 {
		if err := f.settle(); err != nil {
			return false, err
		}
	}
	if passedOn {
		return true, f.passOn(kind, flags, stream, length)
	}
	frame := f.in[:frameHead+length]
	f.in = f.in[len(frame):]
	return true, f.handle(kind, flags, stream, frame)
}

// handled reports whether frames of a kind are read here. The others are passed on as they come.
func handled(kind http2.FrameType) bool {
	switch kind {
	case http2.FrameHeaders, http2.FrameContinuation, http2.FrameSettings, http2.FrameWindowUpdate,
		http2.FrameRSTStream, http2.FramePriority:
		return true
	}
	return false
}

// passOn begins to pass a frame on whose payload is not read here.
func (f *http2Filter) passOn(kind http2.FrameType, flags http2.Flags, stream uint32, length int) error {
	if f.opened != nil {
		f.break_()
	}
	if kind == http2.FrameData {
		if f.isOurs(stream) { // its request has ended
			return f.end(http2.ErrCodeStreamClosed)
		}
		if err := f.hold(length); errors.Is(err, errTooMuch) {
			return f.end(http2.ErrCodeEnhanceYourCalm)
		} else if err != nil {
			return err
		}
		f.out.earn(ofBody(flags, length))
	}
	f.pass = frameHead + length
	return nil
}

// isOurs reports whether net/http does not know a stream that the client has begun. Below the highest one that it knows
// every unknown one counts to it as closed, which is right.
func (f *http2Filter) isOurs(stream uint32) bool { return stream > f.innerLast && stream <= f.last }

// give passes bytes to net/http.
func (f *http2Filter) give(b []byte) { f.toInner = append(f.toInner, b...) }

// handle handles a whole frame.
func (f *http2Filter) handle(kind http2.FrameType, flags http2.Flags, stream uint32, frame []byte) error {
	payload := frame[frameHead:]
	if f.opened != nil && (kind != http2.FrameContinuation || stream != f.opened.stream) {
		f.break_()
		f.give(frame)
		return nil
	}
	switch kind {
	case http2.FrameHeaders:
		h, ok := readHeaders(flags, stream, payload)
		if !ok || stream%2 == 0 {
			f.give(frame)
			return nil
		}
		if !flags.Has(http2.FlagHeadersEndHeaders) {
			h.block, h.priority = bytes.Clone(h.block), bytes.Clone(h.priority) // what was read moves
			f.opened = &h
			return nil
		}
		return f.take(&h)
	case http2.FrameContinuation:
		h := f.opened
		if h == nil {
			f.give(frame)
			return nil
		}
		ends := flags.Has(http2.FlagContinuationEndHeaders)
		if h.block = append(h.block, payload...); len(h.block) > longestHead {
			return f.end(http2.ErrCodeEnhanceYourCalm)
		}
		if ends {
			f.opened = nil
			return f.take(h)
		}
		return nil
	case http2.FrameSettings:
		f.learn(flags, payload)
		if n := len(payload); !flags.Has(http2.FlagSettingsAck) && n%settingSize == 0 && n <= 100*settingSize {
			f.giveSettings(stream, payload)
			return nil
		}
	case http2.FrameData:
		f.giveBack(len(payload))
		return nil
	case http2.FrameWindowUpdate:
		if len(payload) == 4 && stream == 0 {
			f.share(frame)
			return nil
		}
	}
	if len(payload) == sizes[kind] && f.isOurs(stream) {
		return nil // of a stream that is answered
	}
	f.give(frame)
	return nil
}

// sizes are those of the payloads of frames about streams; another size is an error.
var sizes = map[http2.FrameType]int{http2.FrameWindowUpdate: 4, http2.FrameRSTStream: 4, http2.FramePriority: 5}

// break_ gives net/http the beginning of a header block that does not go on as it must.
func (f *http2Filter) break_() {
	f.give(appendFrameHead(nil, 0, http2.FrameHeaders, 0, f.opened.stream))
	f.opened = nil
}

// beginsHTTP2 reports whether a connection begins as HTTP/2, as far as was read, and whether all of the preface was.
func beginsHTTP2(b []byte) (begins, whole bool) {
	n := min(len(b), len(http2.ClientPreface))
	return string(b[:n]) == http2.ClientPreface[:n], n == len(http2.ClientPreface)
}
